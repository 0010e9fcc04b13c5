"""Building a run from an agent and a question: tools, prompt, budget."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from structlog.stdlib import BoundLogger

from locutory import Services
from locutory_agents.config import LoopLimits
from locutory_agents.loop.agent import Agent
from locutory_agents.loop.budget import SYSTEM, Budget, ToolCounts, token_counter, window
from locutory_agents.loop.history import Item, Message
from locutory_agents.loop.instructions import added_context, with_variables
from locutory_agents.loop.run import AgentRun, Prompt, Steers
from locutory_agents.loop.tools import ToolRunner, offered
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.stream.recorder import TurnRecorder
from locutory_contracts.chat import Tool, Turn
from locutory_contracts.models import TokenCounter


@dataclass(frozen=True, slots=True)
class Offer:
    """The additions of other plugins to an agent's turn: tools, and text for the system prompt."""

    turn: Turn
    tools: Sequence[Tool]
    context: str


@dataclass(frozen=True, slots=True)
class Question:
    """The question to an agent. ``history`` may be left out of a prompt that is too long,
    ``current`` may not; ``system`` are instructions besides the agent's own; ``headers`` identify
    the turn, as in `ModelCall.headers_context`."""

    history: Sequence[Item]
    current: Sequence[Message]
    headers: Mapping[str, str]
    system: Sequence[str] = ()


class RunBuilder:
    """Builds the runs of agents, for conversations and for programs."""

    def __init__(self, services: Services, limits: LoopLimits, log: BoundLogger) -> None:
        self._services = services
        self._limits = limits
        self._log = log
        self._tool_counts = ToolCounts()

    @property
    def tokens(self) -> TokenCounter:
        """The token counter."""
        return token_counter(self._services)

    async def offer(self, turn: Turn) -> Offer:
        """The additions of other plugins; those of sources that are slow or raise are left out."""
        tools, context = await asyncio.gather(
            offered(self._services, turn, self._log),
            added_context(self._services, turn, self._log),
        )
        return Offer(turn, tools, context)

    def build(
        self,
        agent: Agent,
        offer: Offer,
        question: Question,
        recorder: TurnRecorder,
        ledger: UsageLedger,
        steers: Steers | None = None,
    ) -> AgentRun:
        """A run that can start; ``recorder`` receives its output, ``ledger`` its usage."""
        turn, tokens, limits = offer.turn, self.tokens, self._limits
        if agent.stored is not None:
            limits = limits.of_agent(agent.stored.get("recursion_limit"))
        own = with_variables(agent.instructions, turn.body, turn.principal.account)
        instructions = "\n\n".join(text for text in (own, *question.system) if text)
        budget = Budget(
            window=window(agent.model),
            system=tokens.count(instructions) + SYSTEM if instructions else 0,
            dynamic=tokens.count(offer.context) if offer.context else 0,
            tools=self._tool_counts.count(offer.tools, tokens),
            tokens=tokens,
        )
        prompt = Prompt(
            system="\n\n".join(text for text in (instructions, offer.context) if text),
            history=question.history,
            current=question.current,
            headers=question.headers,
        )
        return AgentRun(
            agent,
            prompt,
            recorder,
            ToolRunner(offer.tools, turn, limits.output_characters, self._log),
            budget,
            limits,
            ledger,
            steers,
        )
