"""Services and settings that all turns of a kernel share."""

from dataclasses import dataclass

from structlog.stdlib import BoundLogger

from locutory import Events, Services
from locutory_agents.config import AgentsConfig
from locutory_agents.loop.builder import RunBuilder
from locutory_agents.loop.resolver import AgentResolver
from locutory_agents.stores.base import JOB_STORES, JobStore
from locutory_agents.tasks import Tasks
from locutory_agents.turns.steering import PendingSteers
from locutory_agents.turns.title import TitleGenerator
from locutory_contracts.chat import TURN_OBSERVERS, Turn, TurnFinished, TurnOutcome
from locutory_contracts.models import TokenCounter

OBSERVER_SECONDS = 30.0

KEEP_SECONDS = 300.0
"""The seconds for which errors, and with STREAM_KEEP_COMPLETED_JOBS every end, can still be
read."""


@dataclass(frozen=True, slots=True)
class TurnRuntime:
    """Services and settings of turns. ``store_name`` names one of the stores that plugins offer;
    ``show_cost``: clients see the cost of model calls."""

    services: Services
    events: Events
    log: BoundLogger
    config: AgentsConfig
    store_name: str
    resolver: AgentResolver
    runs: RunBuilder
    title_generator: TitleGenerator
    pending_steers: PendingSteers
    tasks: Tasks
    show_cost: bool

    @property
    def store(self) -> JobStore:
        """The chosen store; `LookupError` when no plugin offers it."""
        store = self.services.named(JOB_STORES, self.store_name)
        if store is None:
            raise LookupError(f"there is no job store {self.store_name!r}")
        return store

    @property
    def tokens(self) -> TokenCounter:
        """The token counter."""
        return self.runs.tokens

    @property
    def keep_seconds(self) -> float:
        """Seconds that completed and aborted jobs are kept."""
        return KEEP_SECONDS if self.config.keep_completed_jobs else 0.0

    async def notify_finished(self, turn: Turn, outcome: TurnOutcome) -> None:
        """Notify observers and subscribers of a turn that is saved; their faults are logged."""
        gathered = await self.services.gather(
            TURN_OBSERVERS,
            lambda observer: observer.finished(turn, outcome),
            timeout=OBSERVER_SECONDS,
        )
        for name, error in gathered.failures.items():
            self.log.warning("chat.observer_failed", observer=name, exc_info=error)
        await self.events.publish(TurnFinished(turn, outcome))
