"""A response and its output items, built event by event (contract agents-api §5.2, §5.3)."""

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from locutory_agentsapi.routes.form import Form
from locutory_agentsapi.routes.open_item import Event, OpenItem, text_part
from locutory_contracts.agents import AgentEvent, StoredAgent, ToolResult
from locutory_contracts.models import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage

_RESPONSE = "resp_"
_ITEM = re.compile(r"msg_([0-9a-f]{24})[0-9]{1,6}")
_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""The causes that cut an answer, by the reason of its end."""


def new_response_id() -> str:
    """24 hexadecimal digits, which the ids of the response's items repeat."""
    return f"{_RESPONSE}{secrets.token_hex(12)}"


def item_id(response_id: str, kind: str, index: int) -> str:
    """The id of an item of a response."""
    return f"{kind}_{response_id.removeprefix(_RESPONSE)}{index}"


def response_of(item: str) -> str | None:
    """The response of a message item, by the id of the item; ``None`` for an id of another
    kind."""
    found = _ITEM.fullmatch(item)
    return None if found is None else _RESPONSE + found[1]


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


def message_item(text: str, identity: str, status: str = "completed") -> dict[str, Any]:
    """An output item with text."""
    return {
        "type": "message",
        "id": identity,
        "role": "assistant",
        "status": status,
        "content": [text_part(text)],
    }


def ended(reason: str) -> dict[str, Any]:
    """The members of a response about its end, by the reason of the run."""
    cut = _CUT.get(reason)
    if cut is None:
        return {"status": "completed", "completed_at": int(time.time())}
    return {"status": "incomplete", "incomplete_details": {"reason": cut}}


class Items:
    """The output of one response. `add`, `complete` and `fail` return the events for a stream."""

    def __init__(self, response: dict[str, Any], form: Form) -> None:
        self.response = response
        self.usage = Usage()
        self.reason = "stop"
        self._form = form
        self._open: OpenItem | None = None
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
        if isinstance(event, ToolCallDelta | ToolResult):
            if not self._form.calls:
                return self._close()  # what is said after it is an item of its own
            return self._call(event) if isinstance(event, ToolCallDelta) else self._result(event)
        if isinstance(event, Finished):
            self.reason = event.reason
        else:
            self.usage = event
        return []

    def complete(self) -> list[Event]:
        """Finish the output: close open items; there is always a message."""
        end = ended(self.reason)
        events = self._close(end["status"])
        if not self.response["output"]:
            events += [*self._grow("", text=True), *self._close(end["status"])]
        for index, item in self._calls.values():
            if item["status"] != "completed":
                events += self._end_call(index, item)
        usage = self.usage
        self.response |= {
            **end,
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "total_tokens": usage.total_tokens,
                "input_tokens_details": {"cached_tokens": usage.cache_read},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        return [*events, (f"response.{end['status']}", {"response": self.response})]

    def fail(self, error: Mapping[str, Any]) -> list[Event]:
        """Finish a failed output: its items are kept, as incomplete."""
        self._close("incomplete")
        for _, item in self._calls.values():
            if item["status"] != "completed":
                item["status"] = "incomplete"
        self.response |= {"status": "failed", "error": error}
        return [("response.failed", {"response": self.response})]

    def _append(self, item: dict[str, Any]) -> tuple[int, Event]:
        output: list[dict[str, Any]] = self.response["output"]
        output.append(item)
        index = len(output) - 1
        return index, ("response.output_item.added", {"output_index": index, "item": {**item}})

    def _next_id(self, kind: str) -> str:
        return item_id(self.response["id"], kind, len(self.response["output"]))

    def _grow(self, piece: str, text: bool) -> list[Event]:
        events: list[Event] = []
        if self._open is None or self._open.is_text is not text:
            events += self._close()
            item: dict[str, Any] = {
                "type": "message",
                "id": self._next_id("msg"),
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            if not text:
                item = {
                    "type": "reasoning",
                    "id": self._next_id("reason"),
                    "status": "in_progress",
                    "content": [],
                    "summary": [],
                }
            index, added = self._append(item)
            self._open = OpenItem(item, index, "output" if text else self._form.reasoning)
            events += [added, self._open.begin()]
        if piece:
            if text:
                self._text.append(piece)
            events.append(self._open.grow(piece))
        return events

    def _close(self, status: str = "completed") -> list[Event]:
        opened, self._open = self._open, None
        return [] if opened is None else opened.end(status)

    def _call(self, event: ToolCallDelta) -> list[Event]:
        events: list[Event] = []
        if event.index not in self._calls:
            events += self._close()
            item = {
                "type": "function_call",
                "id": self._next_id("fc"),
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
            "id": self._next_id("fco"),
            "call_id": event.call_id,
            "output": event.output,
            "status": "completed",
        }
        index, added = self._append(output)
        done = ("response.output_item.done", {"output_index": index, "item": {**output}})
        return [*events, added, done]
