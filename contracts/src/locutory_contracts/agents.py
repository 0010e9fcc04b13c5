"""Agents that users make: a model with instructions and tools under a name (agents.md)."""

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
"""Declared by each plugin that asks for it: one may be there without the other."""

StoredAgent = Mapping[str, Any]
"""A stored agent, the whole document (agents §3, §9): ``id`` is its public id (``agent_…``), ``_id`` the
ObjectId by which access is granted; ``name``, ``instructions``, ``provider`` (an endpoint), ``model``,
``model_parameters``, ``tools`` (names), ``tool_resources``, ``edges``, ``versions``, ``author`` (ObjectId).
What was never set is absent."""


class StoredAgents(Protocol):
    """Finds agents and says who may use them."""

    async def find(self, agent_id: str) -> StoredAgent | None:
        """An agent by its public id, whoever made it."""
        ...

    async def decide(
        self, principal: Principal, agent: StoredAgent, needed: int = VIEW, *, remote: bool = False
    ) -> Decision:
        """May the caller do ``needed`` with it? ``remote``: from a program, by the rights on
        ``remoteAgent``; who may share the agent may use it from there too (agents-api §2)."""
        ...

    async def reachable(self, principal: Principal) -> Sequence[StoredAgent]:
        """The agents that the caller's programs may use, newest change first: VIEW on
        ``remoteAgent`` (agents-api §3)."""
        ...


STORED_AGENTS: Service[StoredAgents] = Service("agents.stored", "Agents that users made")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool call of an agent is over: ``output`` is what the model was told. An attachment is a file
    (``file_id``, ``filename``, ``filepath``, ``type``) or ``{type, <type>: …}``, each with
    ``messageId``, ``toolCallId`` and ``conversationId`` (chat-stream §6.4)."""

    call_id: str
    output: str
    attachments: Sequence[Mapping[str, Any]] = ()


AgentEvent = TextDelta | ReasoningDelta | ToolCallDelta | ToolResult | Finished | Usage
"""What an agent does as a program sees it. ``index`` of `ToolCallDelta` numbers the calls of
the whole run; the first piece of a call brings ``id`` and ``name``. `Finished` comes once, after
all that was said: why the last answer ended, as ``stop``, ``length``, ``content_filter`` or
``tool_calls``. `Usage` is the sum of all model calls and comes once, last; calls whose provider
told nothing are in it as they were counted to be paid."""


@dataclass(frozen=True, slots=True)
class AgentTask:
    """What a program wants of an agent. ``messages`` are in the OpenAI chat shape, the last
    one from the user; ``body`` is what extensions see as the request's body."""

    agent: StoredAgent
    messages: Sequence[Mapping[str, Any]]
    conversation_id: str
    response_id: str
    body: Mapping[str, Any] = field(default_factory=dict)


class AgentRuns(Protocol):
    """Runs an agent without a conversation: nothing is saved."""

    def run(self, principal: Principal, task: AgentTask) -> AsyncIterator[AgentEvent]:
        """The run, tools and all. Closing the iterator ends it. What it used is told as
        `UsageReported`. Raises `ModelFailure`, `ModelRefused`, `TurnRefused`; the first
        event comes after the model was asked."""
        ...


AGENT_RUNS: Service[AgentRuns] = Service("agents.runs", "Running agents for programs")
