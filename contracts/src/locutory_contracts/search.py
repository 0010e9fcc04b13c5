"""Full-text search over a user's history (search.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from locutory import Service


class SearchFailed(Exception):
    """The index cannot be asked at the moment."""


@dataclass(frozen=True, slots=True)
class MessageHit:
    """A message that matches, best first."""

    message_id: str
    conversation_id: str


class Search(Protocol):
    """Finds conversations and messages of one user by text. Every word may be the beginning
    of one, and a slip of the pen is forgiven. The index may be a little behind: whoever asks
    reads the documents again under the owner's filter. Raises `SearchFailed`."""

    async def conversations(self, user: str, text: str, limit: int) -> Sequence[str]:
        """Ids of conversations whose title or tags match, best first."""
        ...

    async def messages(self, user: str, text: str, limit: int) -> Sequence[MessageHit]:
        """Messages whose text or sender match, best first."""
        ...


SEARCH: Service[Search] = Service("search", "Full-text search over the history")
