"""One turn, as the objects that run, save and end it share it."""

import asyncio
import time
from collections.abc import Sequence

from locutory import Principal
from locutory_agents.job import Job
from locutory_agents.loop.run import AgentRun
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.stream.recorder import TurnRecorder
from locutory_agents.turns.prepare import PreparedTurn
from locutory_agents.turns.request import ChatRequest
from locutory_agents.turns.runtime import TurnRuntime
from locutory_agents.turns.steering import SteerQueue
from locutory_agents.turns.title import TurnTitle
from locutory_agents.turns.writer import TurnWriter


class TurnState:
    """A turn on the worker that runs it.

    ``prepared`` is there once the model is open, ``runs`` once its prompts are put together.
    ``cut``: an answer broke off. ``ending``: the status that it ends with, or ``REPLACED``;
    ``ended`` is set when the last event is out.
    """

    def __init__(
        self, runtime: TurnRuntime, request: ChatRequest, principal: Principal, job: Job
    ) -> None:
        self.runtime = runtime
        self.request = request
        self.principal = principal
        self.job = job
        self.recorder = TurnRecorder(job, runtime.config.answer_bytes)
        self.steers = SteerQueue()
        self.ledger = UsageLedger(runtime.show_cost)
        self.writer = TurnWriter(runtime.services, runtime.log, job.user, job.record)
        self.title = TurnTitle(
            runtime.title_generator,
            request,
            principal,
            self.recorder,
            self.ledger,
            runtime.tasks,
            runtime.log,
        )
        self.prepared: PreparedTurn | None = None
        self.runs: Sequence[AgentRun] = ()
        self.cut = False
        self.ending: str | None = None
        self.ended = asyncio.Event()
        self._started = time.monotonic()

    @property
    def announced(self) -> bool:
        """``True`` once readers have received the user's message."""
        return self.job.record.announced

    @property
    def seconds(self) -> float:
        """The seconds since the turn started."""
        return time.monotonic() - self._started
