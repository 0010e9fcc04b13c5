"""Commands to the worker that runs a turn, and their execution in its place when it is dead."""

from collections.abc import Mapping
from typing import Any

from locutory_agents.job import ABORTED, ERROR, Job
from locutory_agents.stream import frames
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.transcript import flatten
from locutory_agents.turns import payloads
from locutory_agents.turns.runtime import KEEP_SECONDS, TurnRuntime
from locutory_agents.turns.writer import SaveFailed, TurnWriter
from locutory_contracts.conversations import CONVERSATIONS

ASK_SECONDS = 10.0

# Commands: the member ``do``.
STOP = "stop"
STEER = "steer"
CANCEL = "steer.cancel"
ARM = "steer.arm"
LEFT = "readers.left"

# Reasons to stop a turn.
ABORT = "abort"
REPLACED = "replaced"
SHUTDOWN = "shutdown"
STALE = "stale"


class TurnControl:
    """Reaches a turn wherever it runs, and ends one whose worker is dead."""

    def __init__(self, runtime: TurnRuntime) -> None:
        self._runtime = runtime

    async def ask(self, job: Job, command: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Let a job's owner run a command, and return its answer; ``None`` when none comes."""
        return await self._runtime.store.ask(job, command, ASK_SECONDS)

    async def stop(self, job: Job, reason: str) -> Mapping[str, Any] | None:
        """End a job; a dead owner's job is ended here. Return the result of `RunningTurn.stop`,
        ``None`` when it could not be ended."""
        answer = await self.ask(job, {"do": STOP, "reason": reason})
        if answer is not None:
            return answer
        if reason == REPLACED:
            return await self.finish_orphan(job, replaced=True)
        store = self._runtime.store
        current = await store.get(job.stream_id)
        if current is None or current.created_at != job.created_at or not current.active:
            return {"won": False, "status": job.status if current is None else current.status}
        if any(orphan.key == job.key for orphan in await store.orphans()):
            return await self.finish_orphan(current, status=ABORTED)
        return None

    async def finish_orphan(
        self, job: Job, *, status: str = ERROR, replaced: bool = False
    ) -> dict[str, Any]:
        """End the job of a dead worker: save its answer so far from its log, unless the worker had
        saved it. Return the result of `RunningTurn.stop`."""
        store, ended = self._runtime.store, job.saving
        if not replaced and not ended and not await store.settle(job, status):
            return {"won": False, "status": job.status}
        announced = job.record.announced
        feed = await store.follow(job)
        saved = True
        content: list[dict[str, Any]] = []
        try:
            if feed is not None and announced and not (ended and await self._is_saved(job)):
                # A reader here may have followed it since before the record was complete.
                feed.job.record = job.record
                feed.resume_state()
                content = payloads.partial_content(feed)
                saved = await self._save_content(feed, content)
            if replaced:
                terminal = frames.reconcile("generation_replaced", job.stream_id, job.created_at)
            elif ended:
                terminal = frames.reconcile(
                    "terminal_payload_missing", job.stream_id, job.created_at, job.status
                )
            elif status == ABORTED:
                early = not content and not announced
                terminal = payloads.abort_event(job, content, early=early, pending=())
            else:
                terminal = frames.failure(payloads.SHUT_DOWN)
            await store.finish(job, terminal, KEEP_SECONDS)
        finally:
            if feed is not None:
                await store.leave(feed)
        self._runtime.log.warning("chat.orphan_ended", conversation=job.stream_id, owner=job.owner)
        return {"won": True, "status": job.status, "saved": saved, "pending": []}

    async def _is_saved(self, job: Job) -> bool:
        """``True`` when the whole answer is in the history."""
        history = self._runtime.services.find(CONVERSATIONS)
        if history is None:
            return True
        answer = await history.message(job.user, job.record.response_message_id)
        return answer is not None and not answer.get("unfinished")

    async def _save_content(self, feed: Feed, content: list[dict[str, Any]]) -> bool:
        runtime, job = self._runtime, feed.job
        writer = TurnWriter(runtime.services, runtime.log, job.user, job.record)
        message = payloads.partial_response(feed, content)
        message["tokenCount"] = runtime.tokens.count(flatten(content))
        try:
            await writer.response(message)
        except SaveFailed:
            runtime.log.exception("chat.save_failed", conversation=job.stream_id)
            return False
        return True
