"""The account data of this plugin: the projects of a user."""

from collections.abc import AsyncIterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

from locutory import now
from locutory_contracts.account_data import AccountData, Record
from locutory_projects.service import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    NoProject,
    Projects,
    cut,
)
from locutory_projects.statistics import Statistics


class ProjectData(AccountData):
    """Records ``{kind, id, name, description, createdAt}``. Statistics follow from the
    conversations."""

    kind = "project"
    rank = 0  # conversations refer to them

    def __init__(self, projects: Projects, statistics: Statistics) -> None:
        self._projects = projects
        self._statistics = statistics

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every project of a user, oldest first."""
        async for row in self._projects.stream(user):
            yield {
                "kind": self.kind,
                "id": str(row["_id"]),
                "name": row["name"],
                "description": row.get("description") or "",
                "createdAt": row.get("createdAt") or row["_id"].generation_time,
            }

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one project, under a new id unless the user has it still: known by its
        id, or by its name and the moment of its creation."""
        given = record.get("id")
        name, description = record.get("name"), record.get("description")
        name = cut(name, LONGEST_NAME) if isinstance(name, str) else ""
        if not name:
            raise ValueError("A project needs a name")
        if not isinstance(description, str | None):
            raise ValueError(f"The description of the project {name!r} is no text")
        created = _moment(record.get("createdAt"))
        row = None
        if isinstance(given, str):
            try:
                row = await self._projects.find(user, given)
            except NoProject:
                row = None
        if row is None and created is not None:
            row = await self._projects.made(user, name, created)
        is_new = row is None
        if row is None:
            text = cut(description or "", LONGEST_DESCRIPTION)
            row = await self._projects.create(user, name, text, created=created)
        if isinstance(given, str):
            ids[given] = str(row["_id"])
        return is_new

    async def erase(self, user: str) -> None:
        """Delete every project of the user, and count them no more."""
        await self._statistics.forget(user)
        await self._projects.erase(user)


def _moment(value: Any) -> datetime | None:
    """A date of a record, in whole milliseconds and not in the future; `ValueError`."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        # What no calendar holds in UTC is an OverflowError, what is no date an AttributeError.
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ValueError("createdAt of a project is no date") from None
    return min(moment.replace(microsecond=moment.microsecond // 1000 * 1000), now())
