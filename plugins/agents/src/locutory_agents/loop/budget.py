"""Fits a prompt into a model's window (endpoints §8), for the event of chat-stream §6.4 too."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from locutory import Services
from locutory_agents.loop.history import Item, Message, count_message
from locutory_contracts.chat import Tool, TurnRefused
from locutory_contracts.models import TOKENS, PreparedModel, TokenCounter, ToolSchema

PRIMING = 3
"""Tokens that open the answer."""

SYSTEM = 3
"""Tokens that a system prompt costs beyond its text."""

RESERVE = 0.95
MINIMUM = 1024

SHORTEST_RESULT = 500
"""Characters below which a tool result is not cut to make room."""


class HeuristicCounter:
    """Token counts without a tokenizer: four characters a token."""

    def count(self, text: str) -> int:
        """`TokenCounter.count`."""
        return (len(text) + 3) // 4


class SampledCounter:
    """A counter that does not stop the server for long texts: those are counted in samples
    from their beginning, middle and end."""

    EXACT = 20_000
    SAMPLE = 4_000

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def count(self, text: str) -> int:
        """`TokenCounter.count`."""
        if len(text) <= self.EXACT:
            return self._counter.count(text)
        middle = len(text) // 2
        samples = (text[: self.SAMPLE], text[middle : middle + self.SAMPLE], text[-self.SAMPLE :])
        counted = sum(map(self._counter.count, samples))
        return round(counted * len(text) / (3 * self.SAMPLE))


def token_counter(services: Services) -> TokenCounter:
    """The token counter of the models plugin; an estimate when no plugin offers one."""
    return SampledCounter(services.find(TOKENS) or HeuristicCounter())


def window(model: PreparedModel) -> int:
    """Tokens of the whole prompt: the user's own setting, else the model's window without
    the room kept for the answer."""
    chosen = model.settings.get("maxContextTokens")
    if isinstance(chosen, int | float) and not isinstance(chosen, bool) and chosen > 0:
        return int(chosen)
    return max(MINIMUM, round((model.context_tokens - (model.output_tokens or 0)) * RESERVE))


class ToolCounts:
    """Tokens that descriptions of tools cost. Providers wrap them in text of their own: the
    overhead and the factor are those of the recorded server."""

    OVERHEAD = 3
    FACTOR = 1.4
    REMEMBERED = 2000

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def count(self, tools: Sequence[Tool], tokens: TokenCounter) -> dict[str, int]:
        """Tokens by name of the tool."""
        return {tool.schema.name: self._count(tool.schema, tokens) for tool in tools}

    def _count(self, schema: ToolSchema, tokens: TokenCounter) -> int:
        function = {
            "name": schema.name,
            "description": schema.description,
            "parameters": dict(schema.parameters),
        }
        text = orjson.dumps({"type": "function", "function": function}, default=str)
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= self.REMEMBERED:
                self._known.clear()
            known = math.ceil((tokens.count(text.decode()) + self.OVERHEAD) * self.FACTOR)
            self._known[text] = known
        return known


class CountedMessages:
    """Messages of the turn itself, each counted once."""

    def __init__(self, counter: TokenCounter, messages: Sequence[Message] = ()) -> None:
        self._counter = counter
        self.messages: list[Message] = []
        self.tokens = 0
        for message in messages:
            self.add(message)

    def add(self, message: Message) -> None:
        """Append a message, and count it."""
        self.messages.append(message)
        self.tokens += count_message(self._counter, message)


@dataclass(slots=True)
class Budget:
    """The prompt of one agent: its fixed parts are counted once, messages as they come."""

    window: int
    system: int
    dynamic: int
    tools: Mapping[str, int]
    tokens: TokenCounter

    @property
    def limit(self) -> int:
        """The maximum tokens of the prompt."""
        return int(self.window * RESERVE)

    @property
    def instructions(self) -> int:
        """Tokens of everything but the messages."""
        return self.system + self.dynamic + sum(self.tools.values())

    @property
    def room(self) -> int:
        """Tokens left for messages."""
        return self.limit - self.instructions

    def fit(
        self, history: Sequence[Item], current: "CountedMessages", *, first: bool
    ) -> tuple[list[Message], dict[str, Any]]:
        """The messages to send, and the numbers of ``on_context_usage``.

        The oldest history goes first. ``current`` is this turn: its question stays, its
        tool results are cut when they alone are too long. `TurnRefused` when even that is
        not enough.
        """
        fixed, spent = list(current.messages), current.tokens
        whole = spent + sum(item.tokens for item in history)
        if spent + PRIMING > self.room:
            spent = self._shorten(fixed, spent, first=first)
        kept: list[Item] = []
        for item in reversed(history):
            if spent + item.tokens + PRIMING > self.room:
                break
            spent += item.tokens
            kept.append(item)
        kept.reverse()
        if len(kept) < len(history):
            # An answer without its question would confuse a model.
            while kept and not kept[0].from_user:
                spent -= kept.pop(0).tokens
        messages = [message for item in kept for message in item.messages] + fixed
        return messages, self._numbers(len(messages), spent + PRIMING, whole)

    def _shorten(self, messages: list[Message], spent: int, *, first: bool) -> int:
        while not first and spent + PRIMING > self.room:
            longest = max(
                (index for index, message in enumerate(messages) if message["role"] == "tool"),
                key=lambda index: len(messages[index]["content"]),
                default=None,
            )
            if longest is None or len(messages[longest]["content"]) <= SHORTEST_RESULT:
                break
            old = messages[longest]
            half = old["content"][: len(old["content"]) // 2]
            messages[longest] = {**old, "content": f"{half}\n[shortened]"}
            spent += count_message(self.tokens, messages[longest]) - count_message(self.tokens, old)
        if spent + PRIMING > self.room:
            info = f"{spent + self.instructions} / {self.limit}"
            raise TurnRefused(orjson.dumps({"type": "INPUT_LENGTH", "info": info}).decode())
        return spent

    def _numbers(self, count: int, spent: int, whole: int) -> dict[str, Any]:
        return {
            "breakdown": {
                "maxContextTokens": self.window,
                "instructionTokens": self.instructions,
                "systemMessageTokens": self.system,
                "dynamicInstructionTokens": self.dynamic,
                "toolSchemaTokens": sum(self.tools.values()),
                "summaryTokens": 0,
                "toolCount": len(self.tools),
                "messageCount": count,
                "messageTokens": spent,
                "availableForMessages": self.room,
                "toolTokenCounts": dict(self.tools),
            },
            "contextBudget": self.limit,
            "effectiveInstructionTokens": self.instructions,
            "prePruneContextTokens": whole,
            "remainingContextTokens": max(0, self.room - spent),
            "calibrationRatio": 1,
        }
