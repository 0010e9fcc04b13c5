"""The turns of this worker: started, found, looked after, and ended at shutdown."""

import asyncio
from collections.abc import Mapping
from typing import Any

from locutory import Principal
from locutory_agents.job import Job
from locutory_agents.loop.agent import Agent
from locutory_agents.stores.base import JobStore
from locutory_agents.stream.feed import Feed
from locutory_agents.turns.control import (
    ABORT,
    ARM,
    CANCEL,
    LEFT,
    SHUTDOWN,
    STALE,
    STEER,
    STOP,
    TurnControl,
)
from locutory_agents.turns.request import ChatRequest
from locutory_agents.turns.runtime import TurnRuntime
from locutory_agents.turns.steering import Steer
from locutory_agents.turns.turn import RunningTurn


class TurnManager:
    """Starts turns, and runs the commands of others for them. The service `GENERATIONS`."""

    def __init__(self, runtime: TurnRuntime, control: TurnControl) -> None:
        self._runtime = runtime
        self._control = control
        self._live: dict[tuple[str, int], RunningTurn] = {}
        self._quiet: dict[tuple[str, int], tuple[int, float]] = {}
        self._started = False
        self.draining = False

    @property
    def store(self) -> JobStore:
        """The store of the jobs of all workers."""
        return self._runtime.store

    # -- starting and stopping -----------------------------------------------------------

    async def start(self) -> None:
        """Open the store; turns can begin."""
        self._started = True
        await self.store.start(self.handle)

    async def drain(self) -> None:
        """Shut down: running turns may finish for a moment; the others are ended and saved as they
        are. Streams of other workers' turns are dropped, so that clients reconnect there."""
        self.draining = True
        await self.store.drain()
        turns = list(self._live.values())
        seconds = self._runtime.config.drain_seconds
        if turns and seconds > 0:
            ended = [asyncio.create_task(turn.ended.wait()) for turn in turns]
            _, late = await asyncio.wait(ended, timeout=seconds)
            for task in late:
                task.cancel()
        await asyncio.gather(
            *(turn.stop(SHUTDOWN) for turn in list(self._live.values())), return_exceptions=True
        )
        await self._runtime.tasks.idle(5.0)

    async def close(self) -> None:
        """After `drain`: let go of everything."""
        await self._runtime.tasks.idle(2.0)
        await self.store.stop()

    # -- turns ---------------------------------------------------------------------------

    def prepare(self, request: ChatRequest, principal: Principal) -> "asyncio.Task[Agent]":
        """Begin to open the agent that a request names. Returns the task, for `begin`."""
        opened = self._runtime.resolver.resolve(request.body, request.endpoint, principal)
        return self._runtime.tasks.spawn(opened, "prepare")

    async def begin(
        self,
        request: ChatRequest,
        principal: Principal,
        job: Job,
        preparing: "asyncio.Task[Agent]",
        *,
        limit: int | None,
    ) -> Job:
        """Create the job and start its turn. Return the job as the store has it; raises the
        exceptions of `JobStore.create`."""
        created, replaced = await self.store.create(
            job, predecessor=request.predecessor, limit=limit
        )
        turn = RunningTurn(
            self._runtime, self._control, request, principal, created, preparing, replaced
        )
        self._live[created.key] = turn
        turn.start()
        self._runtime.tasks.spawn(self._forget(turn), "forget")
        await self.store.attach(turn.recorder)
        return created

    async def _forget(self, turn: RunningTurn) -> None:
        await turn.ended.wait()
        self._live.pop(turn.job.key, None)
        self._quiet.pop(turn.job.key, None)

    async def active(self, user: str, conversation_id: str) -> bool:
        """`Generations.active`."""
        job = await self.store.get(conversation_id)
        return job is not None and job.user == user and job.active

    async def stop_all(self, user: str) -> None:
        """`Generations.stop_all`. In a process that was not started, such as a command,
        nothing runs."""
        if not self._started:
            return
        jobs = await self.store.active(user)
        await asyncio.gather(*(self._control.stop(job, ABORT) for job in jobs))

    def reader_left(self, feed: Feed) -> None:
        """A stream of this worker is closed."""
        turn = self._live.get(feed.job.key)
        if turn is not None:
            turn.readers_left()
        elif feed.job.active and not feed.log.watchers and feed.log.terminal is None:
            self._runtime.tasks.spawn(self._notify_owner(feed.job), "readers left")

    async def _notify_owner(self, job: Job) -> None:
        await self._control.ask(job, {"do": LEFT})

    async def handle(
        self, stream_id: str, created_at: int, command: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Run a command for a turn of this worker. Returns its answer, ``None`` when the turn
        is not here."""
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

    async def reap_stale_turns(self) -> None:
        """Periodic: end jobs of dead workers, and turns that have been silent too long."""
        for job in await self.store.orphans():
            await self._control.finish_orphan(job)
        ceiling = self._runtime.config.stale_minutes * 60
        moment = asyncio.get_running_loop().time()
        for key, turn in list(self._live.items()):
            turn.recorder.flush()
            end = turn.recorder.log.end
            before, since = self._quiet.get(key, (-1, moment))
            if end != before:
                self._quiet[key] = (end, moment)
            elif moment - since >= ceiling:
                await turn.stop(STALE)
