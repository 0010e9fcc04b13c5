"""Bookmarks as records of an export."""

from collections.abc import AsyncIterator, MutableMapping

from locutory_contracts.portability import Record
from locutory_tags.routes import LONGEST_DESCRIPTION, LONGEST_TAG
from locutory_tags.service import Tags, TooMany

KIND = "tag"


class PortableTags:
    """Records ``{kind, tag, description?}`` in the order of the list
    (`locutory_contracts.portability.Portable`). Counts follow from the conversations."""

    rank = 20

    def __init__(self, tags: Tags) -> None:
        self._tags = tags

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every bookmark of a user."""
        for row in await self._tags.of(user):
            if not row.get("tag"):  # one of LibreChat's that nobody can name
                continue
            record = {"kind": KIND, "tag": row["tag"]}
            if isinstance(row.get("description"), str):
                record["description"] = row["description"]
            yield record

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one bookmark, as the last one."""
        tag, description = record.get("tag"), record.get("description")
        if not isinstance(tag, str) or not 0 < len(tag) <= LONGEST_TAG:
            raise ValueError(f"A tag needs a name of at most {LONGEST_TAG} characters")
        if not isinstance(description, str | None) or len(description or "") > LONGEST_DESCRIPTION:
            raise ValueError(f"The description of the tag {tag[:50]!r} is no text, or too long")
        try:
            return await self._tags.restore(user, tag, description)
        except TooMany as refused:
            raise ValueError(str(refused)) from None
