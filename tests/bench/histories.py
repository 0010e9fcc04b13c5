"""Files to import: histories of some size, the same for every build."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

ROOT = "00000000-0000-0000-0000-000000000000"
START = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = [
    *("amber", "boat", "cedar", "delta", "ember", "forest", "glacier", "harbour", "island"),
    *("juniper", "kettle", "lantern", "meadow", "needle", "orchard", "pebble", "quartz", "river"),
    *("saddle", "timber", "umbrella", "valley", "willow", "yellow", "zephyr"),
]


def words(seed: int, count: int) -> str:
    """Some words, always the same for a seed."""
    return " ".join(
        _WORDS[(seed * 7919 + place * place * 31) % len(_WORDS)] for place in range(count)
    )


def identity(*parts: object) -> str:
    """A UUID, always the same for the same parts."""
    return str(uuid5(NAMESPACE_URL, ":".join(map(str, parts))))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _record(name: str, number: int, messages: int, size: int) -> dict[str, Any]:
    """A conversation as our own export has it."""
    moment = START + timedelta(minutes=10 * number)
    chosen = identity(name, number)
    rows: list[dict[str, Any]] = []
    parent = ROOT
    for place in range(messages):
        own = place % 2 == 0
        text = words(number + place, size // 7 if own else size // 4)
        row: dict[str, Any] = {
            "messageId": identity(name, number, place),
            "parentMessageId": parent,
            "sender": "User" if own else "Fake",
            "isCreatedByUser": own,
            "endpoint": "Fake",
            "tokenCount": 40,
            "createdAt": _iso(moment + timedelta(seconds=place)),
            "updatedAt": _iso(moment + timedelta(seconds=place)),
            **(
                {"text": text}
                if own
                else {"model": "fast", "text": "", "content": [{"type": "text", "text": text}]}
            ),
        }
        rows.append(row)
        parent = row["messageId"]
    conversation = {
        "conversationId": chosen,
        "title": words(number, 4).capitalize(),
        "endpoint": "Fake",
        "endpointType": "custom",
        "model": "fast",
        "createdAt": _iso(moment),
        "updatedAt": _iso(moment + timedelta(seconds=messages)),
    }
    return {"kind": "conversation", "conversation": conversation, "messages": rows}


def export(
    file: Path, name: str, conversations: int, messages: int = 2, last: int = 0, size: int = 1_000
) -> str:
    """Write an export of our own kind. The last conversation has ``last`` messages if given.
    ``size``: characters of an answer, about. Returns the id of the last conversation."""
    with file.open("w") as output:
        output.write(json.dumps({"kind": "export", "version": 1, "product": "Locutory"}) + "\n")
        for number in range(conversations):
            count = last or messages if number == conversations - 1 else messages
            output.write(json.dumps(_record(name, number, count, size)) + "\n")
        output.write(json.dumps({"kind": "end", "records": conversations}) + "\n")
    return identity(name, conversations - 1)


def _nodes(number: int, messages: int) -> Iterator[tuple[str, dict[str, Any]]]:
    moment = START.timestamp() + 600 * number
    root = identity("root", number)
    names = [root, *(identity("chatgpt", number, place) for place in range(messages))]
    yield root, {"id": root, "message": None, "parent": None, "children": names[1:2]}
    for place in range(messages):
        own = place % 2 == 0
        message = {
            "id": names[place + 1],
            "author": {"role": "user" if own else "assistant", "name": None, "metadata": {}},
            "create_time": moment + place,
            "update_time": None,
            "content": {
                "content_type": "text",
                "parts": [words(number + place, 20 if own else 140)],
            },
            "status": "finished_successfully",
            "end_turn": not own,
            "weight": 1,
            "metadata": {} if own else {"model_slug": "gpt-4o", "timestamp_": "absolute"},
            "recipient": "all",
        }
        yield (
            names[place + 1],
            {
                "id": names[place + 1],
                "message": message,
                "parent": names[place],
                "children": names[place + 2 : place + 3],
            },
        )


def chatgpt(file: Path, conversations: int, messages: int) -> None:
    """Write an export as ChatGPT makes it."""
    with file.open("w") as output:
        for number in range(conversations):
            item = {
                "title": words(number, 4).capitalize(),
                "create_time": START.timestamp() + 600 * number,
                "update_time": START.timestamp() + 600 * number + messages,
                "mapping": dict(_nodes(number, messages)),
                "conversation_id": identity("chatgpt", number),
                "default_model_slug": "gpt-4o",
            }
            output.write(("[" if number == 0 else ",\n") + json.dumps(item))
        output.write("]\n")
