"""A built-in model without weights, with which a new user can chat at once and learns the next
steps."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from locutory import ConfigRef, Principal
from locutory_contracts.models import (
    ChatModel,
    Finished,
    ModelCall,
    ModelEvent,
    ReasoningDelta,
    TextDelta,
    TokenCounter,
    ToolCallDelta,
    Usage,
)
from locutory_endpoints.deployment import Deployment
from locutory_endpoints.providers import guide_texts
from locutory_endpoints.providers.guide_texts import Texts

ENDPOINT = "Guide"
MODEL = "guide"
CLOCK_TOOL = "current_datetime"
WORD_SECONDS = 0.03

_WORDS = re.compile(r"\S+\s*|\s+")
_TIME = re.compile(r"\b(time|clock|date|today|day is it|uhr|uhrzeit|datum|heute)\b", re.IGNORECASE)
_TITLE_MARK = "Name this conversation in a few words."
TITLE_PROMPT = f"{_TITLE_MARK}\n\n{{convo}}"


class GuideProvider:
    """`locutory_contracts.models.Provider` of the endpoint ``Guide``."""

    def __init__(
        self, config_ref: ConfigRef[Deployment], tokens: TokenCounter, seconds: float = WORD_SECONDS
    ) -> None:
        self._config_ref = config_ref
        self._tokens = tokens
        self._seconds = seconds
        entry = {"type": "custom", "userProvide": False, "userProvideURL": False}
        self._entries: Mapping[str, Mapping[str, Any]] = {
            ENDPOINT: {**entry, "modelDisplayLabel": "Guide"}
        }
        self._models: Mapping[str, Sequence[str]] = {ENDPOINT: [MODEL]}

    @property
    def mode(self) -> str:
        """``auto`` (the catalogue hides it beside any other endpoint), ``always``, ``never``."""
        return self._config_ref.current.config.guide

    async def entries(self, principal: Principal | None) -> Mapping[str, Mapping[str, Any]]:
        """The endpoint, unless it is switched off."""
        return {} if self.mode == "never" else self._entries

    async def models(self, principal: Principal | None) -> Mapping[str, Sequence[str]]:
        """The one model of the guide."""
        return {} if self.mode == "never" else self._models

    async def open(
        self, endpoint: str, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        """The guide; it has no settings."""
        config = self._config_ref.current.config
        texts = Texts(alone=self.mode == "auto", ollama=config.ollama)
        return GuideModel(self._tokens, self._seconds, texts)

    def describe(self, endpoint: str) -> Mapping[str, Any]:
        """The guide's prompt for titles, which it recognises."""
        return {"titlePrompt": TITLE_PROMPT}


class GuideModel:
    """`locutory_contracts.models.ChatModel` that answers by rule, word by word."""

    def __init__(self, tokens: TokenCounter, seconds: float, texts: Texts | None = None) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._texts = texts or Texts()

    async def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        """An answer, a tool call, or a title."""
        question, results = _asked(call.messages)
        prompt = sum(self._tokens.count(_text(message)) + 4 for message in call.messages)
        thought = ""
        if question.startswith(_TITLE_MARK):
            answer = _title(question)
        elif not results and _TIME.search(question) and _offered(call):
            yield ToolCallDelta(0, "call_guide_clock", CLOCK_TOOL, "{}")
            yield Finished("tool_calls")
            yield Usage(prompt, 8, prompt + 8)
            return
        elif results:
            answer = f"The tool `{CLOCK_TOOL}` says:\n\n> {results[-1].strip()}\n"
        else:
            first = not any(message.get("role") == "assistant" for message in call.messages)
            thought, answer = reply(question, self._texts, first=first)
        for word in _WORDS.findall(thought):
            yield ReasoningDelta(word)
            await asyncio.sleep(self._seconds)
        for word in _WORDS.findall(answer):
            yield TextDelta(word)
            await asyncio.sleep(self._seconds)
        yield Finished("stop")
        used = self._tokens.count(answer) + self._tokens.count(thought)
        yield Usage(prompt, used, prompt + used)


def reply(question: str, texts: Texts, *, first: bool) -> tuple[str, str]:
    """(reasoning, answer) to a question; ``first``: it opens the conversation, so the guide
    introduces itself."""
    plain = question.strip()
    lowered = plain.lower()
    if lowered.startswith("echo"):
        return "", plain[4:].lstrip(" :") or "There was nothing to echo."
    if lowered.startswith("think"):
        return guide_texts.THOUGHT, guide_texts.THOUGHT_ANSWER
    for words, answer in texts.topics:
        if any(re.search(rf"\b{word}\b", lowered) for word in words):
            return "", answer
    if _TIME.search(plain):
        return "", guide_texts.NO_CLOCK
    return "", texts.welcome if first or not plain else guide_texts.UNKNOWN


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content or () if isinstance(part, Mapping)]
    return "".join(part for part in parts if isinstance(part, str))


def _asked(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The last thing the user wrote, and the tool results since then."""
    results: list[str] = []
    for message in reversed(messages):
        if message.get("role") == "tool":
            results.insert(0, _text(message))
        elif message.get("role") == "user":
            return _text(message), results
    return "", results


def _offered(call: ModelCall) -> bool:
    return any(tool.name == CLOCK_TOOL for tool in call.tools)


def _title(prompt: str) -> str:
    """The first words of the conversation."""
    text = prompt.removeprefix(_TITLE_MARK)
    text = re.sub(r"\b(User|Human|AI|Assistant)\s*:", " ", text)
    words = re.findall(r"[^\s\"'<>#*`]+", text)[:6]
    return " ".join(words).strip(".,:;!?")[:60] or "First steps"
