"""Fills the database file of a stopped server with many conversations; run by that build's Python.

``python -m tests.bench.filling`` reads ``{file, user, other, conversations, long}`` from its input:
``user`` has imported one conversation, whose documents are copied with new ids, titles and dates.
Every tenth is archived. ``long``: messages of one more conversation. ``other`` gets 500. Prints
``{long: <its id>, others: <an id>}``.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from bson import ObjectId

from locutory_sqlite import Client
from tests.bench.histories import START, words

_AT_ONCE = 500
_OTHERS = 500
Raw = dict[str, Any]


class Filler:
    """Makes documents out of those of one conversation that the server has stored itself."""

    def __init__(self, conversation: Mapping[str, Any], messages: list[Raw]) -> None:
        self._conversation = conversation
        self._messages = messages

    def whole(self, user: str, number: int, count: int = 0) -> tuple[Raw, list[Raw]]:
        """A conversation and its messages; ``count`` of them if given."""
        moment, chosen = START - timedelta(minutes=10 * number), str(uuid4())
        rows, parent = [], self._messages[0]["parentMessageId"]
        for place in range(count or len(self._messages)):
            date = moment + timedelta(seconds=place)
            row = {
                **self._messages[place % len(self._messages)],
                "_id": ObjectId(),
                "messageId": str(uuid4()),
                "conversationId": chosen,
                "user": user,
                "parentMessageId": parent,
                "createdAt": date,
                "updatedAt": date,
            }
            parent = row["messageId"]
            rows.append(row)
        conversation = {
            **self._conversation,
            "_id": ObjectId(),
            "conversationId": chosen,
            "user": user,
            "title": f"{words(number, 4).capitalize()} {number * 7919 % 100_003}",
            "messages": [row["_id"] for row in rows],
            "createdAt": moment,
            # Not in the order of creation: somebody goes on with old ones.
            "updatedAt": moment + timedelta(minutes=number * 7919 % 20_000),
        }
        if number % 10 == 9:
            conversation |= {"isArchived": True, "archivedAt": moment + timedelta(days=1)}
        return conversation, rows


async def _template(rows: AsyncIterator[Raw]) -> list[Raw]:
    return [row async for row in rows]


async def fill(given: Mapping[str, Any]) -> dict[str, str]:
    """Write everything; the ids of the long conversation and of one of the other user."""
    async with Client(Path(given["file"])) as client:
        store = client.get_database()
        conversations, messages = store["conversations"], store["messages"]
        template = await conversations.find_one({"user": given["user"]})
        if template is None:
            raise ValueError("the user has no conversation")
        key = {"conversationId": template["conversationId"], "user": given["user"]}
        rows = await messages.find(key).sort("createdAt", 1).to_list()
        filler = Filler(template, rows)
        made = _wholes(filler, given)
        ids: dict[str, str] = {}
        heads: list[Raw] = []
        lines: list[Raw] = []
        for name, (conversation, some) in made:
            if name:
                ids[name] = conversation["conversationId"]
            heads.append(conversation)
            lines += some
            if len(lines) >= _AT_ONCE:
                await _write(messages, lines)
                await _write(conversations, heads)
        await _write(messages, lines)
        await _write(conversations, heads)
        return ids


def _wholes(
    filler: Filler, given: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[Raw, list[Raw]]]]:
    for number in range(given["conversations"]):
        yield "", filler.whole(given["user"], number)
    yield "long", filler.whole(given["user"], given["conversations"], given["long"])
    for number in range(_OTHERS):
        yield "others", filler.whole(given["other"], number)


async def _write(collection: Any, rows: list[Raw]) -> None:
    if rows:
        await collection.insert_many(rows, ordered=False)
        rows.clear()


if __name__ == "__main__":
    json.dump(asyncio.run(fill(json.load(sys.stdin))), sys.stdout)
