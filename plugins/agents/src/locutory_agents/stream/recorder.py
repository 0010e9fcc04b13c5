"""The writing end of a turn's feed.

The hot path of the server: a piece of text is put on a list, and nothing else happens
until somebody reads, or many have come. Then all pieces that have come since become one event.

What one turn may record is limited: an answer is kept in memory, and stored in one document.
"""

from collections.abc import Mapping
from typing import Any

from locutory_agents.config import ANSWER_BYTES
from locutory_agents.ids import milliseconds, nanoid
from locutory_agents.job import Job
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Delta, arguments_delta, frame, text_delta, to_json
from locutory_agents.stream.transcript import PlainPart, TextPart, ToolPart
from locutory_contracts.models import ModelFailure

MANY_PIECES = 4096
"""Pieces of text that may wait to become an event."""

PART_BYTES = 512
"""Bytes of a part besides its text: its run step, its members in the stored answer."""

CUT = "\n[cut: the answer is too long]"


class TurnClosed(Exception):
    """The turn has ended; nothing more is recorded."""


class TooLong(ModelFailure):
    """The turn has reached its limit; the part that fitted is recorded."""

    def __init__(self, limit: int) -> None:
        size = f"{limit / 1_000_000:g} MB" if limit >= 100_000 else f"{limit} bytes"
        super().__init__(f"The answer is too long: it was cut off after {size}.", cut=True)


class Step:
    """An open run step, and the text that streams into its part."""

    __slots__ = ("_recorder", "delta", "dirty", "part", "pieces", "run_step")

    def __init__(
        self,
        recorder: "TurnRecorder",
        run_step: dict[str, Any],
        part: TextPart | ToolPart,
        delta: Delta,
    ) -> None:
        self._recorder = recorder
        self.run_step = run_step
        self.part = part
        self.pieces = part.pieces if isinstance(part, TextPart) else part.arguments
        self.delta = delta
        self.dirty = False

    def write(self, piece: str) -> None:
        """Stream a piece of text. `TurnClosed` when the turn has ended, `TooLong` when not all of
        the piece fits."""
        recorder = self._recorder
        recorder.left -= len(piece) if piece.isascii() else _size(piece)
        if recorder.left < 0:
            self._write_what_fits(piece)
        if not self.dirty:
            recorder.mark(self)
        self.pieces.append(piece)
        recorder.waiting += 1
        if recorder.waiting >= MANY_PIECES:
            recorder.flush()

    def _write_what_fits(self, piece: str) -> None:
        recorder = self._recorder
        room = recorder.left + _size(piece)
        fitting = piece.encode("utf-8", "replace")[: max(0, room)].decode("utf-8", "ignore")
        recorder.left = 0
        if fitting:
            if not self.dirty:
                recorder.mark(self)
            self.pieces.append(fitting)
        raise TooLong(recorder.limit)

    def take(self) -> str:
        """The text that is not in the log yet; it counts as being there from now on."""
        self.dirty = False
        part, pieces = self.part, self.pieces
        unsent = "".join(pieces[part.sent :])
        if part.sent + 1 < len(pieces):
            pieces[part.sent :] = [unsent]
        if len(pieces) >= MANY_PIECES:
            pieces[:] = ["".join(pieces)]
        part.sent = len(pieces)
        return unsent

    def flush(self) -> bytes | None:
        """The frame of the events that are not in the log yet."""
        unsent = self.take()
        return self.delta.frame(unsent) if unsent else None


def _size(text: str) -> int:
    """Bytes of a text as it is stored."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class TurnRecorder(Feed):
    """Records the output of a turn: content, run steps and events. ``limit``: bytes that it may
    record in all, of which ``left`` remain; ``waiting``: pieces that are in no event yet."""

    def __init__(self, job: Job, limit: int = ANSWER_BYTES) -> None:
        super().__init__(job)
        self._dirty: list[Step] = []
        self._next = 0
        self.limit = self.left = limit
        self.waiting = 0
        self.sealed = False
        self.run_id = job.record.response_message_id
        self.log.pending = self.flush

    def mark(self, step: Step) -> None:
        """A step has text that is not in the log."""
        if self.sealed:
            raise TurnClosed
        step.dirty = True
        self._dirty.append(step)
        self.log.touch()

    def flush(self) -> None:
        """Put pending text into the log."""
        steps, self._dirty = self._dirty, []
        self.waiting = 0
        self.log.dirty = False
        for step in steps:
            made = step.flush()
            if made is not None:
                self.log.append(made)

    def emit(self, name: str, data: Mapping[str, Any]) -> None:
        """Record an event ``{event, data}`` after the text before it."""
        self.send({"event": name, "data": data})

    def send(self, event: Mapping[str, Any]) -> None:
        """Record an event of any form."""
        if self.sealed:
            raise TurnClosed
        if self._dirty:
            self.flush()
        self.log.append(frame(event))

    def seal(self) -> None:
        """End the recording: later events are refused, earlier ones are in the log."""
        self.flush()
        self.sealed = True

    def _fit(self, text: str, mark: str = "") -> str:
        """A whole text, cut to the remaining size; a cut one ends with ``mark``."""
        size = _size(text)
        if size > self.left:
            room = max(0, self.left - len(mark))
            text = text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + mark
            size = max(self.left, 0)
        self.left -= size
        return text

    def charge(self, content: Any) -> bool:
        """Count JSON values that are part of the answer; false when they do not fit."""
        self.left -= len(to_json(content))
        return self.left >= 0

    def _step(
        self, kind: str, details: Mapping[str, Any], number: int, tags: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.left -= PART_BYTES
        if self.left < 0:
            self.left = 0
            raise TooLong(self.limit)
        step = {
            "stepIndex": number,
            "id": f"step_{nanoid()}",
            "type": kind,
            "index": self._next,
            "stepDetails": details,
            "usage": None,
            "status": "in_progress",
            "runId": self.run_id,
            "created_at": milliseconds(),
            **tags,
        }
        self.emit("on_run_step", step)
        self._next += 1
        return step

    def open_text(
        self, kind: str | None, message_id: str, number: int, tags: Mapping[str, Any]
    ) -> Step:
        """Begin a block of kind ``text`` or ``think``, and return its step; ``None`` announces
        a message that turns out to have no text (chat-stream §6.7, tool calls)."""
        creation = {"message_id": message_id}
        if kind is not None:
            creation["content_type"] = kind
        details = {"type": "message_creation", "message_creation": creation}
        step = self._step("message_creation", details, number, tags)
        part = self.transcript.add_step(step)
        assert isinstance(part, TextPart)  # noqa: S101  (add_step makes it by the step's type)
        return Step(self, step, part, text_delta(step["id"], kind or "text"))

    def open_call(
        self, call_id: str, name: str, arguments: Any, position: int, tags: Mapping[str, Any]
    ) -> Step:
        """Begin a tool call, and return its step. ``arguments``: the parsed ones when they came
        whole, else ``""``; ``position``: its number among the calls of one answer."""
        call = {"name": name, "args": arguments, "id": call_id, "type": "tool_call"}
        details = {"type": "tool_calls", "tool_calls": [call]}
        step = self._step("tool_calls", details, position + 1, tags)
        part = self.transcript.add_step(step)
        assert isinstance(part, ToolPart)  # noqa: S101
        return Step(self, step, part, arguments_delta(step["id"], position))

    def first_arguments(self, step: Step, name: str, text: str, position: int) -> None:
        """The first piece of a call's arguments; it repeats name and id."""
        call_id = step.part.call["id"] if isinstance(step.part, ToolPart) else ""
        chunk = {
            "name": name,
            "args": text,
            "id": call_id,
            "index": position,
            "type": "tool_call_chunk",
        }
        delta = {"type": "tool_calls", "tool_calls": [chunk]}
        self.emit("on_run_step_delta", {"id": step.run_step["id"], "delta": delta})
        self._fit(text)
        step.pieces.append(text)
        step.part.sent = len(step.pieces)

    def complete_call(self, step: Step, result: Mapping[str, Any], position: int) -> None:
        """The result of a tool call: members of ``tool_call`` (args, output, …), and its
        number among the calls of one answer."""
        part, run_step = step.part, step.run_step
        assert isinstance(part, ToolPart)  # noqa: S101
        result = {**result, "output": self._fit(result["output"], CUT)}
        call = {
            "args": result["args"],
            "name": part.call["name"],
            "id": part.call["id"],
            **{key: value for key, value in result.items() if key != "args"},
            "progress": 1,
        }
        event = {
            "id": run_step["id"],
            "index": position,
            "type": "tool_call",
            "tool_call": call,
            "completed_at": milliseconds(),
        }
        self.emit("on_run_step_completed", {"result": event})
        part.call.update(call)

    def close(self, step: Step, status: str = "completed") -> None:
        """End a run step: ``completed``, ``cancelled`` or ``failed``."""
        run_step = step.run_step
        closed: dict[str, Any] = {
            "id": run_step["id"],
            "index": run_step["index"],
            "type": run_step["type"],
            "status": status,
            "closed_at": milliseconds(),
            "created_at": run_step["created_at"],
            "runId": run_step["runId"],
            **{key: run_step[key] for key in ("agentId", "groupId") if key in run_step},
            "stepIndex": run_step["stepIndex"],
        }
        self.emit("on_run_step_closed", closed)
        if isinstance(step.part, ToolPart):
            step.part.call["runStepStatus"] = status
            step.part.call["runStepDurationMs"] = closed["closed_at"] - closed["created_at"]

    def add_part(self, content: Mapping[str, Any], tags: Mapping[str, Any] = {}) -> int:
        """Append a part that has no run step; returns its index. No event."""
        if self.sealed:
            raise TurnClosed
        index = self._next
        self._next += 1
        self.transcript.parts[index] = PlainPart(content, tags)
        return index

    def context(self, data: dict[str, Any]) -> None:
        """Announce the size of the prompt of the next model call."""
        self.emit("on_context_usage", data)
        self.transcript.context = data

    def usage(self, data: dict[str, Any]) -> None:
        """Announce the tokens of a model call."""
        self.emit("on_token_usage", data)
        self.transcript.usage.append(data)

    def attachment(self, data: dict[str, Any]) -> None:
        """Something that a tool shows to the user; left out when it does not fit any more."""
        before = self.left
        if not self.charge(data):
            self.left = before
            return
        self.send({"event": "attachment", "data": data})
        self.transcript.attachments.append(data)

    def title(self, data: dict[str, Any]) -> None:
        """Record the title of the conversation. It may come while the answer is being saved, since
        it is not part of it; after the last event it is dropped."""
        if self.log.terminal is None:
            self.flush()
            self.log.append(frame({"event": "title", "data": data}))
            self.transcript.title = data
