"""Projects of users (contract projects)."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId

from locutory import Collection, Database, Raw, Services, now
from locutory_contracts.conversations import CONVERSATIONS
from locutory_projects.documents import ChatProject
from locutory_projects.listing import Page, read_page
from locutory_projects.statistics import Statistics

LONGEST_NAME = 100
LONGEST_DESCRIPTION = 1000
_HIDDEN = ("subagentThreadLease", "_meiliIndex")


class NoProject(Exception):
    """The user has no such project."""


class NoConversation(Exception):
    """The user has no such conversation."""


class Projects:
    """The collection ``chatprojects``, and who is in it
    (`locutory_contracts.conversations.Projects`). ``user`` is the owner's id; the projects of
    others are never found, and an id of a wrong form finds nothing."""

    def __init__(self, database: Database, services: Services, statistics: Statistics) -> None:
        self._database = database
        self._services = services
        self._statistics = statistics

    @property
    def _projects(self) -> Collection:
        return self._database[ChatProject]

    async def owns(self, user: str, project_id: str) -> bool:
        """``True`` when the 24-hex id is that of a project of the user."""
        key = key_of(user, project_id)
        return key is not None and await self._projects.find_one(key, {"_id": 1}) is not None

    async def page(self, user: str, page: Page) -> tuple[list[Raw], str | None]:
        """Some projects, and the cursor of those that follow."""
        await self._statistics.flush(user)
        return await read_page(self._projects, user, page)

    async def stream(self, user: str) -> AsyncIterator[Raw]:
        """Every project of a user, oldest first."""
        async for row in self._projects.find({"user": user}).sort("_id", 1):
            yield row

    async def find(self, user: str, project_id: str) -> Raw:
        """One project. `NoProject`."""
        await self._statistics.flush(user, project_id)
        key = key_of(user, project_id)
        row = None if key is None else await self._projects.find_one(key)
        if row is None:
            raise NoProject
        return row

    async def create(
        self,
        user: str,
        name: str,
        description: str,
        *,
        tenant: str | None = None,
        created: datetime | None = None,
    ) -> Raw:
        """A new, empty project."""
        moment = now()
        row: Raw = {
            "name": name,
            "description": description,
            "user": user,
            "conversationCount": 0,
            "lastConversationAt": None,
            "lastConversationId": None,
            "createdAt": created or moment,
            "updatedAt": moment,
            "__v": 0,
        }
        if tenant:
            row["tenantId"] = tenant
        await self._projects.insert_one(row)
        return row

    async def made(self, user: str, name: str, created: datetime) -> Raw | None:
        """The project of this name and this date of creation."""
        return await self._projects.find_one({"user": user, "name": name, "createdAt": created})

    async def change(self, user: str, project_id: str, fields: Mapping[str, str]) -> Raw:
        """Set ``name`` or ``description``; nothing to set changes nothing. `NoProject`."""
        key = key_of(user, project_id)
        if key is None:
            raise NoProject
        if fields:
            await self._projects.update_one(key, {"$set": {**fields, "updatedAt": now()}})
        return await self.find(user, project_id)

    async def delete(self, user: str, project_id: str) -> int:
        """Delete a project, and unset it in its conversations; return their number. Raises
        `NoProject`."""
        identity = await self._id(user, project_id)
        conversations, project = self._services.get(CONVERSATIONS), str(identity)
        # The conversations first: after a crash in between, trying again finds the project.
        # And once more, for one that came in meanwhile; now nobody may enter any more.
        left = await conversations.leave_project(user, project)
        await self._projects.delete_one({"_id": identity, "user": user})
        return left + await conversations.leave_project(user, project)

    async def assign(
        self, user: str, conversation_id: str, project_id: str | None
    ) -> tuple[Raw, str | None, str | None]:
        """Move a conversation into a project, or (``None``) out of any: the whole document,
        the project before, the project now. `NoConversation`, `NoProject`."""
        conversations = self._services.get(CONVERSATIONS)
        before = await conversations.find(user, conversation_id)
        if before is None:
            raise NoConversation
        # Not `find`, which would count the project anew before each of many moves.
        project = None if project_id is None else str(await self._id(user, project_id))
        after = await conversations.mark(user, conversation_id, {"chatProjectId": project})
        if after is None:
            raise NoConversation
        if project is not None and not await self.owns(user, project):  # deleted meanwhile
            await conversations.mark(user, conversation_id, {"chatProjectId": None})
            raise NoProject
        previous = before.get("chatProjectId") or None
        if previous == project and project is not None:  # no move, so nobody counted
            await self._statistics.request_recount(user, project)
        shown = {name: value for name, value in after.items() if name not in _HIDDEN}
        return shown, previous, project

    async def _id(self, user: str, project_id: str) -> ObjectId:
        """The id of a project of the user. `NoProject`."""
        key = key_of(user, project_id)
        row = None if key is None else await self._projects.find_one(key, {"_id": 1})
        if row is None:
            raise NoProject
        return ObjectId(row["_id"])

    async def erase(self, user: str) -> None:
        """Delete every project of a user."""
        await self._projects.delete_many({"user": user})


def key_of(user: str, project_id: Any) -> dict[str, Any] | None:
    """The filter of one project; ``None`` for an id of a wrong form."""
    if not isinstance(project_id, str) or len(project_id) != 24:
        return None
    return {"_id": ObjectId(project_id), "user": user} if ObjectId.is_valid(project_id) else None


def cut(text: str, longest: int) -> str:
    """Trimmed, and cut to ``longest`` characters as LibreChat counts them (UTF-16)."""
    text = text.strip()
    if 2 * len(text) <= longest:
        return text
    return text.encode("utf-16-le")[: 2 * longest].decode("utf-16-le", "ignore").strip()
