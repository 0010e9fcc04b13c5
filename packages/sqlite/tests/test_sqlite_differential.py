"""Random documents, filters, updates and pipelines: indexes change no answer."""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import bson
import pytest
from packages.sqlite.tests.changes import Changes, Pipelines
from pymongo.errors import OperationFailure

from locutory_sqlite import Client
from locutory_sqlite.ordering import encode


def told(answer: Any) -> bytes:
    return bson.encode({"x": answer})


async def attempted(call: Any) -> Any:
    """What a call returns, or that it was refused."""
    try:
        return await call
    except OperationFailure:
        return "refused"


@pytest.fixture
def pairs(client: Client) -> Iterator[tuple[Any, Any]]:
    """Fresh collections by two, one for the plain and one for the indexed documents."""
    return (
        (client["x"][f"plain{number}"], client["x"][f"indexed{number}"]) for number in range(10**6)
    )


async def indexed(collection: Any, make: Changes) -> None:
    """Some indexes; those that the documents do not allow are left out."""
    for _ in range(make.randint(1, 5)):
        keys, options = make.index()
        await attempted(collection.create_index(list(keys.items()), **options))


async def stored(plain: Any, other: Any, make: Changes) -> None:
    """The same documents in both; the indexes before them, or after."""
    before = make.chance(0.5)
    if before:
        await indexed(other, make)
    for document in make.documents(3, 14 if make.chance(0.8) else 60):
        # Two arrays side by side cannot be indexed together, and some indexes are unique.
        if await attempted(other.insert_one(deepcopy(document))) != "refused":
            await plain.insert_one(document)
    if not before:
        await indexed(other, make)


async def same_answers(plain: Any, other: Any, make: Changes, stages: Counter[str]) -> None:
    query, sort = make.page() if make.chance(0.2) else (make.filter(), make.sort())
    skip, limit = make.choice([0, 0, 1, 3]), make.choice([0, 0, 1, 4])
    projection = make.projection()
    cursors = [c.find(query, projection, sort=sort, skip=skip, limit=limit) for c in (plain, other)]
    if make.chance(0.25):
        cursors[1].hint(make.choice(list(await other.index_information())))
    plan = (await cursors[1].explain())["queryPlanner"]["winningPlan"]
    stages[plan["stage"]] += 1
    answers = [await attempted(cursor.to_list()) for cursor in cursors]
    assert told(answers[0]) == told(answers[1]), (query, projection, sort, skip, limit, plan)

    found = [await c.find(query).to_list() for c in (plain, other)]
    found[1].sort(key=lambda document: encode(document["_id"]))
    found[0].sort(key=lambda document: encode(document["_id"]))
    assert told(found[0]) == told(found[1]), (query, await other.find(query).explain())
    counted = await other.count_documents(query, skip=skip, limit=limit or 99)
    assert counted == max(0, min(len(found[0]), skip + (limit or 99)) - skip), query
    path = make.choice(["a", "d", "n", "a.b", "_id"])
    values = [await c.distinct(path, query) for c in (plain, other)]
    assert [encode(v) for v in values[0]] == [encode(v) for v in values[1]], (path, query)


@pytest.mark.parametrize("rare", [False, True])
async def test_indexes_change_no_answer(pairs: Any, rare: bool) -> None:
    stages: Counter[str] = Counter()
    for seed in range(20):
        make = Changes(seed, rare=rare)
        plain, other = next(pairs)
        await stored(plain, other, make)
        for _ in range(8):
            await same_answers(plain, other, make, stages)
    assert set(stages) == {"COLLSCAN", "IXSCAN", "OR", "SORT_MERGE"}
    assert stages["IXSCAN"] > 40


@pytest.mark.parametrize("rare", [False, True])
async def test_indexes_change_no_update(pairs: Any, rare: bool) -> None:
    done = refused = 0
    for seed in range(20):
        make = Changes(1000 + seed, rare=rare)
        plain, other = next(pairs)
        await stored(plain, other, make)
        for _ in range(6):
            query, update, upsert = make.filter(), make.update(), make.chance(0.3)
            if upsert:
                query = {"_id": 100 + make.randrange(3), **make.upsert()}
            results = [
                await attempted(c.update_many(query, update, upsert=upsert)) for c in (plain, other)
            ]
            raw = [r if r == "refused" else r.raw_result for r in results]
            if raw[0] != raw[1]:  # what an index cannot hold is refused
                assert raw[1] == "refused", (seed, query, update, raw)
                break
            done += raw[0] != "refused"
            refused += raw[0] == "refused"
            rows = [await c.find({}, sort="_id").to_list() for c in (plain, other)]
            assert told(rows[0]) == told(rows[1]), (seed, query, update)
            # The keys are those of the documents as they are now.
            await same_answers(plain, other, make, Counter())
    assert done > 40
    assert refused > 4


async def test_indexes_change_no_pipeline(pairs: Any, client: Client) -> None:
    await client["x"]["other"].insert_many(Pipelines(0).documents())
    done = refused = 0
    for seed in range(20):
        make = Changes(2000 + seed)
        pipelines = Pipelines(2000 + seed)
        plain, other = next(pairs)
        await stored(plain, other, make)
        for _ in range(6):
            stages = [{"$match": make.filter()}, {"$sort": make.sort()}, *pipelines.pipeline()[1:]]
            answers = [await attempted(answer(c, stages)) for c in (plain, other)]
            assert told(answers[0]) == told(answers[1]), (seed, stages)
            done += answers[0] != "refused"
            refused += answers[0] == "refused"
    assert done > 60
    assert refused > 4


async def answer(collection: Any, stages: list[Any]) -> Any:
    return await (await collection.aggregate(stages)).to_list()
