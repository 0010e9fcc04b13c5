"""The changes of a save in a stored document (contract convos §3, messages §7)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from beanie import Document
from bson import ObjectId

from locutory import now
from locutory_conversations.documents import Conversation, Message


def _fields(document: type[Document]) -> frozenset[str]:
    return frozenset(document.model_fields) - {"id", "revision_id"}


_OURS = frozenset(("user", "tenantId", "createdAt", "updatedAt", "expiredAt", "isTemporary"))
_CONVERSATION = (
    _fields(Conversation) - _OURS - {"conversationId", "messages", "subagentThreadLease"}
)
_MESSAGE = _fields(Message) - _OURS - {"messageId"}

_KEPT = frozenset(
    (
        *("title", "greeting", "endpoint", "endpointType", "subagentThread", "isArchived"),
        *("archivedAt", "pinned", "tags", "tools", "model", "files", "chatProjectId"),
    )
)
_OF_CHILD_THREADS = frozenset(("subagentTranscript", "subagentTask"))
_SETTINGS = _CONVERSATION - _KEPT
"""Settings that a turn unsets unless it sends them."""

_QUIET = frozenset(("isArchived", "archivedAt", "pinned"))
"""A write of only these fields is not an activity: ``updatedAt`` stays."""

_NEW_CONVERSATION: Mapping[str, Any] = {
    "__v": 0,
    "title": "New Chat",
    "isTemporary": False,
    "endpoint": None,
    "isArchived": False,
    "tags": [],
    "chatProjectId": None,
    "files": [],
}
_NEW_MESSAGE: Mapping[str, Any] = {
    "__v": 0,
    "model": None,
    "isCreatedByUser": False,
    "isTemporary": False,
    "unfinished": False,
    "error": False,
    "_meiliIndex": False,
}


@dataclass(slots=True)
class Change:
    """One upsert: the fields that it sets and unsets, the messages that it adds, and the fields
    that it writes on insert only."""

    changes: dict[str, Any]
    on_insert: dict[str, Any]
    unset: set[str] = field(default_factory=set)
    new_message_ids: list[ObjectId] = field(default_factory=list)

    def update(self) -> dict[str, Any]:
        """The update document."""
        update: dict[str, Any] = {}
        if self.changes:
            update["$set"] = self.changes
        if self.unset:
            update["$unset"] = dict.fromkeys(self.unset, "")
        if self.new_message_ids:
            update["$addToSet"] = {"messages": {"$each": self.new_message_ids}}
        if self.on_insert:
            update["$setOnInsert"] = self.on_insert
        return update

    def inserted(self, key: Mapping[str, Any], identity: Any) -> dict[str, Any]:
        """The document that the upsert inserted, without reading it back."""
        document = {"_id": identity, **key, **self.on_insert, **self.changes}
        if self.new_message_ids:
            document["messages"] = list(self.new_message_ids)
        return document


def conversation_change(
    fields: Mapping[str, Any],
    retention: Mapping[str, Any],
    created_at: datetime | None = None,
    *,
    replace_settings: bool = False,
    foreign_project: bool = False,
) -> Change:
    """The upsert of a conversation. Unknown fields are dropped, as LibreChat does, and so is
    a project that is not the user's."""
    moment = now()
    given = {name: value for name, value in fields.items() if name in _CONVERSATION}
    unset: set[str] = set()
    if foreign_project:
        del given["chatProjectId"]
        unset.add("chatProjectId")
    if replace_settings:
        unset |= _SETTINGS - given.keys()
        if "model" not in given and str(given.get("agent_id") or "").startswith("agent_"):
            unset.add("model")
    quiet = bool(given) and given.keys() <= _QUIET and not unset
    changes = {**given, **retention}
    if not quiet:
        changes["updatedAt"] = moment
    created = moment if created_at is None else in_milliseconds(created_at)
    defaults = {"createdAt": created, "updatedAt": moment, **_NEW_CONVERSATION}
    return Change(
        changes=changes,
        on_insert={
            name: list(value) if isinstance(value, list) else value
            for name, value in defaults.items()
            if name not in changes and name not in unset
        },
        unset=unset,
    )


def message_change(fields: Mapping[str, Any], retention: Mapping[str, Any]) -> Change:
    """The upsert of a message, without ``createdAt``. Unknown fields are dropped."""
    changes = {name: value for name, value in fields.items() if name in _MESSAGE}
    if "tokenCount" in changes:
        changes["tokenCount"] = _number_or_zero(changes["tokenCount"])
    changes |= retention
    changes["updatedAt"] = now()
    defaults = {name: value for name, value in _NEW_MESSAGE.items() if name not in changes}
    return Change(changes=changes, on_insert=defaults)


def new_conversation(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The stored fields of a new conversation, but for ids, owner, retention and dates."""
    given = {name: value for name, value in fields.items() if name in _CONVERSATION}
    return {**_copied(_NEW_CONVERSATION), **given}


def new_message(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The stored fields of a new message, except ids, owner, retention and dates. Private members
    of a child thread are left out."""
    given = {
        name: value
        for name, value in fields.items()
        if name in _MESSAGE and name not in _OF_CHILD_THREADS
    }
    if "tokenCount" in given:
        given["tokenCount"] = _number_or_zero(given["tokenCount"])
    found = {**_NEW_MESSAGE, **given}
    if found["model"] is None:  # LibreChat writes it on single saves only
        del found["model"]
    return found


def _copied(defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, list) else value for name, value in defaults.items()
    }


def is_project_id(value: Any) -> bool:
    """``True`` for the id of a chat project: 24 hexadecimal digits as text."""
    return isinstance(value, str) and len(value) == 24 and ObjectId.is_valid(value)


def in_milliseconds(moment: datetime) -> datetime:
    """A moment cut to the precision of databases; one without a time zone is UTC."""
    return moment.replace(
        microsecond=moment.microsecond // 1000 * 1000, tzinfo=moment.tzinfo or UTC
    )


def _number_or_zero(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        return value
    return 0
