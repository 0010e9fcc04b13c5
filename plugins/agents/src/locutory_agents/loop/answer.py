"""One answer of a model as it streams in: text, reasoning, and the calls it asks for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from locutory_agents.config import LoopLimits
from locutory_agents.ids import nanoid
from locutory_agents.loop.history import Message, tool_call
from locutory_agents.stream.recorder import Step, TurnRecorder
from locutory_agents.stream.transcript import TextPart
from locutory_contracts.models import (
    ChatModel,
    Finished,
    ModelCall,
    ModelEvent,
    ModelFailure,
    ReasoningDelta,
    ReasoningEnded,
    TextDelta,
    ToolCallDelta,
    Usage,
)

MAX_CALLS = 64


@asynccontextmanager
async def model_events(
    chat: ChatModel, call: ModelCall
) -> AsyncIterator[AsyncIterator[ModelEvent]]:
    """The events of a model's answer; leaving the block ends the provider's work."""
    events = chat.stream(call)
    try:
        yield events
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


@dataclass(slots=True)
class Call:
    """A tool call that is being received. ``step`` exists once its name is known."""

    position: int
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    size: int = 0
    step: Step | None = None

    @property
    def arguments(self) -> str:
        """The arguments received so far: JSON text."""
        return "".join(self.pieces)


class Answer:
    """Receives one answer and records it as run steps."""

    def __init__(
        self, recorder: TurnRecorder, tags: Mapping[str, Any], limits: LoopLimits, rate_ms: float
    ) -> None:
        self._recorder = recorder
        self._tags = tags
        self._limits = limits
        self._pause = rate_ms / 1000
        self._step: Step | None = None
        self._steps: list[Step] = []
        self._reasoned = False
        self._calls: dict[int, Call] = {}
        self.usage: Usage | None = None
        self.finish_reason = ""

    @property
    def calls(self) -> list[Call]:
        """The complete calls, in order."""
        return [call for _, call in sorted(self._calls.items()) if call.step is not None]

    async def receive(self, events: AsyncIterator[ModelEvent]) -> None:
        """Record events until the answer is over. The hot loop of the server."""
        kind = ""
        deltas = 0
        ceiling = self._limits.delta_events
        pause = self._pause
        step: Step | None = None
        async for event in events:
            what = type(event)
            if what is TextDelta or what is ReasoningDelta:
                text = event.text  # type: ignore[union-attr]
                if not text:
                    continue
                wanted = "text" if what is TextDelta else "think"
                if step is None or wanted != kind:
                    step, kind = self._open(wanted), wanted
                step.write(text)
            elif what is ReasoningEnded:
                self._close()
                step = None
                self._was_reasoning()
                continue
            elif isinstance(event, ToolCallDelta):
                self._close()
                step = None
                self._receive_call(event)
            elif isinstance(event, Usage):
                self.usage = event
                continue
            elif isinstance(event, Finished):
                self.finish_reason = event.reason
                continue
            if ceiling:
                deltas += 1
                if deltas > ceiling:
                    raise ModelFailure(f"The answer has more than {ceiling} parts.")
            if pause:
                await asyncio.sleep(pause)
        self._close()

    def _open(self, kind: str) -> Step:
        self._close()
        self._reasoned = self._reasoned or kind == "think"
        step = self._recorder.open_text(kind, self._message_id(), 0, self._tags)
        self._step = step
        self._steps.append(step)
        return step

    def _was_reasoning(self) -> None:
        """The text of this answer was reasoning. Readers have seen it as text already; the
        stored answer, and with it the last event, has it right."""
        for step in self._steps:
            if isinstance(step.part, TextPart):
                step.part.kind = "think"

    def _message_id(self) -> str:
        """LibreChat takes over the provider's id, except around reasoning."""
        return f"msg_{nanoid()}" if self._reasoned else f"msg_{uuid4().hex[:24]}"

    def _close(self, status: str = "completed") -> None:
        if self._step is not None:
            self._recorder.close(self._step, status)
            self._step = None

    def _receive_call(self, delta: ToolCallDelta) -> None:
        call = self._calls.get(delta.index)
        if call is None:
            if len(self._calls) >= MAX_CALLS:
                raise ModelFailure(f"The model asked for more than {MAX_CALLS} tools at once.")
            call = self._calls[delta.index] = Call(len(self._calls))
        call.id = call.id or delta.id
        call.name = call.name or delta.name
        piece = delta.arguments
        if piece:
            call.pieces.append(piece)
            call.size += len(piece.encode("utf-8", "replace"))
            ceiling = self._limits.arguments_of(call.name)
            if ceiling and call.size > ceiling:
                raise ModelFailure(
                    f"The arguments of the tool call {call.name!r} exceed {ceiling} bytes."
                )
        if call.step is None:
            if call.name:
                self._announce(call)
        elif piece:
            call.step.write(piece)

    def _announce(self, call: Call) -> None:
        if not self._steps:
            # The contract's sequence has a message before its first call, even an empty one.
            empty = self._recorder.open_text(None, self._message_id(), 0, self._tags)
            self._steps.append(empty)
            self._recorder.close(empty)
        call.id = call.id or f"call_{nanoid()}"
        text = call.arguments
        whole: Any = ""
        if text:
            try:
                parsed = orjson.loads(text)
            except orjson.JSONDecodeError:
                parsed = None
            whole = parsed if isinstance(parsed, dict) else ""
        call.step = self._recorder.open_call(call.id, call.name, whole, call.position, self._tags)
        if text:
            self._recorder.first_arguments(call.step, call.name, text, call.position)

    def give_up(self, status: str) -> None:
        """The answer was cut off: end its steps, drop its calls."""
        self._close(status)
        for call in self.calls:
            assert call.step is not None  # noqa: S101  (`calls` has only announced ones)
            self._recorder.close(call.step, status)
        self._calls.clear()

    def _joined(self, kind: str) -> str:
        return "".join(
            step.part.text()
            for step in self._steps
            if isinstance(step.part, TextPart) and step.part.kind == kind
        )

    def written(self) -> str:
        """Everything the model wrote, for counting."""
        arguments = (call.arguments for call in self._calls.values())
        return "\n".join((self._joined("think"), self._joined("text"), *arguments)).strip()

    def message(self) -> Message | None:
        """The answer as the next call repeats it; ``None`` when it is empty."""
        text, calls = self._joined("text"), self.calls
        if not text.strip() and not calls:
            return None
        message: Message = {"role": "assistant", "content": text}
        reasoning = self._joined("think")
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = [tool_call(c.id, c.name, c.arguments) for c in calls]
        return message
