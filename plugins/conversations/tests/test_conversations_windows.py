"""How the list asks the database: for no more than a page needs (contract convos §2.1)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from bson import ObjectId
from pymongo import monitoring

from locutory.database import indexes_of
from locutory_conversations.documents import Conversation, Message
from locutory_conversations.listing import conversations as listing
from locutory_conversations.listing.conversations import ConversationList, Selection
from locutory_conversations.listing.order import Order
from locutory_conversations.listing.titles import LONGEST_PREFIX, title_edges
from locutory_conversations.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = [
    (field, direction) for field in ("updatedAt", "createdAt") for direction in ("asc", "desc")
]


class Filters(monitoring.CommandListener):
    """The filters of reads and deletions."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def started(self, event: Any) -> None:
        command = event.command
        if event.command_name == "aggregate":
            self.seen.append(command["pipeline"][0]["$match"])
        elif event.command_name == "delete":
            self.seen += [each["q"] for each in command["deletes"]]

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...

    def take(self) -> list[Any]:
        """What came since the last time."""
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def filters() -> Iterator[Filters]:
    """Those of clients that are opened during the test."""
    listener = Filters()
    monitoring.register(listener)
    yield listener
    monitoring._LISTENERS.command_listeners.remove(listener)


@pytest.fixture
async def world(filters: Filters, open_world: Any) -> Any:
    """A world whose commands are seen."""
    async with open_world() as opened:
        yield opened


async def pages(world: Any, **query: str) -> list[list[str]]:
    """Titles, page by page."""
    found, extra = [], {}
    while True:
        answer = await world.alice.get("/api/convos", **query, **extra)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found.append([row["title"] for row in body["conversations"]])
        if body["nextCursor"] is None:
            return found
        extra = {"cursor": body["nextCursor"]}


@pytest.mark.parametrize(("field", "direction"), ORDERS)
async def test_dates_are_read_in_windows(
    world: Any, filters: Filters, field: str, direction: str
) -> None:
    """Every page but the last comes out of one bounded range of the sort field."""
    for number in range(60):
        moment = world.ago(hours=number)
        await world.conversation(
            world.alice.id, title=f"{number:02}", createdAt=moment, updatedAt=moment
        )
    query = {"sortBy": field, "sortDirection": direction, "limit": "20"}
    await pages(world, **query)
    filters.take()
    found = await pages(world, **query)
    expected = [f"{number:02}" for number in range(60)]
    if direction == "asc":
        expected.reverse()
    assert [title for page in found for title in page] == expected
    first, second, *_ = filters.take()
    far = "$gte" if direction == "desc" else "$lte"
    assert list(first[field]) == [far]
    assert set(second[field]) == {"$gte", "$lte"}
    assert set(first) == set(second) == {"user", field}


async def test_rows_without_a_date_come_first(world: Any) -> None:
    person = world.alice.id
    for number in range(6):
        await world.conversation(person, title=f"{number}", createdAt=world.ago(hours=number))
    query = {"sortBy": "createdAt", "sortDirection": "asc", "limit": "2"}
    assert await pages(world, **query) == [["5", "4"], ["3", "2"], ["1", "0"]]
    await world.conversation(person, title="none", createdAt=...)
    assert await pages(world, **query) == [["none", "5"], ["4", "3"], ["2", "1"], ["0"]]


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_titles_are_read_in_windows_when_they_are_slow(
    world: Any, filters: Filters, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are the same with windows; a window begins with the cursor's title."""
    titles = [
        f"{word} {number}" for word in ("Apple", "Zebra", "ähre", "😀") for number in range(8)
    ]
    titles += ["", "same", "same", "same", "same", "same"]
    for title in titles:
        await world.conversation(world.alice.id, title=title)
    query = {"sortBy": "title", "sortDirection": direction, "limit": "3"}
    monkeypatch.setattr(listing, "_SLOW", inf)
    plain = await pages(world, **query)
    assert all("title" not in each for each in filters.take())
    flat = [title for page in plain for title in page]
    assert flat == sorted(titles, reverse=direction == "desc")
    monkeypatch.setattr(listing, "_SLOW", -1.0)
    await pages(world, **query)
    filters.take()
    assert await pages(world, **query) == plain
    bounded = [each["title"] for each in filters.take() if "title" in each]
    assert len(bounded) > len(plain)
    near = "$lte" if direction == "desc" else "$gte"
    assert {each[near] for each in bounded if near in each} <= set(flat)
    await world.conversation(world.alice.id, title=...)
    lacking = await world.alice.get("/api/convos", **query)
    shown = [row.get("title") for row in lacking.json()["conversations"]]
    assert shown == [*([None] if direction == "asc" else []), *plain[0]][:3]


def test_title_windows_widen() -> None:
    for descending in (True, False):
        edges = [
            edge for edge, _ in title_edges("Lamp", descending=descending, prefix=LONGEST_PREFIX)
        ]
        assert all((b <= a) if descending else (b >= a) for a, b in pairwise(edges))
        assert all((edge <= "Lamp") if descending else (edge >= "Lamp") for edge in edges)
    for start in ("", "\U0010ffff", "\ud7ff", "\ue000", "\x01"):
        for descending in (True, False):
            for edge, _ in title_edges(start, descending=descending, prefix=LONGEST_PREFIX):
                edge.encode()


async def test_ids_are_asked_for_in_pieces(world: Any, filters: Filters) -> None:
    """What a search found is read a hundred at a time, and the page is the same."""
    person = world.alice.id
    ids = []
    for number in range(230):
        moment = world.ago(minutes=number % 7)
        stored = await world.conversation(person, title=f"{number}", updatedAt=moment)
        ids.append(stored)
    bob = await world.conversation(world.bob.id)
    expected = sorted(ids, key=lambda row: (row["updatedAt"], row["_id"]), reverse=True)
    pages_of = ConversationList(Store(world.server.kernel.database))
    chosen = (*(row["conversationId"] for row in ids), bob["conversationId"])
    order, cursor, found = Order(), None, []
    filters.take()
    while True:
        selection = Selection(limit=50, order=order, cursor=cursor, ids=chosen)
        rows, text = await pages_of.page(person, selection)
        found += [row["_id"] for row in rows]
        if text is None:
            break
        cursor = order.read(text)
    assert found == [row["_id"] for row in expected]
    assert max(len(each["conversationId"]["$in"]) for each in filters.take()) <= 100


def test_rows_sort_as_in_the_database() -> None:
    low, high = ObjectId("0" * 24), ObjectId("1" * 24)
    rows = [
        {"_id": high, "title": "b"},
        {"_id": low, "title": "b"},
        {"_id": low},
        {"_id": low, "title": None},
        {"_id": low, "title": "B"},
    ]
    found = [(row.get("title"), row["_id"]) for row in Order("title", False).sorted(rows)]
    assert found == [(None, low), (None, low), ("B", low), ("b", low), ("b", high)]


async def test_everything_is_deleted_in_small_pieces(world: Any, filters: Filters) -> None:
    for _ in range(120):
        await world.conversation(world.alice.id)
    filters.take()
    answer = await world.alice.call("DELETE", "/api/convos/all")
    assert answer.json()["deletedCount"] == 120
    chosen = [each["conversationId"]["$in"] for each in filters.take() if "conversationId" in each]
    assert chosen
    assert max(map(len, chosen)) <= 50


# Of filters that no index covers, the member that one does: the embedded database then goes by
# that, which its plan does not say.
FILTERS: dict[str, list[dict[str, Any]]] = {
    "conversations": [
        {"user": "u"},
        {"conversationId": "c"},
        {"conversationId": "c", "user": "u"},
        {"conversationId": {"$in": ["c", "d"]}},
        {"user": "u", "isArchived": {"$in": [False, None]}},
        {"user": "u", "isArchived": True, "archivedAt": {"$gte": NOW}},
        {"user": "u", "updatedAt": {"$gte": NOW}},
        {"user": "u", "createdAt": {"$gte": NOW, "$lte": NOW}},
        {"user": "u", "title": {"$gte": "a", "$lte": "b"}},
        {"user": "u", "title": None},
        {"user": "u", "pinned": True, "updatedAt": {"$gte": NOW}},
        {"user": "u", "chatProjectId": "p", "createdAt": {"$gte": NOW}},
        {"user": "u", "chatProjectId": "p"},
        {"user": "u", "tags": "x"},
        {"user": "u", "subagentThread.parentConversationId": {"$in": ["c"]}},
        {"updatedAt": {"$gte": NOW, "$lt": NOW}},
        {"_id": {"$in": [ObjectId(), ObjectId()]}},
    ],
    "messages": [
        {"user": "u"},
        {"conversationId": "c", "user": "u"},
        {"conversationId": {"$in": ["c", "d"]}},
        {"messageId": "m", "user": "u"},
        {"messageId": "m"},
        {"messageId": {"$in": ["m", "n"]}},
        {"conversationId": "c", "user": "u", "createdAt": {"$gt": NOW}},
        {"updatedAt": {"$gte": NOW, "$lt": NOW}},
    ],
}


async def test_the_embedded_database_has_an_index_for_everything(world: Any) -> None:
    """It gets fewer indexes than MongoDB, and scans nothing for it."""
    database = world.server.kernel.database
    for document in (Conversation, Message):
        present = set(await database[document].index_information())
        declared = {index.document["name"] for index in indexes_of(document)}
        assert document.Settings.spare_indexes < declared
        assert present == {"_id_"} | declared - document.Settings.spare_indexes
    for collection, chosen in FILTERS.items():
        for each in chosen:
            find = {"find": collection, "filter": each}
            plan = await database.client[database.name].command("explain", find)
            assert plan["queryPlanner"]["winningPlan"]["stage"] != "COLLSCAN", each
