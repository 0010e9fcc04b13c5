"""The account data of this plugin: the bookmarks of a user."""

from collections.abc import AsyncIterator, MutableMapping

from locutory_contracts.account_data import AccountData, Record
from locutory_debounce import DebouncedTask
from locutory_tags.routes import LONGEST_DESCRIPTION, LONGEST_TAG
from locutory_tags.service import Tags, TooMany


class TagData(AccountData):
    """The bookmarks of a user as records ``{kind, tag, description?}`` in the order of the list.
    Counts follow from the conversations."""

    kind = "tag"
    rank = 20

    def __init__(self, tags: Tags, debounced_recount: DebouncedTask) -> None:
        self._tags = tags
        self._debounced_recount = debounced_recount

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every bookmark of a user."""
        for row in await self._tags.of(user):
            if not row.get("tag"):  # one of LibreChat's that nobody can name
                continue
            record = {"kind": self.kind, "tag": row["tag"]}
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

    async def erase(self, user: str) -> None:
        """Delete every bookmark of the user, and count them no more."""
        await self._debounced_recount.forget(user)
        await self._tags.erase(user)
