"""A recorder whose reader is a program in the same process: events instead of frames."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from locutory_agents.job import Job
from locutory_agents.stream.recorder import Step, TurnClosed, TurnRecorder
from locutory_agents.stream.transcript import TextPart
from locutory_contracts.agents import AgentEvent, ToolResult
from locutory_contracts.models import ReasoningDelta, TextDelta, ToolCallDelta


class EventCollector(TurnRecorder):
    """Passes on the events of a run as they come; pieces of text that the reader has not fetched
    yet are joined."""

    def __init__(self, job: Job, limit: int) -> None:
        super().__init__(job, limit)
        self._events: deque[AgentEvent] = deque()
        self._numbers: dict[str, int] = {}
        self._shown: dict[str, list[Mapping[str, Any]]] = {}
        self._wake = asyncio.Event()
        self._over = False

    def mark(self, step: Step) -> None:
        if self.sealed:
            raise TurnClosed
        step.dirty = True
        self._dirty.append(step)
        self._wake.set()

    def flush(self) -> None:
        steps, self._dirty = self._dirty, []
        self.waiting = 0
        for step in steps:
            text = step.take()
            if text:
                self._events.append(self._piece(step, text))

    def _piece(self, step: Step, text: str) -> AgentEvent:
        if isinstance(step.part, TextPart):
            return TextDelta(text) if step.part.kind == "text" else ReasoningDelta(text)
        return ToolCallDelta(self._numbers[step.run_step["id"]], arguments=text)

    def send(self, event: Mapping[str, Any]) -> None:
        if self.sealed:
            raise TurnClosed
        if self._dirty:
            self.flush()
        data = event.get("data")
        if isinstance(data, Mapping):
            self._translate(str(event.get("event")), data)
        self._wake.set()

    def _translate(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "on_run_step" and data["type"] == "tool_calls":
            number = self._numbers[data["id"]] = len(self._numbers)
            call = data["stepDetails"]["tool_calls"][0]
            self._events.append(ToolCallDelta(number, id=call["id"], name=call["name"]))
        elif name == "on_run_step_delta":
            piece = data["delta"]["tool_calls"][0]["args"]
            self._events.append(ToolCallDelta(self._numbers[data["id"]], arguments=piece))
        elif name == "attachment":
            self._shown.setdefault(str(data.get("toolCallId")), []).append(data)
        elif name == "on_run_step_completed":
            call = data["result"]["tool_call"]
            shown = self._shown.pop(call["id"], ())
            self._events.append(ToolResult(call["id"], str(call.get("output", "")), shown))

    def end(self) -> None:
        """Note that no more events will come."""
        self._over = True
        self._wake.set()

    async def events(self) -> AsyncIterator[AgentEvent]:
        """Everything until `end`."""
        while True:
            self._wake.clear()
            self.flush()
            while self._events:
                yield self._events.popleft()
            if self._over and not self._dirty:
                return
            await self._wake.wait()
