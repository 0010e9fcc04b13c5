"""The searchable part of a stored document (contract search §3)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["conversations", "messages"]
KINDS: tuple[Kind, ...] = ("conversations", "messages")

LONGEST_TEXT = 200_000
"""Characters of one message that are looked at."""

_SPOKEN = ("text", "think", "steer")


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of an index. ``first`` and ``second`` are the sender and text of a message,
    the title and tags of a conversation. ``stamp``: when it was last changed, ms; ``expires``:
    when it ends, ms. Without ``wanted`` it must not be in the index."""

    kind: Kind
    user: str
    id: str
    conversation_id: str
    stamp: int
    expires: int | None
    wanted: bool
    first: str = ""
    second: str = ""
    tags: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.first) + len(self.second)


def entry_of(kind: Kind, document: Mapping[str, Any], now: int) -> Entry | None:
    """The entry of a stored document at a moment (ms); ``None`` when it names no owner."""
    user, conversation = document.get("user"), document.get("conversationId")
    own = conversation if kind == "conversations" else document.get("messageId")
    if not (isinstance(user, str) and isinstance(conversation, str) and isinstance(own, str)):
        return None
    if not (user and conversation and own):
        return None
    expires = milliseconds(document.get("expiredAt"))
    wanted = _retained(document.get("isTemporary"), expires, now)
    stamp = milliseconds(document.get("updatedAt")) or 0
    if kind == "messages" and document.get("unfinished") is True:
        wanted = False
    if not wanted:
        return Entry(kind, user, own, conversation, stamp, expires, wanted=False)
    tags: tuple[str, ...] = ()
    if kind == "messages":
        first, second = _text(document.get("sender")), message_text(document)
    else:
        stored = document.get("tags")
        if isinstance(stored, list):
            tags = tuple(tag for tag in stored if isinstance(tag, str))
        first, second = _text(document.get("title")), " ".join(tags)
    return Entry(
        kind, user, own, conversation, stamp, expires, True, _cut(first), _cut(second), tags
    )


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message: the flattened content, else the text."""
    content = message.get("content")
    if isinstance(content, list):
        text = " ".join(_parts(content))
        if text:
            return text
    return _text(message.get("text"))


def milliseconds(moment: Any) -> int | None:
    """A stored date as ms since 1970; ``None`` when it is none."""
    if not isinstance(moment, datetime):
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _parts(content: list[Any]) -> Iterator[str]:
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in _SPOKEN:
            text = part.get(kind)
            if isinstance(text, Mapping):
                text = text.get("value")
            if isinstance(text, str) and text:
                yield text


def _retained(temporary: Any, expires: int | None, now: int) -> bool:
    if temporary is None:
        return expires is None
    return temporary is False and (expires is None or expires > now)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT]
