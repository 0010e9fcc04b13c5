"""Continuing a shared conversation as one's own (contract share §4). The copy has the parts that
readers see, never the stored ones, so it contains no private data of the owner."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from structlog.stdlib import BoundLogger

from locutory import Principal, Raw, Services, now
from locutory_contracts.conversations import CONVERSATIONS, NO_PARENT, Document
from locutory_contracts.models import CATALOGUE
from locutory_share.branches import created, parent_of, path_to
from locutory_share.publisher import UNTITLED, refusal
from locutory_share.serializer import LinkSerializer

_PREFERRED = ("openAI", "anthropic", "google", "azureOpenAI", "bedrock")
_UNFIT = frozenset({"assistants", "azureAssistants", "agents"})
"""Endpoints whose chats need more than a model."""

_LAST_RESORT = ("openAI", "gpt-4o-mini")
_HIDDEN = ("_meiliIndex", "subagentThreadLease")
_MILLISECOND = timedelta(milliseconds=1)


class Forking:
    """Copies the content of a link into a new conversation of the reader."""

    def __init__(self, services: Services, serializer: LinkSerializer, log: BoundLogger) -> None:
        self._services = services
        self._serializer = serializer
        self._log = log

    async def fork(
        self, reader: Principal, link: Raw, revision: str | None, index: int | None
    ) -> dict[str, Any]:
        """``{conversation, messages}`` as stored. ``revision``: the ``updatedAt`` that the
        reader saw; 409 when the link has changed since. ``index`` counts in that payload, and
        so means nothing without it."""
        history = self._services.get(CONVERSATIONS)
        payload = await self._serializer.read(link)
        messages = payload["messages"]
        if not messages:
            raise refusal(404, "Shared conversation not found")
        if revision is not None and not _same_moment(revision, link.get("updatedAt")):
            raise refusal(409, "Shared link was updated")
        if revision is not None and index is not None and 0 <= index < len(messages):
            messages = path_to(messages, index)
        endpoint, model = await self._endpoint(reader)
        conversation_id, moment = str(uuid4()), now()
        conversation: dict[str, Any] = {
            "conversationId": conversation_id,
            "user": reader.id,
            "title": link.get("title") or UNTITLED,
            "endpoint": endpoint,
            "model": model,
            "createdAt": moment,
            "updatedAt": moment,
        }
        copies = copied(messages, conversation, endpoint)
        stored = await history.add(reader.id, conversation, copies)
        written = await history.messages(reader.id, conversation_id)
        return {"conversation": _plain(stored), "messages": [_plain(copy) for copy in written]}

    async def _endpoint(self, reader: Principal) -> tuple[str, str]:
        """An endpoint that offers the reader a model, and its first one."""
        catalogue = self._services.find(CATALOGUE)
        if catalogue is None:
            return _LAST_RESORT
        try:
            configured, offered = await asyncio.gather(
                catalogue.entries(reader), catalogue.models(reader)
            )
        except Exception:
            self._log.exception("share.models_unknown")
            return _LAST_RESORT
        # Default models are listed for endpoints that nobody can use, too.
        others = (name for name in configured if name not in _PREFERRED and name not in _UNFIT)
        for name in (*_PREFERRED, *others):
            for model in (configured.get(name) and offered.get(name)) or ():
                if model:
                    return name, model
        return _LAST_RESORT


def copied(
    messages: Sequence[Document], conversation: Mapping[str, Any], endpoint: str
) -> list[Document]:
    """Copies of shown messages under new ids, parents before their children and never later
    than they. A parent that is not among them makes a root, and so does a cycle."""
    ids = {message["messageId"]: str(uuid4()) for message in messages}
    below: dict[str, list[Document]] = {}
    for message in messages:
        parent = parent_of(message)
        below.setdefault(parent if parent in ids else NO_PARENT, []).append(message)
    copies: dict[str, Document] = {}

    def add(message: Document, parent: str) -> None:
        moment = created(message).astimezone(UTC)
        if parent != NO_PARENT:
            moment = max(moment, copies[parent]["createdAt"] + _MILLISECOND)
        copies[message["messageId"]] = {
            **_content(message),
            "messageId": ids[message["messageId"]],
            "parentMessageId": NO_PARENT if parent == NO_PARENT else ids[parent],
            "conversationId": conversation["conversationId"],
            "user": conversation["user"],
            "endpoint": endpoint,
            "unfinished": False,
            "error": False,
            "createdAt": moment,
            "updatedAt": max(moment, message.get("updatedAt") or moment),
        }

    def grow(roots: Sequence[Document]) -> None:
        level = [(message, NO_PARENT) for message in roots]
        while level:
            for message, parent in level:
                add(message, parent)
            level = [
                (child, message["messageId"])
                for message, _ in level
                for child in below.get(message["messageId"], ())
                if child["messageId"] not in copies
            ]

    grow(below.get(NO_PARENT, ()))
    for message in messages:
        if message["messageId"] not in copies:  # part of a cycle
            grow([message])
    return [_own_ids(copy) for copy in copies.values()]


def _content(message: Document) -> Document:
    """Content without the model, and without ids of files: those belong to the owner, and an agent
    that finds their ids in a conversation would read them."""
    copy = {name: value for name, value in message.items() if name != "model"}
    for name in ("files", "attachments"):
        if name in copy:
            copy[name] = [_nameless(file) for file in copy[name]]
    if isinstance(copy.get("content"), list):
        copy["content"] = [_nameless_part(part) for part in copy["content"]]
    return copy


def _nameless(file: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in file.items() if name != "file_id"}


def _nameless_part(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    copy = dict(part)
    if isinstance(part.get("files"), list):
        copy["files"] = [_nameless(file) for file in part["files"]]
    if isinstance(part.get("image_file"), Mapping):
        copy["image_file"] = _nameless(part["image_file"])
    call = part.get("tool_call")
    if isinstance(call, Mapping) and isinstance(call.get("subagent_content"), list):
        inner = [_nameless_part(item) for item in call["subagent_content"]]
        copy["tool_call"] = {**call, "subagent_content": inner}
    return copy


def _own_ids(copy: Document) -> Document:
    """Let attachments and files name the chat and message that they are now in."""
    for name in ("files", "attachments"):
        for file in copy.get(name) or ():
            for key in ("conversationId", "messageId"):
                if key in file:
                    file[key] = copy[key]
    return copy


def _same_moment(revision: str, stored: Any) -> bool:
    if not isinstance(stored, datetime):
        return False
    try:
        moment = datetime.fromisoformat(revision)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment == stored


def _plain(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _HIDDEN}
