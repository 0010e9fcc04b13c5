"""A running turn, on the worker that runs it: prepare, announce, ask the models, end."""

import asyncio
from collections.abc import Mapping

from locutory import HTTPError, LimitExceeded
from locutory.access import Principal
from locutory_agents.jobs.store import Job
from locutory_agents.loop.agent import Agent
from locutory_agents.loop.run import AgentRun
from locutory_agents.turn import payloads
from locutory_agents.turn.companions import CompanionRunner
from locutory_agents.turn.finalizer import REPLACED, TurnFinalizer
from locutory_agents.turn.prepared import PreparedTurn, fill_details
from locutory_agents.turn.recorder import TurnClosed
from locutory_agents.turn.request import ChatRequest
from locutory_agents.turn.runtime import TurnRuntime
from locutory_contracts.chat import TurnRefused, TurnStarting
from locutory_contracts.models import ModelFailure, ModelRefused


class RunningTurn(TurnFinalizer):
    """Starts to run as soon as it is made."""

    def __init__(
        self,
        runtime: TurnRuntime,
        request: ChatRequest,
        principal: Principal,
        job: Job,
        preparing: "asyncio.Task[Agent]",
        predecessor: Job | None,
    ) -> None:
        super().__init__(runtime, request, principal, job)
        self._preparing = preparing
        self._predecessor = predecessor
        self._task = runtime.tasks.spawn(self._run(), "turn")

    async def _run(self) -> None:
        try:
            await self._work()
        except TurnClosed:
            pass
        except (TurnRefused, ModelRefused) as refusal:
            await self._fail(refusal.payload)
            await self._report_violation(refusal)
        except HTTPError as error:
            body = error.body
            text = body.get("message") if isinstance(body, Mapping) else body
            await self._fail(str(text or payloads.FAILED))
        except Exception:
            self._runtime.log.exception("chat.turn_failed", conversation=self.job.stream_id)
            await self._fail(payloads.FAILED)

    async def _work(self) -> None:
        replacing = None
        if self._predecessor is not None:
            replacing = self._runtime.tasks.spawn(
                self._end_predecessor(self._predecessor), "replace"
            )
        agent = await self._preparing
        prepared = await PreparedTurn.make(self._runtime, self._request, self._principal, agent)
        self._prepared = prepared
        fill_details(self.job, self._request, prepared.agents, prepared.prompt_tokens)
        self._announce()
        await self._runtime.store.update(self.job)
        if replacing is not None:
            # What the old turn had said may be part of this one's history.
            # Waited for, not awaited: a turn that is replaced itself meanwhile must not stop it.
            await asyncio.wait({replacing})
        self._runs = await prepared.runs(self.recorder, self._ledger, self.steers)
        # From here on writing goes on while the model thinks: it must not delay the call.
        self._begin_saving()
        tokens = sum(run.measure() for run in self._runs)
        turn = prepared.turn(prepared.agents[0])
        await self._runtime.events.ask(TurnStarting(turn, tokens, agent.model.prices))
        # Not before: a refused turn must not make, and be charged for, a title.
        self._title.begin(agent.model, "immediate")
        companions = CompanionRunner(self._runtime, self.recorder)
        try:
            companions.begin(turn, self._runs[0].conversation)
            await self._generate()
            answered = asyncio.get_running_loop().time()
            await self._title.wait()
            await companions.wait(answered)
        except BaseException:
            companions.cancel()
            raise
        await self._complete(prepared)

    async def _end_predecessor(self, predecessor: Job) -> None:
        try:
            await self._runtime.stop(predecessor, REPLACED)
        except Exception:
            self._runtime.log.exception("chat.replace_failed", conversation=predecessor.stream_id)

    def _announce(self) -> None:
        message = self._request.user_message()
        self.recorder.send({"created": True, "message": message, "streamId": self.job.stream_id})
        self._announced = True
        self.job.details["announced"] = True

    async def _generate(self) -> None:
        if len(self._runs) == 1:
            await self._answer(self._runs[0])
            return
        try:
            async with asyncio.TaskGroup() as group:
                for run in self._runs:
                    group.create_task(self._answer(run))
        except BaseExceptionGroup:
            raise TurnClosed from None  # nothing else leaves `_answer`

    async def _answer(self, run: AgentRun) -> None:
        """One agent's run; its failure is a part of the answer."""
        try:
            await run.run()
        except TurnClosed:
            raise
        except ModelFailure as failure:
            self._runtime.log.info(
                "chat.model_failed",
                conversation=self.job.stream_id,
                status=failure.status,
            )
            self._cut = self._cut or failure.cut
            self.recorder.add_part(payloads.error_part(str(failure)), run.tags)
        except TurnRefused as refusal:
            self.recorder.add_part({"type": "error", "error": refusal.payload}, run.tags)
        except Exception:
            self._runtime.log.exception("chat.run_failed", conversation=self.job.stream_id)
            self.recorder.add_part(
                payloads.error_part("the provider failed unexpectedly"), run.tags
            )

    async def _report_violation(self, refusal: TurnRefused | ModelRefused) -> None:
        violation = getattr(refusal, "violation", "")
        if violation:
            score = self._runtime.config.illegal_model_score
            await self._runtime.events.tell(
                LimitExceeded(violation, violation, score, self._principal.id, self._request.ip)
            )
