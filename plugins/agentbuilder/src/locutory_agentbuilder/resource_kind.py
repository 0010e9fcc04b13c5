"""Agents as resources whose access can be shared (contract roles §4.1, §4.2)."""

from collections.abc import Sequence

from bson import ObjectId

from locutory import Database
from locutory_agentbuilder.documents import Agent
from locutory_contracts.access import EDIT, OWNER, VIEW, AccessRole

KIND = "agent"
REMOTE = "remoteAgent"
CAPABILITY = "manage:agents"
PERMISSION = "AGENTS"
REMOTE_PERMISSION = "REMOTE_AGENTS"


def _roles(kind: str, words: str) -> tuple[AccessRole, ...]:
    levels = (("viewer", VIEW), ("editor", VIEW | EDIT), ("owner", OWNER))
    return tuple(
        AccessRole(f"{kind}_{level}", bits, f"{words}_{level}", f"{words}_{level}_desc")
        for level, bits in levels
    )


class AgentResource:
    """Implements `locutory_contracts.access.ResourceKind`: use in the client (``agent``), or
    by programs (``remoteAgent``), each with rights of its own on the same agents."""

    capability = CAPABILITY
    missing_is_404 = False

    def __init__(self, database: Database, *, remote: bool = False) -> None:
        self._database = database
        self.permission = REMOTE_PERMISSION if remote else PERMISSION
        self.access_roles: Sequence[AccessRole] = (
            _roles(REMOTE, "com_ui_remote_agent_role") if remote else _roles(KIND, "com_ui_role")
        )

    async def exists(self, resource_id: str) -> bool:
        """``True`` when there is such an agent."""
        if not ObjectId.is_valid(resource_id):
            return False
        key = ObjectId(resource_id)
        return await self._database[Agent].find_one({"_id": key}, {"_id": 1}) is not None
