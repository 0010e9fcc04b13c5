"""Ending a turn: claim the end, save the messages, notify the readers.

A turn ends once. Completion, an abort, a failure or shutdown first claims the end in the job store;
the one that gets it seals the recorder, saves, and publishes the last event. A replaced turn has
lost its record already and only cleans up. The stream ends whatever fails on the way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from locutory_agents.job import ABORTED, COMPLETE, ERROR
from locutory_agents.loop.history import count_content
from locutory_agents.stream import frames
from locutory_agents.stream.frames import Terminal
from locutory_agents.stream.transcript import flatten
from locutory_agents.turns import payloads
from locutory_agents.turns.control import ABORT, REPLACED, SHUTDOWN, STALE
from locutory_agents.turns.prepare import PreparedTurn
from locutory_agents.turns.runtime import KEEP_SECONDS
from locutory_agents.turns.saving import TurnSaving
from locutory_agents.turns.state import TurnState
from locutory_agents.turns.writer import SaveFailed
from locutory_contracts.chat import TurnOutcome, UsageReported

REPORT_SECONDS = 5.0
"""The seconds for which the last event waits for the charge of the turn."""

_INTERRUPTED = {SHUTDOWN: payloads.SHUT_DOWN, STALE: payloads.TIMED_OUT}


class TurnFinalizer:
    """The ends of one turn: `complete`, `fail` and `stop`."""

    def __init__(self, state: TurnState, saving: TurnSaving) -> None:
        self._state = state
        self._saving = saving
        self._lock = asyncio.Lock()
        self._settles = True

    # -- who ends it ---------------------------------------------------------------------

    async def _claim(self, status: str) -> bool:
        """Be the one that ends the turn."""
        async with self._lock:
            if self._state.ending is not None:
                return False
            if not await self._settle(status):
                return False
            self._state.ending = status
            return True

    async def _settle(self, status: str) -> bool:
        """Ask the store. When it cannot be reached, or has lost the turn, the owner decides
        alone: nobody else can reach it either, and the answer must not be lost."""
        runtime, job = self._state.runtime, self._state.job
        for delay in (0.2, 1.0, 3.0):
            try:
                if await runtime.store.settle(job, status):
                    return True
                if await runtime.store.get(job.stream_id) is not None:
                    return False
                break
            except Exception as error:
                runtime.log.warning("chat.store_unreachable", reason=repr(error)[:200])
                await asyncio.sleep(delay)
        job.status = status
        return True

    async def _claim_lost(self) -> bool:
        """End a turn whose record is gone: replaced, or taken over by another worker."""
        async with self._lock:
            if self._state.ending is not None:
                return False
            self._state.ending = REPLACED
            return True

    # -- the ends ------------------------------------------------------------------------

    async def complete(self, prepared: PreparedTurn) -> None:
        """The normal end."""
        if not await self._claim(COMPLETE) and not await self._claim_lost():
            return
        state = self._state
        state.recorder.seal()
        pending = state.steers.close()
        message, shown = self._response()
        await self._saving.settled()
        terminal = self._reconcile("terminal_payload_missing")
        try:
            _, conversation = await state.writer.response(message)
            user = state.request.user_message() | {"tokenCount": prepared.prompt_tokens}
            stored = conversation or payloads.unsaved_conversation(state.job)
            terminal = payloads.final_event(stored, user, shown, pending)
        except SaveFailed as failure:
            if self._saving.save_late(message, failure):
                terminal = self._reconcile("terminal_payload_missing", frames.NOT_SAVED)
        except Exception:
            state.runtime.log.exception("chat.end_failed", conversation=state.job.stream_id)
        if state.ending == REPLACED:
            terminal = self._reconcile("generation_replaced")
        await self._save_pending_steers(pending)
        await self._publish(terminal, state.runtime.keep_seconds)
        state.title.begin(prepared.agents[0].model, "final", flatten(message["content"]))
        self._leave_behind(COMPLETE, state.job.record.user_message, message)

    async def fail(self, text: str) -> None:
        """End with an error event. The user's message stays saved."""
        won = await self._claim(ERROR)
        if not won and not await self._claim_lost():
            return
        state = self._state
        pending = self._seal()
        saved, _ = await self._saving.save_partial(only_content=True)
        await self._save_pending_steers(pending)
        terminal = frames.failure(text) if won else self._reconcile("generation_replaced")
        await self._publish(terminal, KEEP_SECONDS)
        request = state.job.record.user_message if state.announced else None
        self._leave_behind(ERROR, request, saved)

    async def stop(self, reason: str, cancel_work: Callable[[], Awaitable[None]]) -> dict[str, Any]:
        """End the turn from outside; ``cancel_work`` cancels its work, once the end is claimed.
        Return ``{won, status, saved, pending}``; ``won`` is ``False`` when the turn had ended
        already, here or (its worker counted as dead) elsewhere."""
        state, job = self._state, self._state.job
        won = reason != REPLACED and await self._claim(ABORTED if reason == ABORT else ERROR)
        if not won and not await self._claim_lost():
            await state.ended.wait()
            return {"won": False, "status": job.status}
        pending = self._seal()
        await cancel_work()
        content = payloads.partial_content(state.recorder)
        early = not content and not state.announced
        saved, failed = await self._saving.save_partial(only_content=not won)
        await self._save_pending_steers(pending)
        if not won:
            terminal = self._reconcile("generation_replaced")
        elif reason != ABORT:
            terminal = frames.failure(_INTERRUPTED[reason])
        elif failed:
            terminal = self._reconcile("abort_persistence_failed")
        else:
            terminal = payloads.abort_event(job, content, early=early, pending=pending)
        keep = state.runtime.keep_seconds if reason == ABORT else KEEP_SECONDS
        await self._publish(terminal, keep)
        request = job.record.user_message if not early else None
        self._leave_behind(ABORTED if reason != STALE else ERROR, request, saved)
        return {
            "won": won or reason == REPLACED,
            "status": job.status,
            "saved": not failed,
            "pending": pending,
        }

    # -- parts of them -------------------------------------------------------------------

    def _seal(self) -> list[dict[str, Any]]:
        """Refuse later events. Return the steers that no model has seen."""
        self._state.recorder.seal()
        self._state.title.cancel()
        return self._state.steers.close()

    def _response(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The answer as it is saved, and as it is shown."""
        state = self._state
        first = state.runs[0]
        content = state.recorder.transcript.content()
        return payloads.response(
            state.recorder,
            state.ledger,
            counted=count_content(state.runtime.tokens, content),
            prompt_tokens=first.first_prompt_tokens,
            reason=first.finish_reason,
            edited=state.request.edit is not None,
            cut=state.cut,
        )

    def _reconcile(self, reason: str, error: str = frames.CHANGED) -> Terminal:
        job = self._state.job
        status = None if self._state.ending == REPLACED else job.status
        return frames.reconcile(reason, job.stream_id, job.created_at, status, error)

    async def _save_pending_steers(self, pending: Sequence[Mapping[str, Any]]) -> None:
        if pending:
            try:
                await self._state.runtime.pending_steers.save(self._state.job, pending)
            except Exception:
                self._state.runtime.log.warning("chat.steers_not_parked", exc_info=True)

    async def _report(self) -> None:
        """Publish the usage. That happens before the last event, since the client reads its balance
        then; a slow subscriber does not delay the event for long."""
        state, events = self._state, self._state.runtime.events
        if state.prepared is None or not events.subscribers(UsageReported):
            return
        usage = tuple(state.ledger.unpaid())
        settles, self._settles = self._settles, False
        if not settles and not usage:
            return
        fact = UsageReported(state.prepared.turn(state.prepared.agents[0]), usage, settles)
        told = state.runtime.tasks.spawn(events.publish(fact), "report usage")
        await asyncio.wait({told}, timeout=REPORT_SECONDS)

    async def _publish(self, terminal: Terminal, keep: float) -> None:
        state = self._state
        await self._report()
        try:
            await state.runtime.store.finish(state.job, terminal, keep)
        except Exception as error:
            state.runtime.log.warning("chat.store_unreachable", reason=repr(error)[:200])
        finally:
            state.recorder.log.close(terminal)
            state.ended.set()

    def _leave_behind(
        self,
        status: str,
        request: Mapping[str, Any] | None,
        response: Mapping[str, Any] | None,
    ) -> None:
        state = self._state
        if state.prepared is None:
            return
        turn = state.prepared.turn(state.prepared.agents[0])
        seconds = state.seconds

        async def rest() -> None:
            if status == COMPLETE:
                await state.title.save(state.writer)
                await self._report()
            outcome = TurnOutcome(status, request, response, tuple(state.ledger.calls), seconds)
            await state.runtime.notify_finished(turn, outcome)

        state.runtime.tasks.spawn(rest(), "afterwards")
