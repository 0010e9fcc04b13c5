"""Stored messages as a model gets them (messages §4, §6; security §8.10)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from locutory_contracts.models import TokenCounter

Message = dict[str, Any]

CANCELLED = "[cancelled]"
"""Result of a tool call that was cut off: every call needs one, or the history is invalid."""

PER_MESSAGE = 4
"""Tokens that a message costs beyond its text, its role included."""

_OLD_REASONING = re.compile(
    r"^(?::::thinking\n.*?\n:::|\s*<think\b[^>]*>.*?</think\s*>)\s*", re.DOTALL | re.IGNORECASE
)
"""Reasoning that stands in the text of an answer: of LibreChat's older versions, and of models
whose tags nobody had taken out."""


@dataclass(slots=True)
class Item:
    """One stored message: it stays in the prompt, or is left out, as a whole."""

    messages: list[Message]
    tokens: int
    from_user: bool


def with_quotes(text: str, quotes: tuple[str, ...] | list[str]) -> str:
    """Quoted excerpts as Markdown block quotes, a blank line, the text."""
    blocks = ["\n".join(f"> {line}" for line in quote.splitlines()) for quote in quotes]
    if not blocks:
        return text
    quoted = "\n\n".join(blocks)
    return f"{quoted}\n\n{text}" if text else quoted


def count_message(tokens: TokenCounter, message: Mapping[str, Any]) -> int:
    """Tokens of a message in the model's form."""
    content = message.get("content")
    total = PER_MESSAGE + (tokens.count(content) if isinstance(content, str) and content else 0)
    for call in message.get("tool_calls") or ():
        function = call["function"]
        total += tokens.count(function["name"]) + tokens.count(function["arguments"])
    return total


def count_content(tokens: TokenCounter, content: Iterable[Mapping[str, Any]]) -> int:
    """The tokens of an answer whose provider reported none; reasoning is not counted."""
    total = PER_MESSAGE
    for part in content:
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            total += tokens.count(part["text"])
        elif part.get("type") == "tool_call":
            call = part["tool_call"]
            for key in ("name", "args", "output"):
                total += tokens.count(_plain(call.get(key)))
    return total


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value, default=str).decode()


def _value(part: Mapping[str, Any], key: str) -> str:
    """Text of a text or reasoning part: a string, or an object that holds one."""
    value = part.get(key)
    if isinstance(value, Mapping):
        value = value.get("value")
    return value if isinstance(value, str) else ""


class _Builder:
    """Collects the parts of one answer into messages: text and the calls that follow it are
    one assistant message, each result a tool message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[Mapping[str, Any]] = []

    def text(self, text: str) -> None:
        if self._calls:
            self.flush()
        if text:
            self._text.append(text)

    def reasoning(self, text: str) -> None:
        if self._calls:
            self.flush()
        if text:
            self._reasoning.append(text)

    def call(self, call: Mapping[str, Any]) -> None:
        if call.get("name") and call.get("id"):
            self._calls.append(call)

    def steer(self, text: str) -> None:
        self.flush()
        if text:
            self.messages.append({"role": "user", "content": text})

    def flush(self) -> None:
        text = "".join(self._text)
        if text.strip() or self._calls:
            message: Message = {"role": "assistant", "content": text}
            if self._reasoning:
                message["reasoning_content"] = "".join(self._reasoning)
            if self._calls:
                message["tool_calls"] = [
                    tool_call(call["id"], call["name"], _plain(call.get("args")))
                    for call in self._calls
                ]
            self.messages.append(message)
            self.messages.extend(
                tool_result(call["id"], _plain(call.get("output")) or CANCELLED)
                for call in self._calls
            )
        self._text, self._reasoning, self._calls = [], [], []


def tool_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A call as the model's own message repeats it. Arguments that are not JSON (they were
    cut off) become an empty object: providers refuse a history with broken ones."""
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:
        arguments = "{}"
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool_result(call_id: str, output: str) -> Message:
    """The result of a call as the model gets it."""
    return {"role": "tool", "tool_call_id": call_id, "content": output}


def of_agent(content: Sequence[Any], agent_id: str) -> list[Mapping[str, Any]]:
    """Parts without holes; of two models' parallel columns only one agent's: the asking
    agent's own if it took part, else the first one's."""
    parts = [part for part in content if isinstance(part, Mapping)]
    columns = [part.get("agentId") for part in parts if part.get("groupId") is not None]
    if not columns:
        return parts
    wanted = agent_id if agent_id in columns else columns[0]
    return [part for part in parts if part.get("groupId") is None or part.get("agentId") == wanted]


def assistant_messages(content: Sequence[Any], agent_id: str) -> list[Message]:
    """The messages that an answer's content parts represent."""
    builder = _Builder()
    for part in of_agent(content, agent_id):
        kind = part.get("type")
        if kind == "text":
            builder.text(_OLD_REASONING.sub("", _value(part, "text")))
        elif kind == "think":
            builder.reasoning(_value(part, "think"))
        elif kind == "tool_call" and isinstance(part.get("tool_call"), Mapping):
            builder.call(part["tool_call"])
        elif kind == "steer":
            builder.steer(_value(part, "steer"))
    builder.flush()
    return builder.messages


def item(document: Mapping[str, Any], agent_id: str, tokens: TokenCounter) -> Item | None:
    """A stored message; ``None`` when it has nothing for a model (errors, empty answers)."""
    if document.get("error"):
        return None
    from_user = document.get("isCreatedByUser") is True
    text = document.get("text")
    text = text if isinstance(text, str) else ""
    content = document.get("content")
    messages: list[Message]
    if from_user:
        quotes = document.get("quotes")
        quoted = [q for q in quotes if isinstance(q, str)] if isinstance(quotes, list) else []
        messages = [{"role": "user", "content": with_quotes(text, quoted)}]
    elif isinstance(content, list) and content:
        messages = assistant_messages(content, agent_id)
    else:
        plain = _OLD_REASONING.sub("", text)
        messages = [{"role": "assistant", "content": plain}] if plain.strip() else []
    if not messages:
        return None
    known = document.get("tokenCount")
    if isinstance(known, int | float) and known > 0:
        count = int(known)
    else:
        count = sum(count_message(tokens, message) for message in messages)
    return Item(messages, count, from_user)


def items(
    documents: Iterable[Mapping[str, Any]], agent_id: str, tokens: TokenCounter
) -> list[Item]:
    """The history of a branch, root first."""
    made = (item(document, agent_id, tokens) for document in documents)
    return [found for found in made if found is not None]
