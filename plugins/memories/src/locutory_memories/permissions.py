"""The permissions to use memories, and where (contract memories §1, §4)."""

from collections.abc import Mapping

from bson import ObjectId

from locutory import ConfigRef, Policy, Principal
from locutory_contracts.chat import Turn
from locutory_memories.memory_config import CAPABILITY, MemoryConfig

GROUP = "MEMORIES"


def opted_out(principal: Principal) -> bool:
    """``True`` when the user wants no memories in their chats."""
    wishes = principal.account.get("personalization")
    return isinstance(wishes, Mapping) and wishes.get("memories") is False


class MemoryPermissions:
    """Permissions that no route can declare."""

    def __init__(
        self,
        config: ConfigRef[MemoryConfig],
        policy: Policy,
    ) -> None:
        self._config = config
        self._policy = policy

    async def allows(self, principal: Principal, *actions: str) -> bool:
        """``True`` when the caller has all of these permissions."""
        for action in actions:
            if not await self._policy.allows(principal, GROUP, action):
                return False
        return True

    async def in_chat(self, principal: Principal, *actions: str) -> bool:
        """``True`` when the chats of this user use memories, and the user has these permissions
        besides."""
        if not self._config.current.enabled or not ObjectId.is_valid(principal.id):
            return False
        if opted_out(principal):
            return False
        return await self.allows(principal, "USE", *actions)

    async def inline(self, turn: Turn, *actions: str) -> bool:
        """``True`` when the model of this turn gets the tools that need these permissions."""
        if not self._config.current.inline or not _asked_for(turn):
            return False
        return await self.in_chat(turn.principal, *actions)


def _asked_for(turn: Turn) -> bool:
    """The capability ``memory``: a stored agent has it among its tools, a plain model by the
    chat bar or its spec."""
    if turn.agent is None:
        return turn.options.get(CAPABILITY) is True
    tools = turn.agent.get("tools")
    return isinstance(tools, list) and CAPABILITY in tools
