"""Conversations and messages as stored (collections.md §3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from locutory.events import Fact
from locutory.keys import Service

NO_PARENT = "00000000-0000-0000-0000-000000000000"
"""``parentMessageId`` of a root message."""

TITLE_NAMESPACE = "GEN_TITLE"
"""Cache namespace of the one-shot title hand-over, key ``<user id>-<conversation id>``, 120 s."""

Document = dict[str, Any]
"""A stored document: dates are aware ``datetime``, ids ObjectId, text and numbers plain."""


class Conversations(Protocol):
    """History of one user at a time: ``user`` is the owner's id, and another user's
    documents are never found. Temporary: ``None`` leaves the retention fields alone."""

    async def find(self, user: str, conversation_id: str) -> Document | None:
        """The whole conversation document."""
        ...

    async def owner(self, conversation_id: str) -> str | None:
        """Whose conversation this is, for refusing a foreign id."""
        ...

    async def save(
        self,
        user: str,
        conversation_id: str,
        fields: Mapping[str, Any],
        *,
        temporary: bool | None = None,
        created_at: datetime | None = None,
        replace_settings: bool = False,
        create: bool = True,
    ) -> Document | None:
        """Upsert (contract convos §3). ``replace_settings`` unsets the stored settings that
        ``fields`` does not name; ``create=False`` never inserts and may return ``None``."""
        ...

    async def message(self, user: str, message_id: str) -> Document | None:
        """One message document."""
        ...

    async def messages(self, user: str, conversation_id: str) -> list[Document]:
        """All messages of a conversation, ``createdAt`` ascending, whole documents."""
        ...

    async def branch(self, user: str, conversation_id: str, message_id: str) -> list[Document]:
        """The messages from the root down to ``message_id``; a cycle is cut."""
        ...

    async def save_message(
        self,
        user: str,
        message: Mapping[str, Any],
        *,
        temporary: bool | None = None,
    ) -> Document:
        """Upsert on (``messageId``, user); ``conversationId`` must be a UUID, else
        ``ValueError``. Members not given keep their stored value. Returns the document."""
        ...

    async def retain(self, user: str, temporary: bool | None) -> Mapping[str, Any]:
        """The retention fields (``isTemporary``, ``expiredAt``) for a new document."""
        ...


CONVERSATIONS: Service[Conversations] = Service(
    "conversations", "Stored conversations and messages"
)


@dataclass(frozen=True, slots=True)
class MessageSaved(Fact):
    """A message was written. ``message`` is its whole document."""

    user: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationSaved(Fact):
    """A conversation was written. ``conversation`` is its whole document; ``created`` on insert."""

    user: str
    conversation: Mapping[str, Any]
    created: bool


@dataclass(frozen=True, slots=True)
class ConversationsDeleted(Fact):
    """Conversations and their messages were deleted. ``tags``: the distinct tags of each,
    in the order of ``conversation_ids``; ``all`` when it was everything the user had."""

    user: str
    conversation_ids: Sequence[str]
    tags: Sequence[Sequence[str]]
    all: bool


class SharedConversations(Protocol):
    """Which conversations have a live shared link."""

    async def shared(self, user: str, conversation_ids: Sequence[str]) -> set[str]: ...


SHARED_CONVERSATIONS: Service[SharedConversations] = Service(
    "conversations.shared", "Which conversations of a user are shared (the list's isShared flag)"
)
