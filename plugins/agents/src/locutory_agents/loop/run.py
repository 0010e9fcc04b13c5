"""The loop: ask the model, run the tools it calls, ask again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from locutory_agents.config import LoopLimits
from locutory_agents.loop.agent import Agent
from locutory_agents.loop.answer import Answer, Call, model_events
from locutory_agents.loop.budget import Budget, CountedMessages
from locutory_agents.loop.history import Item, Message, tool_result
from locutory_agents.loop.tools import ToolRunner
from locutory_agents.loop.usage import UsageLedger
from locutory_agents.stream.recorder import TurnClosed, TurnRecorder
from locutory_contracts.models import ModelCall, ModelFailure, Usage

PARALLEL_CALLS = 16


class Steer(Protocol):
    """Words that a user adds to a run. ``client_id``: the client's own id of them."""

    @property
    def id(self) -> str: ...

    @property
    def client_id(self) -> str | None: ...

    @property
    def text(self) -> str: ...

    def part(self) -> dict[str, Any]:
        """The content part that shows it in the answer."""
        ...


class Steers(Protocol):
    """A source of the messages that the user adds to a run."""

    @property
    def armed(self) -> bool:
        """``True`` when a steer should not wait for the next tool boundary."""
        ...

    def take(self) -> Sequence[Steer]:
        """Return all waiting steers, in order; they count as applied."""
        ...

    def on_armed(self, interrupt: Callable[[], None]) -> None:
        """Set the function that is called when a steer is armed."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """The start of an agent's run. ``system`` is its whole system prompt, ``current`` the
    messages of this turn."""

    system: str
    history: Sequence[Item]
    current: Sequence[Message]
    headers: Mapping[str, str]


class AgentRun:
    """One agent's part of a turn."""

    def __init__(
        self,
        agent: Agent,
        prompt: Prompt,
        recorder: TurnRecorder,
        tool_runner: ToolRunner,
        budget: Budget,
        limits: LoopLimits,
        ledger: UsageLedger,
        steers: Steers | None = None,
    ) -> None:
        self._agent = agent
        self._prompt = prompt
        self._recorder = recorder
        self._tool_runner = tool_runner
        self._budget = budget
        self._limits = limits
        self._ledger = ledger
        self._steers = steers
        self._clock: asyncio.Timeout | None = None
        self._current = CountedMessages(budget.tokens, prompt.current)
        self._seats = asyncio.Semaphore(PARALLEL_CALLS)
        self._interrupted = False
        self.first_prompt_tokens = 0
        self.finish_reason = ""
        if steers is not None:
            steers.on_armed(self._interrupt)

    @property
    def tags(self) -> Mapping[str, Any]:
        """Members that mark this agent's parts."""
        return self._agent.tags

    def conversation(self) -> list[Message]:
        """The branch up to and with this turn's question, without the system prompt."""
        before = [message for item in self._prompt.history for message in item.messages]
        return [*before, *self._prompt.current]

    def measure(self) -> int:
        """Tokens of the first prompt's messages; `TurnRefused` when it cannot fit."""
        _, numbers = self._budget.fit(self._prompt.history, self._current, first=True)
        self.first_prompt_tokens = numbers["prePruneContextTokens"]
        return int(numbers["breakdown"]["messageTokens"]) + self._budget.instructions

    async def run(self) -> None:
        """Until the model has nothing more to do. Raises `ModelFailure`, `TurnRefused`."""
        steps = 0
        while True:
            if steps >= self._limits.steps:
                raise ModelFailure(f"The agent stopped after {self._limits.steps} steps.")
            answer = await self._ask(first=steps == 0)
            steps += 1
            self.finish_reason = answer.finish_reason
            message = answer.message()
            if message is not None:
                self._current.add(message)
            calls = answer.calls
            if calls:
                for result in await self._run_calls(calls):
                    self._current.add(result)
                steps += 1
            steered = self._apply_steers() if calls or self._interrupted else False
            self._interrupted = False
            if not calls and not steered:
                return

    async def _ask(self, *, first: bool) -> Answer:
        messages, numbers = self._budget.fit(self._prompt.history, self._current, first=first)
        self._recorder.context(
            {"runId": self._recorder.run_id, "agentId": self._agent.id, **numbers}
        )
        if self._prompt.system:
            messages.insert(0, {"role": "system", "content": self._prompt.system})
        model = self._agent.model
        call = ModelCall(
            messages,
            tools=[tool.schema for tool in self._tool_runner.tools],
            headers_context=self._prompt.headers,
        )
        answer = Answer(self._recorder, self._agent.tags, self._limits, model.stream_rate_ms)
        context = "incomplete"
        try:
            async with (
                model_events(model.chat, call) as stream,
                asyncio.timeout(None) as self._clock,
            ):
                if self._steers is not None and self._steers.armed:
                    self._interrupt()
                await answer.receive(stream)
            context = "message"
        except TimeoutError:
            if not self._interrupted:
                context = ""
                answer.give_up("failed")
                raise ModelFailure("The provider did not answer in time.") from None
            answer.give_up("cancelled")
        except TurnClosed:
            raise
        except Exception:
            context = ""
            answer.give_up("failed")
            raise
        finally:
            self._clock = None
            if answer.usage is not None:
                self._ledger.add(model, answer.usage, "message", self._open_recorder())
            elif context and (written := answer.written()):
                prompt = int(numbers["breakdown"]["messageTokens"]) + self._budget.instructions
                counted = Usage(prompt, self._budget.tokens.count(written))
                self._ledger.estimate(model, counted, context)
        return answer

    def _open_recorder(self) -> TurnRecorder | None:
        return None if self._recorder.sealed else self._recorder

    def _interrupt(self) -> None:
        """Cut off the model call that runs, for the sake of an armed steer."""
        if self._clock is not None and not self._interrupted:
            self._interrupted = True
            self._clock.reschedule(asyncio.get_running_loop().time())

    async def _run_calls(self, calls: Sequence[Call]) -> list[Message]:
        """Side by side; results in the order of the calls."""
        results = await asyncio.gather(
            *(self._run_call(call) for call in calls), return_exceptions=True
        )
        messages = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            messages.append(result)
        return messages

    async def _run_call(self, call: Call) -> Message:
        step = call.step
        assert step is not None  # noqa: S101  (only announced calls come here)
        async with self._seats:
            result = await self._tool_runner.run(call.name, call.arguments)
        for attachment in result.attachments:
            self._recorder.attachment(
                {
                    **attachment,
                    "messageId": self._recorder.run_id,
                    "toolCallId": call.id,
                    "conversationId": self._recorder.job.stream_id,
                }
            )
        completed: dict[str, Any] = {"args": result.arguments, "output": result.output}
        if result.invalid:
            completed["inputValidationError"] = True
        self._recorder.complete_call(step, completed, call.position)
        self._recorder.close(step, "completed" if result.reached else "failed")
        return tool_result(call.id, result.output)

    def _apply_steers(self) -> bool:
        if self._steers is None:
            return False
        steers = self._steers.take()
        job = self._recorder.job
        for steer in steers:
            part = steer.part()
            index = self._recorder.add_part(part, self._agent.tags)
            event = {"steerId": steer.id, "index": index, "part": part}
            if steer.client_id is not None:
                event["clientSteerId"] = steer.client_id
            event |= {"responseMessageId": self._recorder.run_id, "conversationId": job.stream_id}
            self._recorder.emit("on_steer_applied", event)
            self._current.add({"role": "user", "content": steer.text})
        return bool(steers)
