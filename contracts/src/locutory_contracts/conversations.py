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
"""Cache namespace in which a new title is kept until it is fetched once, key ``<user
id>-<conversation id>``, for 120 s."""

Document = dict[str, Any]
"""A stored document: dates are aware ``datetime``, ids ObjectId, text and numbers plain."""


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """The visible conversations of a project: their number, and the one that was used last."""

    count: int
    last_at: datetime | None
    last_id: str | None


class Conversations(Protocol):
    """The history of one user at a time: ``user`` is the owner's id, and another user's documents
    are never found. ``temporary=None`` leaves the retention fields unchanged."""

    async def find(self, user: str, conversation_id: str) -> Document | None:
        """The whole conversation document, or ``None``."""
        ...

    async def owner(self, conversation_id: str) -> str | None:
        """The owner's id of any conversation, or ``None``; used to refuse ids of other users."""
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
        """Upsert by owner and id (convos §3): ``messages`` are set to the stored ones,
        ``updatedAt`` is renewed, the expiry of a temporary conversation starts again, and a
        ``chatProjectId`` that is none of the owner's is unset. ``replace_settings`` unsets the
        stored settings that ``fields`` does not name; ``create=False`` never inserts and may return
        ``None``."""
        ...

    async def message(self, user: str, message_id: str) -> Document | None:
        """One message document, or ``None``."""
        ...

    async def messages(self, user: str, conversation_id: str) -> list[Document]:
        """All messages of a conversation as whole documents, by ascending ``createdAt``."""
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
        """Upsert by (``messageId``, user) and return the document. Members that are not given keep
        their stored value. ``ValueError`` when ``conversationId`` is not a UUID."""
        ...

    async def retain(self, user: str, temporary: bool | None) -> Mapping[str, Any]:
        """The retention fields (``isTemporary``, ``expiredAt``) for a new document."""
        ...

    async def mark(
        self, user: str, conversation_id: str, fields: Mapping[str, Any]
    ) -> Document | None:
        """Set ``tags`` or ``chatProjectId`` (``None`` unsets) of an existing conversation;
        ``updatedAt`` stays. Return the whole document, ``None`` when the user has no such
        conversation."""
        ...

    async def replace_tag(self, user: str, tag: str, new: str | None) -> int:
        """Rename a tag in all conversations of a user, or remove it (``None``); ``updatedAt``
        stays. Return the number of changed conversations."""
        ...

    async def tag_counts(self, user: str, tags: Sequence[str]) -> Mapping[str, int]:
        """Tag → number of the user's conversations that have it, 0 included."""
        ...

    async def project_summary(self, user: str, project_id: str) -> ProjectSummary:
        """The summary of the conversations of a project that lists show: those that are not
        archived, temporary or expired."""
        ...

    async def leave_project(self, user: str, project_id: str) -> int:
        """Unset the project of all its conversations; ``updatedAt`` stays. Return the number of
        changed conversations."""
        ...

    async def add(
        self, user: str, conversation: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
    ) -> Document:
        """Insert a whole new conversation (a copy, an import) in bulk. Ids and dates are stored as
        given and must be new; unknown fields are dropped, the deployment's retention is applied,
        and a ``chatProjectId`` of another user is left out. Messages need ``messageId``,
        ``parentMessageId`` and ``createdAt``. Publishes `ConversationsAdded`."""
        ...


CONVERSATIONS: Service[Conversations] = Service(
    "conversations", "Stored conversations and messages"
)


@dataclass(frozen=True, slots=True)
class MessageSaved(Fact):
    """A message was saved. ``message`` is its whole document."""

    user: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConversationSaved(Fact):
    """A conversation was saved. ``conversation`` is its whole document; ``created``: it was
    inserted. ``listed``: lists may have changed (it is new, was archived or unarchived, or its
    retention changed), so that counts must be computed again. ``left_project``: its former project,
    when that changed."""

    user: str
    conversation: Mapping[str, Any]
    created: bool
    listed: bool = False
    left_project: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationsAdded(Fact):
    """Whole conversations were inserted at once: copies and imports. ``projects`` are the distinct
    projects of all of them. Tags are not included, since they may change while a durable fact is
    kept (`Conversations.tag_counts`)."""

    durable: ClassVar[bool] = True
    kept_days: ClassVar[int | None] = 30
    user: str
    conversation_ids: Sequence[str]
    projects: Sequence[str]


@dataclass(frozen=True, slots=True)
class ConversationsDeleted(Fact):
    """Conversations and their messages were deleted. ``all``: these were all conversations of the
    user; ``projects``: the distinct projects they were in."""

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
    """Finds the conversations that have a live shared link."""

    async def shared(self, user: str, conversation_ids: Sequence[str]) -> set[str]: ...


SHARED_CONVERSATIONS: Service[SharedConversations] = Service(
    "conversations.shared", "Which conversations of a user are shared (the list's isShared flag)"
)


class Projects(Protocol):
    """The projects that conversations may belong to."""

    async def owns(self, user: str, project_id: str) -> bool:
        """``True`` when the 24-hex id is that of a project of the user."""
        ...


PROJECTS: Service[Projects] = Service("conversations.projects", "Projects of conversations")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some documents of all users' history, whole, in the order of their changes. ``position`` is
    where the next call continues, also when there were none; ``more``: call again at once."""

    documents: Sequence[Document]
    position: str
    more: bool


class HistoryFeed(Protocol):
    """All saved documents, for building an index outside of the database."""

    async def changes(
        self, kind: Literal["conversations", "messages"], position: str | None, limit: int
    ) -> FeedPage:
        """The changes since a position (``None``: from the beginning), oldest first.

        At least once: a document is returned again when it changes, and those of a few seconds may
        be returned twice. Temporary and expired documents are included. Those of
        `ConversationsAdded` may be missing, since they keep their original dates.
        """
        ...


HISTORY_FEED: Service[HistoryFeed] = Service(
    "conversations.feed", "Changes of everybody's history, for indexes"
)
