"""Agents that users create: a model with instructions and tools under a name (agents.md)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from locutory import Action, Decision, PermissionGroup, Principal, Service
from locutory_contracts.access import VIEW
from locutory_contracts.models import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage

AGENTS_PERMISSIONS = PermissionGroup(
    "AGENTS",
    {
        "USE": Action(user=True, summary="See agents and talk to them"),
        "CREATE": Action(user=True, summary="Make agents"),
        "SHARE": Action(user=False, summary="Share agents with others"),
        "SHARE_PUBLIC": Action(user=False, summary="Share agents with everybody"),
    },
    "Agents",
)
"""Declared by each plugin that asks for it, since each of them may be installed without the
others."""

StoredAgent = Mapping[str, Any]
"""A stored agent, the whole document (agents §3, §9): ``id`` is its public id (``agent_…``),
``_id`` the ObjectId by which access is granted; ``name``, ``instructions``, ``provider`` (an
endpoint), ``model``, ``model_parameters``, ``tools`` (names), ``tool_resources``, ``edges``,
``versions``, ``author`` (ObjectId). Members that were never set are absent."""


class StoredAgents(Protocol):
    """Finds agents, and decides on access to them."""

    async def find(self, agent_id: str) -> StoredAgent | None:
        """An agent by its public id, regardless of its author; ``None`` when there is none."""
        ...

    async def decide(
        self, principal: Principal, agent: StoredAgent, needed: int = VIEW, *, remote: bool = False
    ) -> Decision:
        """A positive decision when the caller has the rights ``needed`` on the agent. ``remote``:
        the caller is a program, and the rights on ``remoteAgent`` count; who may share the agent
        may also use it that way (agents-api §2)."""
        ...

    async def reachable(self, principal: Principal) -> Sequence[StoredAgent]:
        """The agents that the caller's programs may use, last changed first: those with VIEW on
        ``remoteAgent`` (agents-api §3)."""
        ...


STORED_AGENTS: Service[StoredAgents] = Service("agents.stored", "Agents that users made")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool call of an agent has ended: ``output`` is the text that the model received. An
    attachment is a file (``file_id``, ``filename``, ``filepath``, ``type``) or ``{type, <type>:
    …}``, each with ``messageId``, ``toolCallId`` and ``conversationId`` (chat-stream §6.4)."""

    call_id: str
    output: str
    attachments: Sequence[Mapping[str, Any]] = ()


AgentEvent = TextDelta | ReasoningDelta | ToolCallDelta | ToolResult | Finished | Usage
"""An event of a run as a program receives it. ``index`` of `ToolCallDelta` numbers the calls of the
whole run; the first piece of a call has ``id`` and ``name``. `Finished` comes once, after all text,
with the reason of the last answer's end: ``stop``, ``length``, ``content_filter`` or
``tool_calls``. `Usage` is the sum over all model calls and comes once, last; calls whose provider
reported no usage are included as they were counted for payment."""


@dataclass(frozen=True, slots=True)
class AgentTask:
    """The request of a program to an agent. ``messages`` are in the OpenAI chat shape, the last one
    from the user; ``body`` is passed to extensions as the request's body."""

    agent: StoredAgent
    messages: Sequence[Mapping[str, Any]]
    conversation_id: str
    response_id: str
    body: Mapping[str, Any] = field(default_factory=dict)


class AgentRuns(Protocol):
    """Runs an agent without a conversation: nothing is saved."""

    def run(self, principal: Principal, task: AgentTask) -> AsyncIterator[AgentEvent]:
        """Run the agent, with its tools, and yield events. Closing the iterator ends the run. Usage
        is published as `UsageReported`. Raises `ModelFailure`, `ModelRefused`, `TurnRefused`; the
        first event comes after the first request to the model."""
        ...


AGENT_RUNS: Service[AgentRuns] = Service("agents.runs", "Running agents for programs")
