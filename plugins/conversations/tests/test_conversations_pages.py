"""How the list asks the database: every page comes out of one index (contract convos §2.1)."""

from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId

from locutory.data.database import indexes_of
from locutory_conversations.documents import Conversation, Message
from locutory_conversations.listing.conversations import ConversationList, Selection
from locutory_conversations.listing.order import SORT_FIELDS, Order
from locutory_conversations.store import Store

ORDERS = [Order(field, descending) for field in SORT_FIELDS for descending in (True, False)]
LISTS: dict[str, dict[str, Any]] = {
    "all": {},
    "archived": {"archived": True},
    "of a project": {"project": "a" * 24},
    "of none": {"project": "unassigned"},
    "pinned": {"pinned": True},
    "tagged": {"tags": ("red",)},
    "tagged with any": {"tags": ("red", "blue")},
}


def index_names(plan: Any) -> Iterator[str]:
    """Every index of a plan, however deep."""
    if isinstance(plan, dict):
        if "indexName" in plan:
            yield plan["indexName"]
        for value in plan.values():
            yield from index_names(value)
    elif isinstance(plan, list):
        for value in plan:
            yield from index_names(value)


async def fill(world: Any, person: str, count: int = 30) -> None:
    """Conversations of every kind, with ties and gaps in every sort field."""
    for number in range(count):
        fields: dict[str, Any] = {
            "title": f"{'aB😀'[number % 3]} {number // 6}",
            "createdAt": world.ago(hours=number // 4),
            "updatedAt": world.ago(minutes=number // 5),
            "pinned": number % 2 == 0,
            "tags": [["red"], ["blue", "red"], [], ["blue"]][number % 4],
        }
        if number % 3 == 0:
            fields |= {"isArchived": True, "archivedAt": world.ago(minutes=number // 9)}
        if number % 4 == 0:
            fields["chatProjectId"] = "a" * 24
        if number % 7 == 0:
            fields[("title", "createdAt", "archivedAt")[number % 3]] = ...
        await world.conversation(person, **fields)


@pytest.mark.parametrize("chosen", LISTS.values(), ids=LISTS.keys())
async def test_pages_are_the_list_cut_up(world: Any, chosen: dict[str, Any]) -> None:
    """In every order, and none of somebody else's."""
    await fill(world, world.alice.id)
    await fill(world, world.bob.id, 6)
    lists = ConversationList(Store(world.server.kernel.database))
    for order in ORDERS:
        whole, none = await lists.page(world.alice.id, Selection(limit=100, order=order, **chosen))
        assert none is None
        assert whole
        found, cursor = [], None
        while True:
            selection = Selection(limit=4, order=order, cursor=cursor, **chosen)
            rows, text = await lists.page(world.alice.id, selection)
            found += [row["_id"] for row in rows]
            if text is None:
                break
            cursor = order.read(text)
        assert found == [row["_id"] for row in whole], order


async def test_what_a_search_found_is_read_in_order(world: Any) -> None:
    person = world.alice.id
    ids = []
    for number in range(230):
        moment = world.ago(minutes=number % 7)
        ids.append(await world.conversation(person, title=f"{number}", updatedAt=moment))
    bob = await world.conversation(world.bob.id)
    expected = sorted(ids, key=lambda row: (row["updatedAt"], row["_id"]), reverse=True)
    lists = ConversationList(Store(world.server.kernel.database))
    chosen = (*(row["conversationId"] for row in ids), bob["conversationId"])
    rows, _ = await lists.page(person, Selection(limit=500, ids=chosen))
    assert [row["_id"] for row in rows] == [row["_id"] for row in expected]


async def test_everything_is_deleted(world: Any) -> None:
    for _ in range(120):
        await world.conversation(world.alice.id)
    answer = await world.alice.call("DELETE", "/api/convos/all")
    assert answer.json()["deletedCount"] == 120


async def test_a_page_is_read_from_the_index_in_its_order(world: Any) -> None:
    """Whatever the order, and behind a cursor too: equalities, then the fields of the sort."""
    store = Store(world.server.kernel.database)
    conversations: Any = store.conversations
    if "secantusVersion" in await conversations.database.client.server_info():
        pytest.skip("the planner of this server has no index for a sort behind $in")
    await fill(world, world.alice.id, 400)  # fewer may as well be sorted
    lists = ConversationList(store)
    for order in ORDERS:
        if order.field == "archivedAt":
            continue
        for archived in (False, True):
            first = Selection(limit=4, archived=archived, order=order)
            _, text = await lists.page(world.alice.id, first)
            assert text is not None
            for cursor in (None, order.read(text)):
                selection = Selection(limit=4, archived=archived, order=order, cursor=cursor)
                found = store.conversations.find(selection.filter(world.alice.id))
                plan = (await found.sort(order.sort()).limit(5).explain())["queryPlanner"]
                (name,) = set(index_names(plan["winningPlan"]))
                assert name.startswith(f"user_1_isArchived_1_{order.field}_"), (order, plan)
                assert "SORT" not in _stages(plan["winningPlan"]), (order, plan)


def _stages(plan: Any) -> set[str]:
    if isinstance(plan, list):
        return set().union(*map(_stages, plan))
    if not isinstance(plan, dict):
        return set()
    own = {plan["stage"]} if isinstance(plan.get("stage"), str) else set()
    return own.union(*map(_stages, plan.values()))


FILTERS: dict[str, list[dict[str, Any]]] = {
    "conversations": [
        {"user": "u"},
        {"conversationId": "c"},
        {"conversationId": "c", "user": "u"},
        {"conversationId": {"$in": ["c", "d"]}},
        {"user": "u", "chatProjectId": "p"},
        {"user": "u", "tags": "x"},
        {"user": "u", "subagentThread.parentConversationId": {"$in": ["c"]}},
        {"updatedAt": None},
        {"_id": {"$in": [ObjectId(), ObjectId()]}},
    ],
    "messages": [
        {"user": "u"},
        {"conversationId": "c", "user": "u"},
        {"conversationId": {"$in": ["c", "d"]}},
        {"messageId": "m", "user": "u"},
        {"messageId": {"$in": ["m", "n"]}},
        {"updatedAt": None},
    ],
}


async def test_there_is_an_index_for_everything(world: Any) -> None:
    database = world.server.kernel.database
    for document in (Conversation, Message):
        present = set(await database[document].index_information())
        assert present == {"_id_"} | {index.document["name"] for index in indexes_of(document)}
    for collection, chosen in FILTERS.items():
        for each in chosen:
            plan = await database.collection(collection).find(each).explain()
            assert "COLLSCAN" not in _stages(plan["queryPlanner"]["winningPlan"]), each
