"""How a turn ends: claim the end, write what there is, notify the readers.

A turn ends once. Whoever wants to end it claims the end in the job store first (completion,
an abort, a failure, shutdown); the one that gets it seals the recorder, saves, and
publishes the last event. A replaced turn has lost its record already and only cleans up.
Whatever goes wrong on the way, the stream ends.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from locutory.access import Principal
from locutory_agents.jobs.store import ABORTED, COMPLETE, ERROR, Job
from locutory_agents.jobs.transcript import flatten
from locutory_agents.loop.history import count_content
from locutory_agents.loop.run import AgentRun
from locutory_agents.turn import payloads
from locutory_agents.turn.prepared import PreparedTurn
from locutory_agents.turn.recorder import TurnRecorder
from locutory_agents.turn.request import ChatRequest
from locutory_agents.turn.runtime import KEEP_SECONDS, TurnRuntime
from locutory_agents.turn.steering import SteerQueue
from locutory_agents.turn.turn_title import TurnTitle
from locutory_agents.turn.usage import UsageLedger
from locutory_agents.turn.writer import NotStorable, SaveFailed, TurnWriter
from locutory_agents.wire import frames
from locutory_agents.wire.frames import Terminal
from locutory_contracts.chat import TurnOutcome, UsageReported

ABORT = "abort"
REPLACED = "replaced"
SHUTDOWN = "shutdown"
STALE = "stale"

CANCEL_SECONDS = 2.0
"""How long a cancelled turn may take to let go; afterwards it is left behind, sealed."""

REPORT_SECONDS = 5.0
"""How long the last event waits for the charge of the turn."""

_INTERRUPTED = {SHUTDOWN: payloads.SHUT_DOWN, STALE: payloads.TIMED_OUT}


class TurnFinalizer:
    """The state of a turn, and its ends. `RunningTurn` runs it."""

    _task: "asyncio.Task[None]"
    _preparing: "asyncio.Task[Any]"

    def __init__(
        self, runtime: TurnRuntime, request: ChatRequest, principal: Principal, job: Job
    ) -> None:
        self._runtime = runtime
        self._request = request
        self._principal = principal
        self.job = job
        self.recorder = TurnRecorder(job, runtime.config.answer_bytes)
        self.steers = SteerQueue()
        self._ledger = UsageLedger(runtime.show_cost)
        self._writer = TurnWriter(runtime.services, runtime.log, job.user, job.details)
        self._title = TurnTitle(runtime, request, principal, self.recorder, self._ledger)
        self._lock = asyncio.Lock()
        self._ending: str | None = None
        self._cut = False
        self._announced = False
        self._settled = False
        self._prepared: PreparedTurn | None = None
        self._runs: Sequence[AgentRun] = ()
        self._request_saving: asyncio.Task[Any] | None = None
        self._partial_saving: asyncio.Task[Any] | None = None
        self._started = time.monotonic()
        self.ended = asyncio.Event()

    async def _claim(self, status: str) -> bool:
        """Be the one that ends the turn."""
        async with self._lock:
            if self._ending is not None:
                return False
            if not await self._settle(status):
                return False
            self._ending = status
            return True

    async def _settle(self, status: str) -> bool:
        """Ask the store. When it cannot be reached, or has lost the turn, the owner decides
        alone: nobody else can reach it either, and the answer must not be lost."""
        store = self._runtime.store
        for delay in (0.2, 1.0, 3.0):
            try:
                if await store.settle(self.job, status):
                    return True
                if await store.get(self.job.stream_id) is not None:
                    return False
                break
            except Exception as error:
                self._runtime.log.warning("chat.store_unreachable", reason=repr(error)[:200])
                await asyncio.sleep(delay)
        self.job.status = status
        return True

    async def _claim_lost(self) -> bool:
        """End a turn whose record is gone: replaced, or taken over by another worker."""
        async with self._lock:
            if self._ending is not None:
                return False
            self._ending = REPLACED
            return True

    async def _complete(self, prepared: PreparedTurn) -> None:
        """The normal end."""
        if not await self._claim(COMPLETE) and not await self._claim_lost():
            return
        self.recorder.seal()
        pending = self.steers.close()
        message, shown = self._response()
        await self._settled_writes()
        terminal = self._reconcile("terminal_payload_missing")
        try:
            _, conversation = await self._writer.response(message)
            user = self._request.user_message() | {"tokenCount": prepared.prompt_tokens}
            stored = conversation or payloads.unsaved_conversation(self.job)
            terminal = payloads.final_event(stored, user, shown, pending)
        except SaveFailed as failure:
            if self._save_late(message, failure):
                terminal = self._reconcile("terminal_payload_missing", frames.NOT_SAVED)
        except Exception:
            self._runtime.log.exception("chat.end_failed", conversation=self.job.stream_id)
        if self._ending == REPLACED:
            terminal = self._reconcile("generation_replaced")
        await self._save_pending_steers(pending)
        await self._publish(terminal, self._runtime.keep_seconds)
        self._title.begin(prepared.agents[0].model, "final", flatten(message["content"]))
        self._leave_behind(COMPLETE, self.job.details["userMessage"], message)

    def _response(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The answer as it is saved, and as it is shown."""
        first = self._runs[0]
        content = self.recorder.transcript.content()
        return payloads.response(
            self.recorder,
            self._ledger,
            counted=count_content(self._runtime.tokens, content),
            prompt_tokens=first.first_prompt_tokens,
            reason=first.finish_reason,
            edited=self._request.edit is not None,
            cut=self._cut,
        )

    def _begin_saving(self) -> None:
        if self._request_saving is None:
            self._request_saving = self._runtime.tasks.spawn(self._save_request(), "save request")

    async def _save_request(self) -> None:
        await self._writer.request()
        steer = self._request.recovered_steer
        if steer is not None:
            await self._runtime.discard_steer(self.job.user, self.job.stream_id, steer)

    async def _settled_writes(self) -> None:
        """Wait for writes under way, so that they do not overtake the last one. A question
        that was announced is saved, however its turn ends."""
        if self._announced:
            self._begin_saving()
        writes = {task for task in (self._request_saving, self._partial_saving) if task is not None}
        if writes:
            await asyncio.wait(writes)

    def _reconcile(self, reason: str, error: str = frames.CHANGED) -> Terminal:
        status = None if self._ending == REPLACED else self.job.status
        return frames.reconcile(reason, self.job.stream_id, self.job.created_at, status, error)

    async def _fail(self, text: str) -> None:
        """End with an error event. The user's message stays saved."""
        if not await self._claim(ERROR):
            return
        self.recorder.seal()
        self._title.cancel()
        pending = self.steers.close()
        saved, _ = await self._save_partial(only_content=True)
        await self._save_pending_steers(pending)
        await self._publish(frames.failure(text), KEEP_SECONDS)
        request = self.job.details["userMessage"] if self._announced else None
        self._leave_behind(ERROR, request, saved)

    async def stop(self, reason: str) -> dict[str, Any]:
        """End the turn from outside. Answers ``{won, status, saved, pending}``; ``won`` is
        false when the turn had ended already, here or (its worker counted as dead) elsewhere."""
        status = ABORTED if reason == ABORT else ERROR
        won = reason != REPLACED and await self._claim(status)
        if not won and not await self._claim_lost():
            await self.ended.wait()
            return {"won": False, "status": self.job.status}
        self.recorder.seal()
        self._title.cancel()
        pending = self.steers.close()
        await self._cancel_work()
        content = payloads.partial_content(self.recorder)
        early = not content and not self._announced
        saved, failed = await self._save_partial(only_content=not won)
        await self._save_pending_steers(pending)
        if not won:
            terminal = self._reconcile("generation_replaced")
        elif reason != ABORT:
            terminal = frames.failure(_INTERRUPTED[reason])
        elif failed:
            terminal = self._reconcile("abort_persistence_failed")
        else:
            terminal = payloads.abort_event(self.job, content, early=early, pending=pending)
        await self._publish(
            terminal, self._runtime.keep_seconds if reason == ABORT else KEEP_SECONDS
        )
        request = self.job.details["userMessage"] if not early else None
        self._leave_behind(ABORTED if reason != STALE else ERROR, request, saved)
        return {
            "won": won or reason == REPLACED,
            "status": self.job.status,
            "saved": not failed,
            "pending": pending,
        }

    async def _cancel_work(self) -> None:
        """Cancel the work and wait for it: the provider's connection is closed then."""
        self._preparing.cancel()
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=CANCEL_SECONDS)

    async def _save_partial(self, *, only_content: bool) -> tuple[dict[str, Any] | None, bool]:
        """Save what was streamed as an unfinished answer. Returns the message, and whether
        saving failed. ``only_content``: an answer without content is not worth saving."""
        await self._settled_writes()
        content = payloads.partial_content(self.recorder)
        if not self._announced or (only_content and not content):
            return None, False
        metadata = self._ledger.metadata(self.recorder.transcript.context)
        message = payloads.partial_response(self.recorder, content, metadata)
        message["tokenCount"] = self._runtime.tokens.count(message["text"])
        try:
            await self._writer.response(message)
        except SaveFailed as failure:
            self._save_late(message, failure)
            return message, True
        except Exception:
            self._runtime.log.exception("chat.end_failed", conversation=self.job.stream_id)
            return message, True
        return message, False

    def _save_late(self, message: Mapping[str, Any], failure: SaveFailed) -> bool:
        """Go on trying while nobody waits; false where that is futile."""
        self._runtime.log.error(
            "chat.save_failed", conversation=self.job.stream_id, exc_info=failure
        )
        if isinstance(failure, NotStorable):
            return False
        self._runtime.tasks.spawn(self._writer.response(message, late=True), "save late")
        return True

    def readers_left(self) -> None:
        """Nobody watches any more: what was streamed is saved once, in case nobody returns."""
        if (
            self._ending is None
            and self._announced
            and self._partial_saving is None
            and not self.recorder.log.watchers
        ):
            self._partial_saving = self._runtime.tasks.spawn(self._save_unwatched(), "save partial")

    async def _save_unwatched(self) -> None:
        if self._request_saving is not None:
            await asyncio.wait({self._request_saving})
        content = payloads.partial_content(self.recorder)
        if content and self._ending is None:
            await self._writer.response(payloads.partial_response(self.recorder, content))

    async def _save_pending_steers(self, pending: Sequence[Mapping[str, Any]]) -> None:
        if pending:
            try:
                await self._runtime.save_pending_steers(self.job, pending)
            except Exception:
                self._runtime.log.warning("chat.steers_not_parked", exc_info=True)

    async def _report(self) -> None:
        """Tell what is to be paid. It is told before the last event, since the client looks
        at its balance then; a slow subscriber does not hold the event up for long."""
        if self._prepared is None or not self._runtime.events.subscribers(UsageReported):
            return
        usage = tuple(self._ledger.unpaid())
        settles, self._settled = not self._settled, True
        if not settles and not usage:
            return
        fact = UsageReported(self._prepared.turn(self._prepared.agents[0]), usage, settles)
        told = self._runtime.tasks.spawn(self._runtime.events.tell(fact), "report usage")
        await asyncio.wait({told}, timeout=REPORT_SECONDS)

    async def _publish(self, terminal: Terminal, keep: float) -> None:
        await self._report()
        try:
            await self._runtime.store.finish(self.job, terminal, keep)
        except Exception as error:
            self._runtime.log.warning("chat.store_unreachable", reason=repr(error)[:200])
        finally:
            self.recorder.log.close(terminal)
            self.ended.set()

    def _leave_behind(
        self,
        status: str,
        request: Mapping[str, Any] | None,
        response: Mapping[str, Any] | None,
    ) -> None:
        if self._prepared is None:
            return
        turn = self._prepared.turn(self._prepared.agents[0])
        seconds = time.monotonic() - self._started

        async def rest() -> None:
            if status == COMPLETE:
                await self._title.save(self._writer)
                await self._report()
            outcome = TurnOutcome(status, request, response, tuple(self._ledger.calls), seconds)
            await self._runtime.notify_finished(turn, outcome)

        self._runtime.tasks.spawn(rest(), "afterwards")
