"""The memories that belong to a turn (contract memories §4)."""

from bson import ObjectId

from locutory_contracts.chat import Turn
from locutory_memories.service import MemoryScope


def scope_of(turn: Turn) -> MemoryScope:
    """The scope that a turn reads and writes: the agent's own when it keeps its memories to
    itself, else the one that all chats of the user share."""
    principal, agent = turn.principal, turn.agent
    own = agent is not None and agent.get("memory_scope") == "agent"
    name = agent.get("id") if agent is not None and own else None
    return MemoryScope(ObjectId(principal.id), str(name) if name else None, principal.tenant)
