"""The turns of this worker, and the way to those of others."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from structlog.stdlib import BoundLogger

from locutory import Cache
from locutory.access import Principal
from locutory_agents.jobs.feed import Feed
from locutory_agents.jobs.store import ABORTED, ERROR, Job, JobStore
from locutory_agents.jobs.transcript import flatten
from locutory_agents.loop.agent import Agent
from locutory_agents.turn import payloads
from locutory_agents.turn.finalizer import ABORT, REPLACED, SHUTDOWN, STALE
from locutory_agents.turn.request import ChatRequest
from locutory_agents.turn.running import RunningTurn
from locutory_agents.turn.runtime import KEEP_SECONDS, TurnRuntime
from locutory_agents.turn.steering import Steer
from locutory_agents.turn.writer import SaveFailed, TurnWriter
from locutory_agents.wire import frames

ASK_SECONDS = 10.0
PENDING_STEERS = "agents:parked-steers"
PENDING_SECONDS = 600.0

STOP = "stop"
STEER = "steer"
CANCEL = "steer.cancel"
ARM = "steer.arm"
LEFT = "readers.left"


class TurnManager:
    """Starts turns, finds them, and ends them: here, on another worker, or after its death."""

    def __init__(self, log: BoundLogger, cache: Cache) -> None:
        self._log = log
        self._cache = cache
        self._live: dict[tuple[str, int], RunningTurn] = {}
        self._quiet: dict[tuple[str, int], tuple[int, float]] = {}
        self.draining = False
        self.runtime: TurnRuntime

    def configure(self, runtime: TurnRuntime) -> None:
        """Set what turns need; before `open`."""
        self.runtime = runtime

    @property
    def store(self) -> JobStore:
        return self.runtime.store

    async def open(self) -> None:
        """Get ready for jobs."""
        await self.store.start(self.handle)

    async def close(self) -> None:
        """After `drain`: let go of everything."""
        await self.runtime.tasks.idle(2.0)
        await self.store.stop()

    # -- starting ------------------------------------------------------------------------

    async def begin(
        self,
        request: ChatRequest,
        principal: Principal,
        job: Job,
        preparing: "asyncio.Task[Agent]",
        *,
        limit: int | None,
    ) -> Job:
        """Create the job and start its turn. Raises what `JobStore.create` raises."""
        created, replaced = await self.store.create(
            job, predecessor=request.predecessor, limit=limit
        )
        turn = RunningTurn(self.runtime, request, principal, created, preparing, replaced)
        self._live[created.key] = turn
        self.runtime.tasks.spawn(self._forget(turn), "forget")
        await self.store.attach(turn.recorder)
        return created

    async def _forget(self, turn: RunningTurn) -> None:
        await turn.ended.wait()
        self._live.pop(turn.job.key, None)
        self._quiet.pop(turn.job.key, None)

    # -- finding -------------------------------------------------------------------------

    async def active(self, user: str, conversation_id: str) -> bool:
        """`Generations.active`."""
        job = await self.store.get(conversation_id)
        return job is not None and job.user == user and job.active

    async def stop_all(self, user: str) -> None:
        """`Generations.stop_all`. In a process that was not started, such as a command,
        nothing runs."""
        if not hasattr(self, "runtime"):
            return
        jobs = await self.store.active(user)
        await asyncio.gather(*(self.stop(job, ABORT) for job in jobs))

    def reader_left(self, feed: Feed) -> None:
        """A stream of this worker is closed."""
        turn = self._live.get(feed.job.key)
        if turn is not None:
            turn.readers_left()
        elif feed.job.active and not feed.log.watchers and feed.log.terminal is None:
            self.runtime.tasks.spawn(self._notify_owner(feed.job), "readers left")

    async def _notify_owner(self, job: Job) -> None:
        await self.store.ask(job, {"do": LEFT}, ASK_SECONDS)

    # -- commands ------------------------------------------------------------------------

    async def handle(
        self, stream_id: str, created_at: int, command: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Run a command for a turn of this worker; ``None`` when it is not here."""
        turn = self._live.get((stream_id, created_at))
        if turn is None:
            return None
        what = command.get("do")
        if what == STOP:
            return await turn.stop(str(command["reason"]))
        if what == STEER:
            steer = Steer(
                str(command["text"]),
                command.get("client"),
                command["files"],
                bool(command["preempt"]),
            )
            status, body = turn.steers.add(steer)
            return {"status": status, "body": body}
        if what == CANCEL:
            return turn.steers.cancel(str(command["steer"]), command.get("client"))
        if what == ARM:
            return turn.steers.arm(str(command["steer"]))
        if what == LEFT:
            turn.readers_left()
            return {}
        return None

    async def ask(self, job: Job, command: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Have a job's owner run a command, wherever it is."""
        return await self.store.ask(job, command, ASK_SECONDS)

    async def stop(self, job: Job, reason: str) -> Mapping[str, Any] | None:
        """End a job; a dead owner's job is ended here. ``None`` when it could not be ended."""
        answer = await self.ask(job, {"do": STOP, "reason": reason})
        if answer is not None:
            return answer
        if reason == REPLACED:
            return await self._finish_orphan(job, replaced=True)
        current = await self.store.get(job.stream_id)
        if current is None or current.created_at != job.created_at or not current.active:
            return {"won": False, "status": job.status if current is None else current.status}
        if any(orphan.key == job.key for orphan in await self.store.orphans()):
            return await self._finish_orphan(current, status=ABORTED)
        return None

    # -- reaping -------------------------------------------------------------------------

    async def reap_stale_turns(self) -> None:
        """Periodic: end jobs of dead workers, and turns that have been silent too long."""
        for job in await self.store.orphans():
            await self._finish_orphan(job)
        ceiling = self.runtime.config.stale_minutes * 60
        moment = asyncio.get_running_loop().time()
        for key, turn in list(self._live.items()):
            turn.recorder.flush()
            end = turn.recorder.log.end
            before, since = self._quiet.get(key, (-1, moment))
            if end != before:
                self._quiet[key] = (end, moment)
            elif moment - since >= ceiling:
                await turn.stop(STALE)

    async def _finish_orphan(
        self, job: Job, *, status: str = ERROR, replaced: bool = False
    ) -> dict[str, Any]:
        """End the job of a dead worker: its answer so far is saved from its log."""
        if not replaced and not await self.store.settle(job, status):
            return {"won": False, "status": job.status}
        feed = await self.store.follow(job)
        saved = True
        content = []
        try:
            if feed is not None and job.details.get("announced"):
                feed.resume_state()
                content = payloads.partial_content(feed)
                saved = await self._save_content(feed, content)
            if replaced:
                terminal = frames.reconcile("generation_replaced", job.stream_id, job.created_at)
            elif status == ABORTED:
                early = not content and not job.details.get("announced")
                terminal = payloads.abort_event(job, content, early=early, pending=())
            else:
                terminal = frames.failure(payloads.SHUT_DOWN)
            await self.store.finish(job, terminal, KEEP_SECONDS)
        finally:
            if feed is not None:
                await self.store.leave(feed)
        self._log.warning("chat.orphan_ended", conversation=job.stream_id, owner=job.owner)
        return {"won": True, "status": job.status, "saved": saved, "pending": []}

    async def _save_content(self, feed: Feed, content: list[dict[str, Any]]) -> bool:
        job = feed.job
        writer = TurnWriter(self.runtime.services, self._log, job.user, job.details)
        message = payloads.partial_response(feed, content)
        message["tokenCount"] = self.runtime.tokens.count(flatten(content))
        try:
            await writer.response(message)
        except SaveFailed:
            self._log.exception("chat.save_failed", conversation=job.stream_id)
            return False
        return True

    async def drain(self) -> None:
        """Shutdown: running turns may end by themselves for a moment; the rest is ended with
        what it has. Streams of other workers' turns are dropped, so that clients go there."""
        self.draining = True
        await self.store.drain()
        turns = list(self._live.values())
        if turns and self.runtime.config.drain_seconds > 0:
            ended = [asyncio.create_task(turn.ended.wait()) for turn in turns]
            _, late = await asyncio.wait(ended, timeout=self.runtime.config.drain_seconds)
            for task in late:
                task.cancel()
        await asyncio.gather(
            *(turn.stop(SHUTDOWN) for turn in list(self._live.values())), return_exceptions=True
        )
        await self.runtime.tasks.idle(5.0)

    # -- pending steers ------------------------------------------------------------------

    async def save_pending_steers(self, job: Job, pending: Sequence[Mapping[str, Any]]) -> None:
        """Save steers that no model saw, for a client that missed the end."""
        value = {"steers": [dict(steer) for steer in pending], "protocol": job.protocol}
        await self._cache.set(PENDING_STEERS, f"{job.user}:{job.stream_id}", value, PENDING_SECONDS)

    async def pending_steers(self, user: str, stream_id: str, version: int) -> list[dict[str, Any]]:
        """The steers of `save_pending_steers`; a reader of version 1 removes them."""
        key = f"{user}:{stream_id}"
        value = await (
            self._cache.pop(PENDING_STEERS, key)
            if version < 2
            else self._cache.get(PENDING_STEERS, key)
        )
        return list(value["steers"]) if isinstance(value, Mapping) else []

    async def discard_steer(self, user: str, stream_id: str, steer_id: str) -> None:
        """Drop a pending steer, which became a turn of its own."""
        key = f"{user}:{stream_id}"
        value = await self._cache.get(PENDING_STEERS, key)
        if not isinstance(value, Mapping):
            return
        left = [steer for steer in value["steers"] if steer.get("steerId") != steer_id]
        if left:
            await self._cache.set(PENDING_STEERS, key, {**value, "steers": left}, PENDING_SECONDS)
        else:
            await self._cache.delete(PENDING_STEERS, key)
