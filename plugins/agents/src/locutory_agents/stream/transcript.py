"""The output of a turn so far: content parts, run steps, usage (chat-stream §6.3, §6.8).

The turn writes it as it runs; a worker that only follows a turn rebuilds it from the events. Text
is kept in pieces and joined on demand.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Content = list[dict[str, Any]]


class TextPart:
    """A text or reasoning block. ``sent`` counts the pieces that are in the log."""

    __slots__ = ("kind", "pieces", "sent", "tags")

    def __init__(self, kind: str, tags: Mapping[str, Any], text: str = "") -> None:
        self.kind = kind
        self.tags = tags
        self.pieces = [text] if text else []
        self.sent = len(self.pieces)

    def text(self) -> str:
        """All of it, joined."""
        if len(self.pieces) > 1:
            unsent = self.pieces[self.sent :]
            if unsent:
                return "".join(self.pieces)
            whole = "".join(self.pieces)
            self.pieces.clear()
            self.pieces.append(whole)
            self.sent = 1
        return self.pieces[0] if self.pieces else ""

    def value(self) -> dict[str, Any]:
        """The content part."""
        return {"type": self.kind, self.kind: self.text(), **self.tags}


class ToolPart:
    """A tool call, its arguments as they arrive and its result."""

    __slots__ = ("arguments", "call", "sent", "tags")

    def __init__(self, call: dict[str, Any], tags: Mapping[str, Any], arguments: str = "") -> None:
        self.call = call
        self.tags = tags
        self.arguments = [arguments] if arguments else []
        self.sent = len(self.arguments)

    @property
    def finished(self) -> bool:
        """True once its result is there."""
        return self.call.get("progress") == 1

    def value(self) -> dict[str, Any]:
        """The content part."""
        call = dict(self.call)
        if "args" not in call:
            call["args"] = "".join(self.arguments)
        ordered = {"id": call.pop("id"), "name": call.pop("name"), "args": call.pop("args")}
        return {
            "type": "tool_call",
            "tool_call": {**ordered, "type": "tool_call", **call},
            **self.tags,
        }


class PlainPart:
    """A part that comes whole: an error, a steer."""

    __slots__ = ("content", "tags")

    def __init__(self, content: Mapping[str, Any], tags: Mapping[str, Any] = {}) -> None:
        self.content = content
        self.tags = tags

    def value(self) -> dict[str, Any]:
        """The content part."""
        return {**self.content, **self.tags}


Part = TextPart | ToolPart | PlainPart

_TAGS = ("agentId", "groupId")


def tags_of(source: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a step or part that name its agent and group."""
    return {key: source[key] for key in _TAGS if key in source}


class Transcript:
    """Parts by index, run steps by id, and the side events a reader needs to catch up."""

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.steps: dict[str, dict[str, Any]] = {}
        self.usage: list[dict[str, Any]] = []
        self.attachments: list[dict[str, Any]] = []
        self.context: dict[str, Any] | None = None
        self.title: dict[str, Any] | None = None

    def snapshot(self) -> Content:
        """Every part at its index, also empty ones, for a reader that catches up."""
        found: Content = []
        for index in range(max(self.parts, default=-1) + 1):
            part = self.parts.get(index)
            value: dict[str, Any] = {"type": "text", "text": ""}
            if part is not None:
                value = part.value()
            if value.get("type") == "text" and not value.get("text"):
                calls = list(self._calls_after(index))
                if calls:
                    value["tool_call_ids"] = calls
            found.append(value)
        return found

    def _calls_after(self, index: int) -> Iterable[str]:
        while isinstance(part := self.parts.get(index + 1), ToolPart):
            yield part.call["id"]
            index += 1

    def content(self) -> Content:
        """The parts worth keeping, in order: without empty text."""
        return [
            part.value()
            for _, part in sorted(self.parts.items())
            if not isinstance(part, TextPart) or part.text().strip()
        ]

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take over one event of the wire."""
        handler = _HANDLERS.get(event.get("event", ""))
        if handler is not None:
            handler(self, event["data"])

    def add_step(self, step: dict[str, Any]) -> Part:
        """A run step begins. Returns its part, which exists from here on."""
        self.steps[step["id"]] = step
        details = step["stepDetails"]
        tags = tags_of(step)
        part: Part
        if details["type"] == "tool_calls":
            call = details["tool_calls"][0]
            part = ToolPart({"id": call["id"], "name": call["name"], "progress": 0.1}, tags)
        else:
            part = TextPart(details["message_creation"].get("content_type", "text"), tags)
        self.parts[step["index"]] = part
        return part

    def _part(self, step_id: str) -> Part | None:
        step = self.steps.get(step_id)
        return None if step is None else self.parts.get(step["index"])

    def _text(self, data: Mapping[str, Any]) -> None:
        part = self._part(data["id"])
        if isinstance(part, TextPart):
            for piece in data["delta"]["content"]:
                part.pieces.append(piece.get(piece["type"], ""))
            part.sent = len(part.pieces)

    def _arguments(self, data: Mapping[str, Any]) -> None:
        part = self._part(data["id"])
        if isinstance(part, ToolPart):
            for chunk in data["delta"].get("tool_calls", ()):
                part.arguments.append(chunk.get("args") or "")
            part.sent = len(part.arguments)

    def _completed(self, data: Mapping[str, Any]) -> None:
        result = data["result"]
        part = self._part(result["id"])
        if isinstance(part, ToolPart):
            part.call.update(result["tool_call"])

    def _closed(self, data: Mapping[str, Any]) -> None:
        part = self._part(data["id"])
        if isinstance(part, ToolPart):
            part.call["runStepStatus"] = data["status"]
            part.call["runStepDurationMs"] = data["closed_at"] - data["created_at"]

    def _steered(self, data: Mapping[str, Any]) -> None:
        self.parts[data["index"]] = PlainPart(data["part"])

    def _context(self, data: dict[str, Any]) -> None:
        self.context = data

    def _titled(self, data: dict[str, Any]) -> None:
        self.title = data

    def dump(self) -> dict[str, Any]:
        """Everything as JSON values, for `load`."""
        return {
            "parts": {str(index): part.value() for index, part in self.parts.items()},
            "steps": list(self.steps.values()),
            "usage": self.usage,
            "attachments": self.attachments,
            "context": self.context,
            "title": self.title,
        }

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Transcript":
        """The transcript that `dump` gave."""
        found = cls()
        for index, value in dumped["parts"].items():
            tags = tags_of(value)
            part: Part
            if value["type"] in ("text", "think"):
                part = TextPart(value["type"], tags, value[value["type"]])
            elif value["type"] == "tool_call":
                call = dict(value["tool_call"])
                call.pop("type", None)
                arguments = "" if call.get("progress") == 1 else call.pop("args", "")
                part = ToolPart(call, tags, arguments)
            else:
                part = PlainPart(value)
            found.parts[int(index)] = part
        found.steps = {step["id"]: step for step in dumped["steps"]}
        found.usage = list(dumped["usage"])
        found.attachments = list(dumped["attachments"])
        found.context = dumped["context"]
        found.title = dumped["title"]
        return found


_HANDLERS = {
    "on_run_step": Transcript.add_step,
    "on_message_delta": Transcript._text,
    "on_reasoning_delta": Transcript._text,
    "on_run_step_delta": Transcript._arguments,
    "on_run_step_completed": Transcript._completed,
    "on_run_step_closed": Transcript._closed,
    "on_steer_applied": Transcript._steered,
    "on_context_usage": Transcript._context,
    "on_token_usage": lambda transcript, data: transcript.usage.append(data),
    "attachment": lambda transcript, data: transcript.attachments.append(data),
    "title": Transcript._titled,
}


def flatten(content: Iterable[Mapping[str, Any]], *, steers: bool = True) -> str:
    """The text of content parts: joined by one blank unless one side has one (messages §5)."""
    found = ""
    for part in content:
        kind = part.get("type")
        if kind not in ("text", "think", "steer") or (kind == "steer" and not steers):
            continue
        value = part.get(kind)
        text = value.get("value", "") if isinstance(value, Mapping) else value
        if not isinstance(text, str) or not text:
            continue
        if found and not found[-1].isspace() and not text[0].isspace():
            found += " "
        found += text
    return found
