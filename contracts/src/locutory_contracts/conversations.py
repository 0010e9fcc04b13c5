"""Conversations and messages as stored (collections §3.2): ``user`` is the owner's id as text,
``conversationId`` and ``messageId`` are UUIDs as text, dates are aware."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol

from locutory import Fact, Service

NO_PARENT = "00000000-0000-0000-0000-000000000000"
"""``parentMessageId`` of a root message."""

TITLE_NAMESPACE = "GEN_TITLE"
"""Cache namespace of the one-shot title hand-over, key ``<user id>-<conversation id>``, 120 s."""

Document = dict[str, Any]
"""A stored document: dates are aware ``datetime``, ids ObjectId, text and numbers plain."""


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """The visible conversations of a project: their number, and which was used last."""

    count: int
    last_at: datetime | None
    last_id: str | None


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
        """Upsert by owner and id (convos §3): ``messages`` follow what is stored, ``updatedAt`` moves,
        expiry is set anew for a temporary chat, and a ``chatProjectId`` that is none of the owner's
        is unset. ``replace_settings`` unsets the stored settings that
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

    async def mark(
        self, user: str, conversation_id: str, fields: Mapping[str, Any]
    ) -> Document | None:
        """Set ``tags`` or ``chatProjectId`` (``None`` unsets) of an existing conversation;
        ``updatedAt`` stays. The whole document, ``None`` when the user has none such."""
        ...

    async def replace_tag(self, user: str, tag: str, new: str | None) -> int:
        """Rename a tag in all conversations of a user, or take it away (``None``);
        ``updatedAt`` stays. How many changed."""
        ...

    async def tag_counts(self, user: str, tags: Sequence[str]) -> Mapping[str, int]:
        """Tag → number of the user's conversations that carry it, 0 included."""
        ...

    async def project_summary(self, user: str, project_id: str) -> ProjectSummary:
        """Of the conversations that lists show: not archived, not temporary or expired."""
        ...

    async def leave_project(self, user: str, project_id: str) -> int:
        """Unset the project of all its conversations; ``updatedAt`` stays. How many changed."""
        ...

    async def add(
        self, user: str, conversation: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
    ) -> Document:
        """Write a whole new conversation (a copy, an import) in bulk. Ids and dates are taken
        as given and must be new; unknown fields are dropped, the deployment's retention is
        applied, a ``chatProjectId`` of somebody else is left out. Messages need
        ``messageId``, ``parentMessageId`` and ``createdAt``. Tells `ConversationsAdded`."""
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
    """A conversation was written. ``conversation`` is its whole document; ``created`` on
    insert. ``listed``: what lists show may have changed with it (it is new, was archived or
    brought back, or its retention changed), so that counts have to be made anew.
    ``left_project``: the project it was in before, when that changed."""

    user: str
    conversation: Mapping[str, Any]
    created: bool
    listed: bool = False
    left_project: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationsAdded(Fact):
    """Whole conversations were written at once: copies and imports. ``projects`` are the
    distinct ones of all of them; of tags nothing is said, since a durable fact outlives what
    it tells of (`Conversations.tag_counts`)."""

    durable: ClassVar[bool] = True
    kept_days: ClassVar[int | None] = 30
    user: str
    conversation_ids: Sequence[str]
    projects: Sequence[str]


@dataclass(frozen=True, slots=True)
class ConversationsDeleted(Fact):
    """Conversations and their messages were deleted. ``all`` when it was everything the user
    had; ``projects``: the distinct projects they were in."""

    durable: ClassVar[bool] = True
    kept_days: ClassVar[int | None] = 30
    user: str
    conversation_ids: Sequence[str]
    all: bool
    projects: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MessagesDeleted(Fact):
    """Single messages were deleted; their conversation stays."""

    durable: ClassVar[bool] = True
    kept_days: ClassVar[int | None] = 30
    user: str
    conversation_id: str
    message_ids: Sequence[str]


class SharedConversations(Protocol):
    """Which conversations have a live shared link."""

    async def shared(self, user: str, conversation_ids: Sequence[str]) -> set[str]: ...


SHARED_CONVERSATIONS: Service[SharedConversations] = Service(
    "conversations.shared", "Which conversations of a user are shared (the list's isShared flag)"
)


class Projects(Protocol):
    """The projects that conversations may be in."""

    async def owns(self, user: str, project_id: str) -> bool:
        """Is this (24-hex text) a project of the user?"""
        ...


PROJECTS: Service[Projects] = Service("conversations.projects", "Projects of conversations")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some documents of everybody's history, whole, in the order in which they changed.
    ``position`` is where to go on, also when there was nothing; ``more``: ask again at once."""

    documents: Sequence[Document]
    position: str
    more: bool


class HistoryFeed(Protocol):
    """Everything that was ever saved, for building an index beside the database."""

    async def changes(
        self, kind: Literal["conversations", "messages"], position: str | None, limit: int
    ) -> FeedPage:
        """What changed since a position (``None``: from the beginning), oldest first.

        At least once: a document comes again when it changes, and a few seconds' worth may
        come twice. Temporary and expired documents come too. What `ConversationsAdded` names
        may not come at all, since it keeps the dates it had elsewhere.
        """
        ...


HISTORY_FEED: Service[HistoryFeed] = Service(
    "conversations.feed", "Changes of everybody's history, for indexes"
)
