"""Number of conversations of a project, and the one used last (contract projects §3)."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from bson import ObjectId

from locutory import Collection, Database, Services, now
from locutory_contracts.conversations import (
    CONVERSATIONS,
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
)
from locutory_debounce import DebouncedTask
from locutory_projects.documents import ChatProject, Recount

_ATTEMPTS = 8
_REMEMBERED = 10_000
_FIELDS = ("conversationCount", "lastConversationAt", "lastConversationId")


class Statistics:
    """Keeps the three fields of a project equal to the state of its conversations. They are
    computed again when a conversation is added, removed, archived or unarchived, and written only
    over the values that were there before, so that of several servers the last one leaves them
    right. An ordinary save only moves the "last" two forward."""

    def __init__(
        self, database: Database, services: Services, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._database = database
        self._services = services
        self._log = log
        self.debounced_recount = DebouncedTask(self._recount, lambda: database[Recount], log)
        # Project → newest activity that was written. A conversation that is no newer, such
        # as one of thousands whose tag is renamed, needs no look at the database.
        self._latest: OrderedDict[str, datetime] = OrderedDict()

    @property
    def _projects(self) -> Collection:
        return self._database[ChatProject]

    async def request_recount(self, user: str, project_id: Any) -> None:
        """Request a new computation of a project's statistics; does nothing for an invalid id."""
        if isinstance(project_id, str) and len(project_id) == 24 and ObjectId.is_valid(project_id):
            await self.debounced_recount.request(f"{user}:{project_id}")

    async def flush(self, user: str, project_id: str | None = None) -> None:
        """Do the pending counts of one project, or of all, for callers that read them."""
        if project_id is not None:
            await self.debounced_recount.flush(f"{user}:{project_id}")
            return
        for key in self.debounced_recount.waiting():
            if key.startswith(f"{user}:"):
                await self.debounced_recount.flush(key)

    async def saved(self, fact: ConversationSaved) -> None:
        """A conversation was written."""
        project = fact.conversation.get("chatProjectId")
        if fact.left_project and fact.left_project != project:
            await self.request_recount(fact.user, fact.left_project)
        if not isinstance(project, str) or not ObjectId.is_valid(project):
            return
        counts = fact.created or fact.listed or fact.left_project
        if counts or not await self._touch(fact.user, project, fact.conversation):
            await self.request_recount(fact.user, project)

    async def counted(self, fact: ConversationsAdded | ConversationsDeleted) -> None:
        """Conversations were added or deleted."""
        for project in fact.projects:
            await self.request_recount(fact.user, project)

    async def forget(self, user: str) -> None:
        """Drop the pending counts of a deleted user."""
        await self.debounced_recount.forget(f"{user}:")

    async def _touch(self, user: str, project: str, conversation: Mapping[str, Any]) -> bool:
        """Handle an ordinary save: its conversation becomes the last one, unless a newer one is.
        ``False`` when lists do not show it, so that the statistics must be computed again."""
        moment = conversation.get("updatedAt")
        if not shown(conversation) or not isinstance(moment, datetime):
            return False
        latest = self._latest.get(project)
        if latest is not None and moment <= latest:
            return True
        key = {"_id": ObjectId(project), "user": user}
        identity = conversation["conversationId"]
        change = {
            "$set": {
                "lastConversationAt": moment,
                "lastConversationId": identity,
                "updatedAt": now(),
            }
        }
        for before in ({"$lt": moment}, None):
            done = await self._projects.update_one({**key, "lastConversationAt": before}, change)
            if done.matched_count:
                break
        else:  # a newer one is the last, or there is no such project
            self._remember(project, moment)
            return True
        self._remember(project, moment)
        # It may have been archived, moved or deleted, and all been counted, between its save
        # and our write.
        conversations = self._services.find(CONVERSATIONS)
        if conversations is None:
            return True
        current = await conversations.find(user, identity)
        return current is not None and current.get("chatProjectId") == project and shown(current)

    async def _recount(self, key: str) -> None:
        user, _, project = key.partition(":")
        conversations = self._services.find(CONVERSATIONS)
        if conversations is None or not ObjectId.is_valid(project):
            return
        row_key = {"_id": ObjectId(project), "user": user}
        for _ in range(_ATTEMPTS):
            before = await self._projects.find_one(row_key, dict.fromkeys(_FIELDS, 1))
            if before is None:
                return
            summary = await conversations.project_summary(user, project)
            after = dict(
                zip(_FIELDS, (summary.count, summary.last_at, summary.last_id), strict=True)
            )
            if all(name in before and before[name] == after[name] for name in _FIELDS):
                return
            same = {**row_key, **{name: before.get(name) for name in _FIELDS}}
            changed = await self._projects.update_one(same, {"$set": {**after, "updatedAt": now()}})
            if changed.matched_count:
                if summary.last_at is None:
                    self._latest.pop(project, None)
                else:
                    self._remember(project, summary.last_at)
                return
        self._log.warning("projects.busy", user=user, project=project)

    def _remember(self, project: str, moment: datetime) -> None:
        self._latest[project] = moment
        self._latest.move_to_end(project)
        if len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)


def shown(conversation: Mapping[str, Any]) -> bool:
    """``True`` when lists show this conversation: it is not archived, temporary or expired
    (contract convos §2.1)."""
    if conversation.get("isArchived") is True:
        return False
    temporary, expires = conversation.get("isTemporary"), conversation.get("expiredAt")
    if temporary is None:
        return expires is None
    return temporary is False and (not isinstance(expires, datetime) or expires > now())
