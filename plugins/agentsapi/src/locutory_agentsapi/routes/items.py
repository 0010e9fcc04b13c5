"""A response and its output items, built event by event (contract agents-api §5.2, §5.3)."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from locutory_contracts.agents import AgentEvent, StoredAgent, ToolResult
from locutory_contracts.models import ReasoningDelta, TextDelta, ToolCallDelta, Usage

Event = tuple[str, dict[str, Any]]


def short_id(prefix: str) -> str:
    """A new id: the prefix and 24 hexadecimal digits."""
    return f"{prefix}_{secrets.token_hex(12)}"


def response_object(
    response_id: str, agent: StoredAgent, body: Mapping[str, Any]
) -> dict[str, Any]:
    """A response that has just begun."""
    instructions, previous = body.get("instructions"), body.get("previous_response_id")
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "incomplete_details": None,
        "model": agent["id"],
        "previous_response_id": previous if isinstance(previous, str) else None,
        "instructions": instructions if isinstance(instructions, str) else None,
        "output": [],
        "error": None,
        "tools": [],
        "tool_choice": "auto",
        "truncation": "disabled",
        "parallel_tool_calls": True,
        "text": {"format": {"type": "text"}},
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "top_logprobs": 0,
        "reasoning": None,
        "user": None,
        "usage": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "store": body.get("store") is True,
        "background": False,
        "service_tier": "default",
        "metadata": {},
        "safety_identifier": None,
        "prompt_cache_key": None,
    }


def message_item(text: str, item_id: str, status: str = "completed") -> dict[str, Any]:
    """An output item with text."""
    return {
        "type": "message",
        "id": item_id,
        "role": "assistant",
        "status": status,
        "content": [_text_part(text)],
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class _Open:
    """A text or reasoning item that grows."""

    def __init__(self, item: dict[str, Any], index: int, text: bool) -> None:
        self.item = item
        self.index = index
        self.is_text = text
        self.pieces: list[str] = []

    @property
    def place(self) -> dict[str, Any]:
        return {"item_id": self.item["id"], "output_index": self.index, "content_index": 0}

    def part(self, text: str) -> dict[str, Any]:
        return _text_part(text) if self.is_text else {"type": "reasoning_text", "text": text}


class Items:
    """The output of one response. `add` and `complete` return the events that a stream tells."""

    def __init__(self, response: dict[str, Any]) -> None:
        self.response = response
        self.usage = Usage()
        self._open: _Open | None = None
        self._calls: dict[int, tuple[int, dict[str, Any]]] = {}
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """All text of the answer."""
        return "".join(self._text)

    def add(self, event: AgentEvent) -> list[Event]:
        """Take an event of the run."""
        if isinstance(event, TextDelta | ReasoningDelta):
            return self._grow(event.text, isinstance(event, TextDelta))
        if isinstance(event, ToolCallDelta):
            return self._call(event)
        if isinstance(event, ToolResult):
            return self._result(event)
        if isinstance(event, Usage):
            self.usage = event
        return []

    def complete(self) -> list[Event]:
        """The run is over: close what is open; there is always a message."""
        events = self._close()
        if not self.response["output"]:
            events += [*self._grow("", text=True), *self._close()]
        for index, item in self._calls.values():
            if item["status"] != "completed":
                events += self._end_call(index, item)
        usage = self.usage
        self.response |= {
            "status": "completed",
            "completed_at": int(time.time()),
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
                "input_tokens_details": {"cached_tokens": usage.cache_read},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        return events

    def _append(self, item: dict[str, Any]) -> tuple[int, Event]:
        output: list[dict[str, Any]] = self.response["output"]
        output.append(item)
        index = len(output) - 1
        return index, ("response.output_item.added", {"output_index": index, "item": {**item}})

    def _grow(self, piece: str, text: bool) -> list[Event]:
        events: list[Event] = []
        if self._open is None or self._open.is_text is not text:
            events += self._close()
            item: dict[str, Any] = {
                "type": "message",
                "id": short_id("msg"),
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            if not text:
                item = {
                    "type": "reasoning",
                    "id": short_id("reason"),
                    "status": "in_progress",
                    "content": [],
                    "summary": [],
                }
            index, added = self._append(item)
            self._open = _Open(item, index, text)
            events.append(added)
            events.append(
                (
                    "response.content_part.added",
                    {**self._open.place, "part": self._open.part("")},
                )
            )
        if piece:
            self._open.pieces.append(piece)
            if text:
                self._text.append(piece)
            name = "response.output_text.delta" if text else "response.reasoning.delta"
            data = {**self._open.place, "delta": piece}
            events.append((name, {**data, "logprobs": []} if text else data))
        return events

    def _close(self) -> list[Event]:
        opened, self._open = self._open, None
        if opened is None:
            return []
        text = "".join(opened.pieces)
        part = opened.part(text)
        opened.item["content"] = [part]
        opened.item["status"] = "completed"
        name = "response.output_text.done" if opened.is_text else "response.reasoning.done"
        done = {**opened.place, "text": text}
        return [
            (name, {**done, "logprobs": []} if opened.is_text else done),
            ("response.content_part.done", {**opened.place, "part": part}),
            (
                "response.output_item.done",
                {"output_index": opened.index, "item": {**opened.item}},
            ),
        ]

    def _call(self, event: ToolCallDelta) -> list[Event]:
        events: list[Event] = []
        if event.index not in self._calls:
            events += self._close()
            item = {
                "type": "function_call",
                "id": short_id("fc"),
                "call_id": event.id,
                "name": event.name,
                "arguments": "",
                "status": "in_progress",
            }
            index, added = self._append(item)
            self._calls[event.index] = (index, item)
            events.append(added)
        index, item = self._calls[event.index]
        if event.arguments:
            item["arguments"] += event.arguments
            data = {
                "item_id": item["id"],
                "output_index": index,
                "call_id": item["call_id"],
                "delta": event.arguments,
            }
            events.append(("response.function_call_arguments.delta", data))
        return events

    def _end_call(self, index: int, item: dict[str, Any]) -> list[Event]:
        item["status"] = "completed"
        place = {"item_id": item["id"], "output_index": index, "call_id": item["call_id"]}
        return [
            (
                "response.function_call_arguments.done",
                {**place, "arguments": item["arguments"]},
            ),
            ("response.output_item.done", {"output_index": index, "item": {**item}}),
        ]

    def _result(self, event: ToolResult) -> list[Event]:
        events: list[Event] = []
        for index, item in self._calls.values():
            if item["call_id"] == event.call_id and item["status"] != "completed":
                events += self._end_call(index, item)
        output = {
            "type": "function_call_output",
            "id": short_id("fco"),
            "call_id": event.call_id,
            "output": event.output,
            "status": "completed",
        }
        index, added = self._append(output)
        done = ("response.output_item.done", {"output_index": index, "item": {**output}})
        return [*events, added, done]
