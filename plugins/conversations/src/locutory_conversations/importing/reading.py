"""The format of a file, and its conversations one after another. Runs in a thread."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import orjson

from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import EMPTY, UNSUPPORTED, BrokenFile
from locutory_conversations.importing.formats import (
    chatbotui,
    chatgpt,
    claude,
    deepseek,
    librechat,
)
from locutory_conversations.importing.size_limited_file import SizeLimitedFile
from locutory_conversations.importing.values import events_of, skipped, values_at
from locutory_conversations.services.bulk_insert import ConversationBundle

Format = Literal["chatgpt", "claude", "chatbot-ui", "librechat", "export"]
Convert = Callable[[Any, AvailableModels], ConversationBundle]

CONVERTERS: Mapping[str, Convert] = {
    "chatgpt": lambda item, available: (
        deepseek if deepseek.is_deepseek(item) else chatgpt
    ).conversation(item, available),
    "claude": claude.conversation,
    "chatbot-ui": chatbotui.conversation,
    "librechat": librechat.conversation,
}
_PATHS: Mapping[str, Sequence[str | None]] = {
    "chatgpt": (None,),
    "claude": (None,),
    "chatbot-ui": ("history", None),
    "librechat": (),
}


def format_of(file: SizeLimitedFile) -> Format:
    """The format by its first members (contract convos §5).

    Raises:
        BrokenFile: it is no JSON, or of no known format.
    """
    if _is_export(file.head()):
        return "export"
    events = events_of(file)
    kind, _ = next(events, (None, None))
    events.close()
    if kind == "start_array":
        return _format_of_list(file)
    if kind == "start_map":
        return _format_of_object(file)
    raise BrokenFile(UNSUPPORTED)


def items(file: SizeLimitedFile, format_: Format) -> Iterator[Any]:
    """Its conversations as parsed, or the records of an export. One is in memory at a time.

    Raises:
        BrokenFile: the file cannot be read on.
    """
    return _lines(file) if format_ == "export" else values_at(file, _PATHS[format_])


def _lines(file: SizeLimitedFile) -> Iterator[Any]:
    file.rewind()
    ended = False
    while line := file.line():
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise BrokenFile("A line of the file is not valid JSON") from None
        ended = isinstance(record, dict) and record.get("kind") == "end"
        yield record
    if not ended:
        raise BrokenFile("The file ends early")


def _is_export(head: bytes) -> bool:
    line, newline, _ = head.partition(b"\n")
    if not newline or b'"kind"' not in line:
        return False
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(record, dict) and record.get("kind") == "export"


def _format_of_list(file: SizeLimitedFile) -> Format:
    for item in values_at(file, (None,)):
        if isinstance(item, dict) and item.get("chat_messages") is not None:
            return "claude"
        if isinstance(item, dict) and item.get("mapping") is not None:
            return "chatgpt"
        raise BrokenFile(UNSUPPORTED)
    raise BrokenFile(EMPTY)


def _format_of_object(file: SizeLimitedFile) -> Format:
    seen: set[str] = set()
    name = ""
    events = events_of(file)
    next(events)
    for kind, value in events:
        if kind == "map_key":
            name = value
            continue
        if kind == "end_map":
            break
        if kind == "start_array":
            seen.add(f"{name}[]")
        elif value:
            seen.add(name)
        if {"version", "history[]"} <= seen:
            return "chatbot-ui"
        if "conversationId" in seen and seen & {"messages[]", "messagesTree[]"}:
            return "librechat"
        file.next_conversation()
        skipped((kind, value), events)
    raise BrokenFile(UNSUPPORTED)
