"""A chat request, checked: nothing of the body is trusted beyond this module (chat-stream §4.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid5

from locutory_agents.ids import uuid
from locutory_agents.loop.history import with_quotes
from locutory_agents.stream.protocol import epoch
from locutory_contracts.conversations import NO_PARENT

NEW = "new"
MAX_QUOTES = 10
MAX_QUOTE_CHARACTERS = 1500
MAX_ID = 128
MAX_FILES = 50

_NEW_CONVERSATIONS = UUID("3f6c1f0e-5b0d-4f5c-9d58-6a1f7f2f9c11")
"""Namespace of the ids of conversations that a ``clientRequestId`` starts."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_CHILD_THREAD = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-b[0-9a-f]{3}-[0-9a-f]{12}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9:_-]{1,128}")
_RECOVERY = "steer-recovery:"
_FILE_TEXT = ("file_id", "filepath", "filename", "type", "source")
_FILE_NUMBERS = ("height", "width", "bytes")


class BadChatRequest(Exception):
    """A field is wrong: ``status`` and ``body`` of the answer."""

    def __init__(self, error: str, code: str | None = None, status: int = 400) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error} if code is None else {"code": code, "error": error}


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited part of an answer, from which it is to go on."""

    index: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The request of a caller. ``user_message_id`` and ``response_id`` are the ids that are saved;
    ``existing``: the user's message is stored already, and is not changed; ``edited_id`` is the
    answer that ``edit`` changes."""

    body: Mapping[str, Any]
    endpoint: str
    text: str
    conversation_id: str
    new: bool
    parent_id: str
    user_message_id: str
    response_id: str
    existing: bool = False
    edit: Edit | None = None
    edited_id: str | None = None
    quotes: tuple[str, ...] = ()
    files: tuple[Mapping[str, Any], ...] = ()
    skills: tuple[str, ...] = ()
    temporary: bool | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    added: Mapping[str, Any] | None = None
    request_id: str | None = None
    predecessor: int | None = None
    recovered_steer: str | None = None
    ip: str = ""

    @property
    def prompt(self) -> str:
        """The text as the model gets it."""
        return with_quotes(self.text, self.quotes)

    @property
    def headers_context(self) -> dict[str, str]:
        """The turn, as headers of model calls may name it."""
        return {
            "conversationId": self.conversation_id,
            "parentMessageId": self.parent_id,
            "messageId": self.response_id,
        }

    def user_message(self) -> dict[str, Any]:
        """The user's message as clients see it."""
        return {
            "messageId": self.user_message_id,
            "parentMessageId": self.parent_id,
            "conversationId": self.conversation_id,
            "sender": "User",
            "text": self.text,
            "isCreatedByUser": True,
            **self._extras(),
        }

    def shown(self) -> dict[str, Any]:
        """The user's message in a resume state."""
        message = self.user_message()
        del message["sender"], message["isCreatedByUser"]
        return message

    def _extras(self) -> dict[str, Any]:
        extras: dict[str, Any] = {}
        if self.quotes:
            extras["quotes"] = list(self.quotes)
        if self.files:
            extras["files"] = [dict(file) for file in self.files]
        if self.skills:
            extras["manualSkills"] = list(self.skills)
        return extras


def is_child_thread(conversation_id: str) -> bool:
    """True for the id of a thread that an agent's helper owns."""
    return _CHILD_THREAD.fullmatch(conversation_id) is not None


def parse(
    body: Mapping[str, Any], path_endpoint: str | None, user: str, ip: str = ""
) -> ChatRequest:
    """A request from its body; `BadChatRequest` for wrong fields."""
    request_id = _pattern(
        body.get("clientRequestId"),
        "INVALID_CLIENT_REQUEST_ID",
        "clientRequestId must be 1 to 128 of A-Z a-z 0-9 : _ -",
    )
    try:
        predecessor = epoch(body.get("expectedPredecessorCreatedAt"))
    except ValueError:
        raise BadChatRequest(
            "expectedPredecessorCreatedAt must be a non-negative integer",
            "INVALID_GENERATION_PREDECESSOR",
        ) from None
    given_id = _text(body, "conversationId", MAX_ID)
    new = not given_id or given_id == NEW
    if not new and _UUID.fullmatch(given_id or "") is None:
        raise BadChatRequest("conversationId must be a UUID", "INVALID_CONVERSATION")
    parent_id = _text(body, "parentMessageId", MAX_ID) or NO_PARENT
    regenerate = body.get("isRegenerate") is True
    edit = _edit(body.get("editedContent"))
    override_parent = _text(body, "overrideParentMessageId", MAX_ID)
    override_user = _text(body, "overrideUserMessageId", MAX_ID)
    asked_response = _text(body, "responseMessageId", MAX_ID)
    recovered = _recovered(body, request_id, regenerate or edit is not None, override_parent)
    edited = edit is not None and body.get("isContinued") is not True
    fresh = not asked_response or (regenerate and asked_response.endswith("_")) or edited
    return ChatRequest(
        body=MappingProxyType(dict(body)),
        endpoint=_text(body, "endpoint", 256) or path_endpoint or "",
        text=(_text(body, "text") or "").strip(),
        conversation_id=_conversation_id(given_id if not new else None, user, request_id),
        new=new,
        parent_id=parent_id,
        user_message_id=override_user or override_parent or uuid(),
        response_id=uuid() if fresh else str(asked_response),
        existing=override_parent is not None and override_user is None,
        edit=edit,
        edited_id=asked_response if edit is not None else None,
        quotes=_quotes(body.get("quotes")),
        files=sanitized_files(body.get("files")),
        skills=_strings(body.get("manualSkills"), 50, MAX_ID),
        temporary=body["isTemporary"] if isinstance(body.get("isTemporary"), bool) else None,
        options=_mapping(body, "ephemeralAgent") or {},
        added=_mapping(body, "addedConvo"),
        request_id=request_id,
        predecessor=predecessor,
        recovered_steer=recovered,
        ip=ip,
    )


def _conversation_id(given: str | None, user: str, request_id: str | None) -> str:
    if given is not None:
        return given
    if request_id is not None:
        return str(uuid5(_NEW_CONVERSATIONS, f"{user}:{request_id}"))
    return uuid()


def _text(body: Mapping[str, Any], name: str, limit: int | None = None) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadChatRequest(f"{name} must be a string")
    if limit is not None and len(value) > limit:
        raise BadChatRequest(f"{name} is too long")
    return value


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise BadChatRequest(f"{name} must be an object")
    return value


def _pattern(value: Any, code: str, text: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or _REQUEST_ID.fullmatch(value) is None:
        raise BadChatRequest(text, code)
    return value


def _recovered(
    body: Mapping[str, Any], request_id: str | None, changes: bool, override_parent: str | None
) -> str | None:
    """The steer that this turn is made of. It must be a new user turn, or the words of the
    steer could be lost with a turn that saves no user message."""
    explicit = _pattern(
        body.get("recoverySteerId"),
        "INVALID_RECOVERY_REQUEST",
        "recoverySteerId must name one parked steer",
    )
    legacy = (
        request_id.removeprefix(_RECOVERY)
        if request_id is not None and request_id.startswith(_RECOVERY)
        else None
    )
    found = explicit or legacy
    if found is None:
        return None
    conflicting = explicit is not None and legacy is not None and explicit != legacy
    if conflicting or request_id is None or changes or override_parent is not None:
        raise BadChatRequest(
            "A recovered steer must be sent as a new user turn", "INVALID_RECOVERY_REQUEST"
        )
    return found


def _edit(value: Any) -> Edit | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        index, kind = value.get("index"), value.get("type")
        if type(index) is int and 0 <= index < 10_000 and kind in ("text", "think"):
            text = value.get(kind)
            if isinstance(text, str):
                return Edit(index, kind, text)
    raise BadChatRequest("editedContent must be {index, type, text or think}")


def _strings(value: Any, count: int, length: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item[:length] for item in value[:count] if isinstance(item, str) and item)


def _quotes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    trimmed = (item.strip() for item in value if isinstance(item, str))
    return tuple(item[:MAX_QUOTE_CHARACTERS] for item in trimmed if item)[:MAX_QUOTES]


def sanitized_files(value: Any) -> tuple[Mapping[str, Any], ...]:
    """Attached files, cut to the members that clients show; a file needs its id."""
    if not isinstance(value, list):
        return ()
    found = []
    for item in value[:MAX_FILES]:
        if not isinstance(item, Mapping) or not isinstance(item.get("file_id"), str):
            continue
        file: dict[str, Any] = {
            key: item[key][:2048] for key in _FILE_TEXT if isinstance(item.get(key), str)
        }
        file |= {key: item[key] for key in _FILE_NUMBERS if type(item.get(key)) in (int, float)}
        found.append(MappingProxyType(file))
    return tuple(found)
