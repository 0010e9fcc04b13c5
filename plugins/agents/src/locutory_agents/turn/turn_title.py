"""The title that one turn gives its conversation."""

import asyncio

from locutory.access import Principal
from locutory_agents.turn import title_generator
from locutory_agents.turn.recorder import TurnRecorder
from locutory_agents.turn.request import ChatRequest
from locutory_agents.turn.runtime import TurnRuntime
from locutory_agents.turn.usage import UsageLedger
from locutory_agents.turn.writer import TurnWriter
from locutory_contracts.conversations import NO_PARENT
from locutory_contracts.models import PreparedModel

MOMENT = 0.3
"""Seconds that the end of an answer waits for its title."""


class TurnTitle:
    """Makes the title beside the answer, tells it at once, saves it in the end."""

    def __init__(
        self,
        runtime: TurnRuntime,
        request: ChatRequest,
        principal: Principal,
        recorder: TurnRecorder,
        ledger: UsageLedger,
    ) -> None:
        self._runtime = runtime
        self._request = request
        self._principal = principal
        self._recorder = recorder
        self._ledger = ledger
        self._task: asyncio.Task[str] | None = None

    def begin(self, model: PreparedModel, timing: str, answer: str = "") -> None:
        """Start when it is time: ``immediate`` with the turn, ``final`` after it."""
        request = self._request
        if (
            self._task is not None
            or model.title.timing != timing
            or request.parent_id != NO_PARENT
            or not title_generator.wanted(
                model,
                new=request.new,
                temporary=request.temporary,
                enabled=self._runtime.config.title_convo,
            )
        ):
            return
        text = f"User: {request.text}\nAI: {answer}".rstrip()
        self._task = self._runtime.tasks.spawn(self._make(model, text), "title")

    async def _make(self, model: PreparedModel, text: str) -> str:
        job = self._recorder.job
        try:
            title = await self._runtime.title_generator.make(
                model, self._principal, text, self._request.headers_context, self._ledger
            )
        except Exception as error:
            reason = type(error).__name__
            self._runtime.log.info("chat.title_failed", conversation=job.stream_id, reason=reason)
            return ""
        if title:
            await self._runtime.title_generator.cache_title(job.user, job.stream_id, title)
            self._recorder.title({"conversationId": job.stream_id, "title": title})
        return title

    async def wait(self) -> None:
        """Give a title that is being made a moment to come before the answer ends: the
        client then need not ask for it."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=MOMENT)

    def cancel(self) -> None:
        """The turn did not succeed: it gives no title."""
        if self._task is not None:
            self._task.cancel()

    async def save(self, writer: TurnWriter) -> None:
        """Wait for the title and save it; the conversation exists by now."""
        if self._task is None:
            return
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (title := self._task.result()):
            await writer.title(title)
