"""Work of other plugins that runs beside an answer, such as an agent that keeps memories."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from locutory_agents.stream.recorder import TurnRecorder
from locutory_agents.turns.runtime import TurnRuntime
from locutory_contracts.chat import TURN_COMPANIONS, Turn, TurnCompanion

WAIT_SECONDS = 3.0
"""Seconds that a finished answer waits for its companions (memories §4)."""

MAX_SECONDS = 300.0
"""Seconds after which a companion that goes on by itself is ended."""

Messages = Sequence[Mapping[str, Any]]


class CompanionRunner:
    """The companions of one turn: they may show something while the answer is made, and
    nothing that they do can break it."""

    def __init__(self, runtime: TurnRuntime, recorder: TurnRecorder) -> None:
        self._runtime = runtime
        self._recorder = recorder
        self._running: list[asyncio.Task[None]] = []
        self._attached = True

    def begin(self, turn: Turn, messages: Callable[[], Messages]) -> None:
        """Start all companions. ``messages`` is only called when there are any."""
        companions = self._runtime.services.all(TURN_COMPANIONS)
        if not companions:
            return
        branch = messages()
        for name, companion in companions.items():
            work = self._accompany(name, companion, turn, branch)
            self._running.append(self._runtime.tasks.spawn(work, f"companion {name}"))

    async def _accompany(
        self, name: str, companion: TurnCompanion, turn: Turn, messages: Messages
    ) -> None:
        try:
            async with asyncio.timeout(MAX_SECONDS):
                await companion.accompany(turn, messages, self._attach)
        except Exception:
            self._runtime.log.warning(
                "chat.companion_failed",
                companion=name,
                conversation=turn.conversation_id,
                exc_info=True,
            )

    def _attach(self, attachment: Mapping[str, Any]) -> None:
        if not self._attached or self._recorder.sealed:
            return
        self._recorder.attachment(
            {
                **attachment,
                "messageId": self._recorder.run_id,
                "conversationId": self._recorder.job.stream_id,
            }
        )

    async def wait(self, answered: float) -> None:
        """Wait for those that still run, until `WAIT_SECONDS` after the moment (of the loop's
        clock) at which the answer was there; then they go on by themselves."""
        late = [task for task in self._running if not task.done()]
        if late:
            left = answered + WAIT_SECONDS - asyncio.get_running_loop().time()
            await asyncio.wait(late, timeout=max(0.0, left))
        self._attached = False

    def cancel(self) -> None:
        """The turn was stopped or failed: so are they."""
        self._attached = False
        for task in self._running:
            task.cancel()
