"""Services and settings that all turns of a kernel share."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from structlog.stdlib import BoundLogger

from locutory import Events, Services
from locutory_agents.config import AgentsConfig, LoopLimits
from locutory_agents.jobs.store import Job, JobStore
from locutory_agents.loop.budget import HeuristicCounter, SampledCounter, ToolCounts
from locutory_agents.loop.resolver import AgentResolver
from locutory_agents.turn.tasks import Tasks
from locutory_agents.turn.title_generator import TitleGenerator
from locutory_contracts.chat import TURN_OBSERVERS, Turn, TurnFinished, TurnOutcome
from locutory_contracts.models import TOKENS, TokenCounter

OBSERVER_SECONDS = 30.0

KEEP_SECONDS = 300.0
"""How long errors, and with STREAM_KEEP_COMPLETED_JOBS every end, can still be read."""


@dataclass(frozen=True, slots=True)
class TurnRuntime:
    """Services and settings of turns. ``stop`` ends a job wherever it runs, for a reason of
    `locutory_agents.turn.finalizer`; ``save_pending_steers`` saves steers that no model saw,
    ``discard_steer`` drops one that became a turn."""

    services: Services
    events: Events
    log: BoundLogger
    store: JobStore
    config: AgentsConfig
    limits: LoopLimits
    resolver: AgentResolver
    title_generator: TitleGenerator
    tasks: Tasks
    tool_counts: ToolCounts
    show_cost: bool
    stop: Callable[[Job, str], Awaitable[object]]
    save_pending_steers: Callable[[Job, Sequence[Mapping[str, Any]]], Awaitable[None]]
    discard_steer: Callable[[str, str, str], Awaitable[None]]

    @property
    def tokens(self) -> TokenCounter:
        """The token counter; an estimate when no plugin offers one."""
        return SampledCounter(self.services.find(TOKENS) or HeuristicCounter())

    async def notify_finished(self, turn: Turn, outcome: TurnOutcome) -> None:
        """Notify observers and subscribers of a turn that is saved; their faults are logged."""
        gathered = await self.services.gather(
            TURN_OBSERVERS,
            lambda observer: observer.finished(turn, outcome),
            timeout=OBSERVER_SECONDS,
        )
        for name, error in gathered.failures.items():
            self.log.warning("chat.observer_failed", observer=name, exc_info=error)
        await self.events.tell(TurnFinished(turn, outcome))

    @property
    def keep_seconds(self) -> float:
        """Seconds that completed and aborted jobs are kept."""
        return KEEP_SECONDS if self.config.keep_completed_jobs else 0.0
