"""Writing edits (contract messages §3.2, §3.3, §3.5, §3.6)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from uuid import uuid4

from bson import ObjectId

from locutory import Events, Raw, Services, now
from locutory_contracts.conversations import MessageSaved
from locutory_contracts.models import TOKENS
from locutory_conversations.editing.artifacts import Artifact, artifacts_of, without_display_escapes
from locutory_conversations.editing.parts import (
    PartEdit,
    part_edit,
    parts_of_agent,
    prompt_text,
    recount,
)
from locutory_conversations.service import History
from locutory_conversations.store import Store, key_of

_ATTEMPTS = 3
_COPIED = ("parentMessageId", "attachments", "model", "endpoint", "sender", "iconURL")


class EditConflict(RuntimeError):
    """The message changed under the edit each time it was tried."""


class Edits:
    """Edits stored messages of one user.

    An edit of a piece of text is a compare-and-set on that piece: two edits of one message
    never undo each other.
    """

    def __init__(self, store: Store, services: Services, events: Events, history: History) -> None:
        self._store = store
        self._services = services
        self._events = events
        self._history = history

    def count(self, text: str) -> int:
        """Tokens of a text; a quarter of its characters when nothing counts them."""
        counter = self._services.find(TOKENS)
        return (len(text) + 3) // 4 if counter is None else counter.count(text)

    async def text(self, user: str, message: Raw, text: str) -> Raw:
        """Replace the whole text."""
        tokens = self.count(prompt_text(message, text))
        fields = {"text": text, "tokenCount": tokens, "updatedAt": now()}
        await self._store.messages.update_one({"_id": message["_id"]}, {"$set": fields})
        return await self._publish_saved(user, {**message, **fields})

    async def part(self, user: str, message: Raw, index: Any, text: str) -> Raw:
        """Replace the text of one content part; `BadPart` when it cannot be."""
        for _ in range(_ATTEMPTS):
            edit = part_edit(message.get("content"), index)
            fields: dict[str, Any] = {edit.path: text, "updatedAt": now()}
            tokens = recount(message.get("tokenCount"), edit.old, text, self.count)
            if tokens is not None:
                fields["tokenCount"] = tokens
            if await self._replace(message, edit, fields):
                return await self._publish_saved(user, await self._reread(user, message))
            message = await self._reread(user, message)
        raise EditConflict

    async def artifact(
        self, user: str, message: Raw, index: int, original: str, updated: str
    ) -> Raw | None:
        """Replace a piece of artifact ``index``; ``None`` when it does not hold
        ``original``, `IndexError` when there is no such artifact."""
        original = without_display_escapes(original)
        updated = without_display_escapes(updated)
        for _ in range(_ATTEMPTS):
            artifact = artifacts_of(message)[index]
            text = artifact.replace(original, updated)
            if not text:
                return None
            edit = PartEdit(_path(artifact), artifact.text, ())
            if await self._replace(message, edit, {edit.path: text, "updatedAt": now()}):
                return await self._publish_saved(user, await self._reread(user, message))
            message = await self._reread(user, message)
        raise EditConflict

    async def feedback(self, user: str, message_id: str, feedback: dict[str, str] | None) -> Any:
        """Set or clear the feedback; return the stored one, or ``False`` when the user has no such
        message."""
        stored = None if feedback is None else {**feedback, "_id": ObjectId()}
        key = {"messageId": message_id, "user": user}
        fields = {"feedback": stored, "updatedAt": now()}
        result = await self._store.messages.update_one(key, {"$set": fields})
        if result.matched_count == 0:
            return False
        if self._events.subscribers(MessageSaved):
            document = await self._store.messages.find_one(key)
            if document is not None:
                await self._publish_saved(user, document)
        return stored

    async def branch(self, user: str, source: Raw, agent: str) -> Raw:
        """Save a sibling that holds only the parts of ``agent``; `BadPart` if there are none."""
        content = parts_of_agent(source.get("content"), agent)
        copied = {name: deepcopy(source[name]) for name in _COPIED if name in source}
        message = {
            **copied,
            "messageId": str(uuid4()),
            "conversationId": source["conversationId"],
            "isCreatedByUser": False,
            "unfinished": False,
            "error": False,
            "content": content,
        }
        saved = await self._history.save_message(user, message, temporary=source.get("isTemporary"))
        # The conversation itself is not saved; only its list of messages stays right.
        await self._store.conversations.update_one(
            key_of(user, source["conversationId"]), {"$addToSet": {"messages": saved["_id"]}}
        )
        return saved

    async def _replace(self, message: Raw, edit: PartEdit, fields: Mapping[str, Any]) -> bool:
        update: dict[str, Any] = {"$set": fields}
        if edit.removed:
            update["$unset"] = dict.fromkeys(edit.removed, "")
        key = {"_id": message["_id"], edit.path: edit.old}
        result = await self._store.messages.update_one(key, update)
        return result.matched_count == 1

    async def _reread(self, user: str, message: Raw) -> Raw:
        return await self._history.message(user, message["messageId"]) or message

    async def _publish_saved(self, user: str, message: Raw) -> Raw:
        await self._events.publish(MessageSaved(user, message))
        return message


def _path(artifact: Artifact) -> str:
    return "text" if artifact.part is None else f"content.{artifact.part}.text"
