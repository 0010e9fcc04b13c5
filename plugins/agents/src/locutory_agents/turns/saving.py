"""Saving a turn to the history: its question at once, its answer when it ends."""

import asyncio
from collections.abc import Mapping
from typing import Any

from locutory_agents.turns import payloads
from locutory_agents.turns.state import TurnState
from locutory_agents.turns.writer import NotStorable, SaveFailed


class TurnSaving:
    """The writes of one turn, in an order in which none overtakes another."""

    def __init__(self, state: TurnState) -> None:
        self._state = state
        self._request: asyncio.Task[Any] | None = None
        self._partial: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        """Start to save the user's message, beside the work; once."""
        if self._request is None:
            self._request = self._state.runtime.tasks.spawn(self._save_request(), "save request")

    async def _save_request(self) -> None:
        state = self._state
        await state.writer.request()
        steer = state.request.recovered_steer
        if steer is not None:
            job = state.job
            await state.runtime.pending_steers.discard(job.user, job.stream_id, steer)

    async def settled(self) -> None:
        """Wait for writes under way, so that they do not overtake the last one. A question
        that was announced is saved, however its turn ends."""
        if self._state.announced:
            self.begin()
        writes = {task for task in (self._request, self._partial) if task is not None}
        if writes:
            await asyncio.wait(writes)

    async def save_partial(self, *, only_content: bool) -> tuple[dict[str, Any] | None, bool]:
        """Save the streamed part as an unfinished answer. Return the message, and ``True`` when
        saving failed. ``only_content``: an answer without content is not saved."""
        await self.settled()
        state = self._state
        content = payloads.partial_content(state.recorder)
        if not state.announced or (only_content and not content):
            return None, False
        metadata = state.ledger.metadata(state.recorder.transcript.context)
        message = payloads.partial_response(state.recorder, content, metadata)
        message["tokenCount"] = state.runtime.tokens.count(message["text"])
        try:
            await state.writer.response(message)
        except SaveFailed as failure:
            self.save_late(message, failure)
            return message, True
        except Exception:
            state.runtime.log.exception("chat.end_failed", conversation=state.job.stream_id)
            return message, True
        return message, False

    def save_late(self, message: Mapping[str, Any], failure: SaveFailed) -> bool:
        """Go on trying to save an answer while nobody waits; false where that is futile."""
        runtime = self._state.runtime
        runtime.log.error(
            "chat.save_failed", conversation=self._state.job.stream_id, exc_info=failure
        )
        if isinstance(failure, NotStorable):
            return False
        runtime.tasks.spawn(self._state.writer.response(message, late=True), "save late")
        return True

    def save_unwatched(self) -> None:
        """Save the streamed part once when nobody watches any more, in case nobody returns."""
        state = self._state
        if (
            state.ending is None
            and state.announced
            and self._partial is None
            and not state.recorder.log.watchers
        ):
            self._partial = state.runtime.tasks.spawn(self._save_unwatched(), "save partial")

    async def _save_unwatched(self) -> None:
        if self._request is not None:
            await asyncio.wait({self._request})
        state = self._state
        content = payloads.partial_content(state.recorder)
        if content and state.ending is None:
            await state.writer.response(payloads.partial_response(state.recorder, content))
