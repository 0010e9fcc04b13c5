"""Full-text search over a user's history (search.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from locutory import Service


class SearchFailed(Exception):
    """The index is not available at the moment."""


@dataclass(frozen=True, slots=True)
class MessageHit:
    """A matching message."""

    message_id: str
    conversation_id: str


class Search(Protocol):
    """Finds conversations and messages of one user by text. Every word matches the beginnings of
    words, and small typing errors are tolerated. The index may be slightly out of date: callers
    read the documents again with the owner's id as a filter. Raises `SearchFailed`."""

    async def conversations(self, user: str, text: str, limit: int) -> Sequence[str]:
        """The ids of conversations whose title or tags match, best first."""
        ...

    async def messages(self, user: str, text: str, limit: int) -> Sequence[MessageHit]:
        """Messages whose text or sender match, best first."""
        ...


SEARCH: Service[Search] = Service("search", "Full-text search over the history")
