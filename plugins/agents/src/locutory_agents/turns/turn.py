"""A running turn, on the worker that runs it: prepare, announce, ask the models, end."""

import asyncio
from collections.abc import Mapping
from typing import Any

from locutory import HTTPError, LimitExceeded, Principal
from locutory_agents.job import Job
from locutory_agents.loop.agent import Agent
from locutory_agents.loop.run import AgentRun
from locutory_agents.stream.recorder import TurnClosed, TurnRecorder
from locutory_agents.turns import payloads
from locutory_agents.turns.companions import CompanionRunner
from locutory_agents.turns.control import REPLACED, TurnControl
from locutory_agents.turns.finalizer import TurnFinalizer
from locutory_agents.turns.prepare import PreparedTurn
from locutory_agents.turns.request import ChatRequest
from locutory_agents.turns.runtime import TurnRuntime
from locutory_agents.turns.saving import TurnSaving
from locutory_agents.turns.state import TurnState
from locutory_agents.turns.steering import SteerQueue
from locutory_contracts.chat import TurnRefused, TurnStarting
from locutory_contracts.models import ModelFailure, ModelRefused

CANCEL_SECONDS = 2.0
"""The seconds in which a cancelled turn must end; afterwards it is abandoned, sealed."""


class RunningTurn:
    """Runs one turn from `start` until it has ended. ``preparing`` opens the agent;
    ``predecessor`` is the turn that this one replaces."""

    def __init__(
        self,
        runtime: TurnRuntime,
        control: TurnControl,
        request: ChatRequest,
        principal: Principal,
        job: Job,
        preparing: "asyncio.Task[Agent]",
        predecessor: Job | None,
    ) -> None:
        self._runtime = runtime
        self._control = control
        self._state = TurnState(runtime, request, principal, job)
        self._saving = TurnSaving(self._state)
        self._finalizer = TurnFinalizer(self._state, self._saving)
        self._preparing = preparing
        self._predecessor = predecessor
        self._task: asyncio.Task[None] | None = None

    @property
    def job(self) -> Job:
        """The turn as the store knows it."""
        return self._state.job

    @property
    def recorder(self) -> TurnRecorder:
        """The writing end of its feed."""
        return self._state.recorder

    @property
    def steers(self) -> SteerQueue:
        """The steers that its user adds."""
        return self._state.steers

    @property
    def ended(self) -> asyncio.Event:
        """Set when its last event is out."""
        return self._state.ended

    def start(self) -> None:
        """Begin to run."""
        self._task = self._runtime.tasks.spawn(self._run(), "turn")

    async def stop(self, reason: str) -> dict[str, Any]:
        """End the turn from outside, for a reason of `locutory_agents.turns.control`. Returns
        ``{won, status, saved, pending}``, see `TurnFinalizer.stop`."""
        return await self._finalizer.stop(reason, self._cancel_work)

    def readers_left(self) -> None:
        """Note that no reader watches the turn any more."""
        self._saving.save_unwatched()

    async def _cancel_work(self) -> None:
        """Cancel the work and wait for it: the provider's connection is closed then."""
        self._preparing.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_SECONDS)

    async def _run(self) -> None:
        try:
            await self._work()
        except TurnClosed:
            pass
        except (TurnRefused, ModelRefused) as refusal:
            await self._finalizer.fail(refusal.payload)
            await self._report_violation(refusal)
        except HTTPError as error:
            body = error.body
            text = body.get("message") if isinstance(body, Mapping) else body
            await self._finalizer.fail(str(text or payloads.FAILED))
        except Exception:
            self._runtime.log.exception("chat.turn_failed", conversation=self.job.stream_id)
            await self._finalizer.fail(payloads.FAILED)

    async def _work(self) -> None:
        state, runtime = self._state, self._runtime
        replacing = None
        if self._predecessor is not None:
            replacing = runtime.tasks.spawn(self._end_predecessor(self._predecessor), "replace")
        agent = await self._preparing
        prepared = await PreparedTurn.of(runtime, state.request, state.principal, agent)
        state.prepared = prepared
        prepared.fill(state.job.record)
        self._announce()
        await runtime.store.update(state.job)
        if replacing is not None:
            # What the old turn had said may be part of this one's history.
            # Waited for, not awaited: a turn that is replaced itself meanwhile must not stop it.
            await asyncio.wait({replacing})
        state.runs = await prepared.runs(state.recorder, state.ledger, state.steers)
        if state.job.record.kept:
            # Whoever finishes this turn should this process die needs the parts that stay.
            await runtime.store.update(state.job)
        # From here on writing goes on while the model thinks: it must not delay the call.
        self._saving.begin()
        tokens = sum(run.measure() for run in state.runs)
        turn = prepared.turn(prepared.agents[0])
        await runtime.events.check(TurnStarting(turn, tokens, agent.model.prices))
        # Not before: a refused turn must not make, and be charged for, a title.
        state.title.begin(agent.model, "immediate")
        companions = CompanionRunner(runtime, state.recorder)
        try:
            companions.begin(turn, state.runs[0].conversation)
            await self._generate()
            answered = asyncio.get_running_loop().time()
            await state.title.wait()
            await companions.wait(answered)
        except BaseException:
            companions.cancel()
            raise
        await self._finalizer.complete(prepared)

    async def _end_predecessor(self, predecessor: Job) -> None:
        try:
            await self._control.stop(predecessor, REPLACED)
        except Exception:
            self._runtime.log.exception("chat.replace_failed", conversation=predecessor.stream_id)

    def _announce(self) -> None:
        state = self._state
        message = state.request.user_message()
        state.recorder.send({"created": True, "message": message, "streamId": state.job.stream_id})
        state.job.record.announced = True

    async def _generate(self) -> None:
        runs = self._state.runs
        if len(runs) == 1:
            await self._answer(runs[0])
            return
        try:
            async with asyncio.TaskGroup() as group:
                for run in runs:
                    group.create_task(self._answer(run))
        except BaseExceptionGroup:
            raise TurnClosed from None  # nothing else leaves `_answer`

    async def _answer(self, run: AgentRun) -> None:
        """One agent's run; its failure is a part of the answer."""
        state, log = self._state, self._runtime.log
        try:
            await run.run()
        except TurnClosed:
            raise
        except ModelFailure as failure:
            log.info("chat.model_failed", conversation=state.job.stream_id, status=failure.status)
            state.cut = state.cut or failure.cut
            state.recorder.add_part(payloads.error_part(str(failure)), run.tags)
        except TurnRefused as refusal:
            state.recorder.add_part({"type": "error", "error": refusal.payload}, run.tags)
        except Exception:
            log.exception("chat.run_failed", conversation=state.job.stream_id)
            part = payloads.error_part("the provider failed unexpectedly")
            state.recorder.add_part(part, run.tags)

    async def _report_violation(self, refusal: TurnRefused | ModelRefused) -> None:
        violation = getattr(refusal, "violation", "")
        if violation:
            score = self._runtime.config.illegal_model_score
            caller, ip = self._state.principal.id, self._state.request.ip
            await self._runtime.events.publish(
                LimitExceeded(violation, violation, score, caller, ip)
            )
