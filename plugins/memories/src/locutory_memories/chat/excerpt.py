"""The end of a chat as text, for the memory agent (contract memories §4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from locutory_memories.keys import Counter

HEADING = "# Current Chat:"
LEFT_OUT = "[Earlier messages are left out]"

_NAMES = {"user": "User", "assistant": "AI"}
_LONGEST = 8
"""Characters of a token, at most: what is longer than the limit by that need not be counted."""


def excerpt(
    messages: Sequence[Mapping[str, Any]], window: int, tokens: int, counter: Counter
) -> str:
    """The last ``window`` messages of a conversation, cut at the beginning to the maximum number of
    tokens. Empty when the user wrote nothing. Only the texts of user and model count: no images, no
    tool results, no instructions."""
    said = _window(_said(messages), window)
    if not any(name == "User" for name, _ in said):
        return ""
    text = "\n\n".join(f"{name}: {words}" for name, words in said)
    kept = _end(text, tokens, counter)
    mark = f"{LEFT_OUT}\n\n" if len(kept) < len(text) else ""
    return f"{HEADING}\n\n{mark}{kept}"


def _said(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Speaker and words; an answer that tool calls divide is one."""
    found: list[tuple[str, str]] = []
    for message in messages:
        name = _NAMES.get(str(message.get("role")))
        words = _words(message.get("content")).strip()
        if name is None or not words:
            continue
        if name == "AI" and found and found[-1][0] == "AI":
            found[-1] = (name, f"{found[-1][1]}\n{words}")
        else:
            found.append((name, words))
    return found


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part for part in content if isinstance(part, Mapping) and part.get("type") == "text")
    return "\n".join(str(part.get("text", "")) for part in parts)


def _window(said: list[tuple[str, str]], size: int) -> list[tuple[str, str]]:
    """The last ones; an answer whose question is not among them is left out too."""
    last = said[-size:]
    while last and last[0][0] != "User":
        last.pop(0)
    return last


def _end(text: str, tokens: int, counter: Counter) -> str:
    """The longest end of a text, nearly, that has at most so many tokens."""
    text = text[-tokens * _LONGEST :]
    while text and (counted := counter.count(text)) > tokens:
        # A little less than in proportion, since tokens are not equally long.
        kept = int(len(text) * tokens / counted * 0.98)
        text = text[len(text) - kept :]
    return text
