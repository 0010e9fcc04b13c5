"""The interface of an index for the rest of the plugin."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from locutory_contracts.search import Search
from locutory_search.entries import Entry

DeletionTarget = Literal["conversation", "message", "user"]
"""The kind of thing that is deleted."""


class IndexFailed(Exception):
    """A search server does not answer, or refuses."""


def now_ms() -> int:
    """The moment in ms since 1970."""
    return time.time_ns() // 1_000_000


class Backend(Search, Protocol):
    """An index: it is searched, receives changes, and follows the history by itself."""

    def take(self, entry: Entry) -> None:
        """Receive a changed document. That happens at once, and without a guarantee: a lost one
        comes again with the feed."""
        ...

    async def added(self, user: str, conversation_ids: Sequence[str]) -> None:
        """Whole conversations were added; noted durably, indexed soon."""
        ...

    async def deleted(self, target: DeletionTarget, user: str, ids: Sequence[str] = ()) -> None:
        """Note deletions durably. Normally the entries are deleted when this returns; large
        deletions continue in the background."""
        ...

    async def start(self) -> None:
        """Begin to follow the history."""
        ...

    async def drain(self) -> None:
        """Write the received documents."""
        ...

    async def stop(self) -> None:
        """Let go of everything."""
        ...

    async def is_available(self) -> bool:
        """``True`` when users may search."""
        ...

    async def advice(self) -> str | None:
        """Advice to an administrator; ``None`` when all is well."""
        ...

    async def status(self) -> Mapping[str, Any]:
        """For ``locutory search status``; of a kernel that is not started."""
        ...

    async def rebuild(self) -> None:
        """Delete the index, so that a server builds it again; called on a kernel that is not
        started."""
        ...
