"""A user's data as one stream, to take away and to bring back (`GET /api/convos/export`)."""

from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any, Protocol

from locutory import Extension

Record = Mapping[str, Any]
"""One line of an export: a JSON object ``{"kind": …, …}`` without the user's id and without
anything that only one server knows, secrets first of all."""


class Portable(Protocol):
    """What a plugin stores for a user, as records. Registered under its kind of record."""

    rank: int
    """Smaller ones are written, and so restored, first: what others refer to."""

    def export(self, user: str) -> AsyncIterator[Record]:
        """Every record of the user, one at a time, never all in memory."""
        ...

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one record; false when the user has it already. ``ids`` maps the ids of
        records that were restored before to their new ones, and is added to. Raises
        `ValueError` with a sentence for the user when the record makes no sense."""
        ...


PORTABLE: Extension[Portable] = Extension("account.portable", "Kinds of records of an export")
