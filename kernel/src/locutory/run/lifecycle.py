"""Start-up in eleven named phases, and shutdown in reverse."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from locutory.errors import Problem, StartupError
from locutory.plugins.plugin import PHASES, Phase, PhaseTask
from locutory_configfile import nearest

log = structlog.get_logger("locutory.start")

Run = Callable[[], Awaitable[None]]
KERNEL = "kernel"


class Lifecycle:
    """Runs phase tasks, and records them so that they can be undone in reverse order."""

    def __init__(self) -> None:
        self._tasks: list[tuple[str, PhaseTask]] = []
        self._done: list[tuple[str, PhaseTask]] = []
        self.seconds: dict[Phase, float] = {}
        self.ready = False

    def add(self, owner: str, task: PhaseTask) -> None:
        """Register a task of a plugin (or of 'kernel') for its phase; `StartupError` when there is
        no such phase, since the task would never run."""
        if task.phase not in PHASES:
            text = f"{task.name}: there is no phase '{task.phase}'"
            fix = nearest(task.phase, PHASES) or f"the phases are: {', '.join(PHASES)}"
            raise StartupError(Problem(f"plugin {owner}", text, fix, owner))
        self._tasks.append((owner, task))

    async def run(self, phases: Sequence[Phase]) -> None:
        """Run the tasks of the given phases, phase by phase, in plugin order."""
        for phase in phases:
            started = time.perf_counter()
            for owner, task in self._tasks:
                if task.phase == phase:
                    await self._run(owner, task)
            self.seconds[phase] = time.perf_counter() - started
            log.info(
                "start.phase",
                phase=phase,
                number=PHASES.index(phase) + 1,
                ms=round(self.seconds[phase] * 1000, 1),
            )
        if phases[-1] == PHASES[-1]:
            self.ready = True

    async def _run(self, owner: str, task: PhaseTask) -> None:
        self._done.append((owner, task))
        if task.run is None:
            return
        try:
            await task.run()
        except StartupError:
            raise
        except Exception as error:
            if task.phase == PHASES[-1] and owner != KERNEL:
                # The server is open by now: a fault of one plugin stays its own.
                log.exception("start.task_failed", plugin=owner, task=task.name)
                return
            text = f"{task.name} failed: {type(error).__name__}: {error}"
            raise StartupError(
                Problem(f"phase '{task.phase}'", text, plugin=owner, cause=error)
            ) from error

    async def drain(self, seconds: float) -> None:
        """Let running work finish: call every ``drain`` at once, each for at most ``seconds``."""
        self.ready = False
        work = [(owner, task, task.drain) for owner, task in self._done if task.drain is not None]
        results = await asyncio.gather(
            *(asyncio.wait_for(drain(), seconds) for _, _, drain in work), return_exceptions=True
        )
        for (owner, task, _), result in zip(work, results, strict=True):
            if isinstance(result, BaseException):
                log.error("stop.drain_failed", plugin=owner, task=task.name, exc_info=result)

    async def undo(self) -> None:
        """Undo the tasks that were run, last first; a fault is logged and does not stop the
        rest."""
        while self._done:
            owner, task = self._done.pop()
            if task.undo is None:
                continue
            try:
                await task.undo()
            except Exception:
                log.exception("stop.failed", plugin=owner, task=task.name)
