"""Random documents, filters, updates, bulk writes and pipelines: a server of MongoDB's protocol
answers the same. What that server does in another way than MongoDB's manual is left out where the
generators say so; numbers compare with their types, documents with the order of their fields.
"""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from packages.sqlite.tests.changes import Changes, Pipelines
from packages.sqlite.tests.generation import Document
from packages.sqlite.tests.test_sqlite_differential import answer, attempted, told
from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, OperationFailure

from locutory_sqlite import Client
from locutory_sqlite.ordering import encode

pytestmark = pytest.mark.slow

SEEDS = range(60)
COUNTS = ("nInserted", "nMatched", "nModified", "nRemoved", "nUpserted")


@pytest.fixture
async def both(client: Client, database_uri: str) -> AsyncIterator[tuple[Any, Any]]:
    """The databases: ours, and the server's."""
    async with AsyncMongoClient[Document](database_uri, tz_aware=True) as server:
        yield client["x"], server["sqlite_differential"]


async def filled(both: tuple[Any, Any], name: str, documents: list[Document]) -> list[Any]:
    collections = [database[name] for database in both]
    for collection in collections:
        await collection.delete_many({})
        await collection.insert_many(deepcopy(documents))
    return collections


def in_any_order(document: Any) -> Any:
    """By the manual an update makes new fields in the order of their names; there, as given."""
    return dict(sorted(document.items())) if isinstance(document, dict) else document


def without_booleans(value: Any) -> Any:
    """There ``distinct`` takes true for 1, and objects in every order of their fields for one."""
    if isinstance(value, dict):
        return {name: without_booleans(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [without_booleans(inner) for inner in value]
    return int(value) if isinstance(value, bool) else value


@pytest.mark.parametrize("rare", [False, True])
async def test_finds(both: Any, rare: bool) -> None:
    matched = 0
    for seed in SEEDS:
        make = Changes(seed, rare=rare, server=True)
        documents = make.documents()
        pair = await filled(both, "c", documents)
        for _ in range(10):
            query, sort, projection = make.filter(), make.sort(), make.projection()
            found = [await attempted(c.find(query, projection, sort=sort).to_list()) for c in pair]
            assert told(found[0]) == told(found[1]), (seed, documents, query, projection, sort)
            matched += 0 < len(found[0]) < len(documents)
            counts = [await c.count_documents(query) for c in pair]
            assert counts[0] == counts[1], (seed, query)
            path = make.choice(["a", "d", "n"])
            values = [await c.distinct(path, query) for c in pair]
            keys = [{encode(without_booleans(value)) for value in each} for each in values]
            assert keys[0] == keys[1], (seed, path, query)
    assert matched > 60


@pytest.mark.parametrize("rare", [False, True])
async def test_updates(both: Any, rare: bool) -> None:
    done = 0
    for seed in SEEDS:
        make = Changes(10_000 + seed, rare=rare, server=True)
        documents = make.documents()
        pair = await filled(both, "c", documents)
        for document in documents:
            one, update = {"_id": document["_id"]}, make.update()
            results = [await attempted(c.update_one(one, update)) for c in pair]
            told_ = [r if r == "refused" else (r.matched_count, r.modified_count) for r in results]
            after = [in_any_order(await c.find_one(one)) for c in pair]
            assert told(after[0]) == told(after[1]), (seed, document, update)
            assert told_[0] == told_[1], (seed, document, update)
            done += told_[0] == (1, 1)
    assert done > 100


async def test_upserts_and_find_one_and_update(both: Any) -> None:
    for seed in SEEDS:
        make = Changes(20_000 + seed, server=True)
        documents = make.documents()
        pair = await filled(both, "c", documents)
        for _ in range(4):
            query, update, after = make.filter(), make.update(), make.chance(0.5)
            sort = {"_id": make.way()}
            found = [
                await attempted(
                    c.find_one_and_update(query, update, sort=sort, return_document=after)
                )
                for c in pair
            ]
            same = told(in_any_order(found[0])) == told(in_any_order(found[1]))
            assert same, (seed, query, update, found)
            if found[0] == "refused":
                break
        for _ in range(4):
            query, update = make.upsert(), make.update()
            for c in pair:
                await c.delete_many({})
                await attempted(c.update_one(query, update, upsert=True))
            made = [in_any_order(await c.find_one()) for c in pair]
            for document in made:
                if document and "_id" not in query:
                    document.pop("_id")  # an ObjectId of each
            assert told(made[0]) == told(made[1]), (seed, query, update)


async def written(collection: Any, requests: list[Any], *, ordered: bool) -> Any:
    """The counts of a bulk write, and which requests were refused with which code."""
    try:
        result = (await collection.bulk_write(requests, ordered=ordered)).bulk_api_result
    except BulkWriteError as error:
        result = error.details
    except OperationFailure:
        return "refused"
    errors = [(one["index"], one["code"]) for one in result["writeErrors"]]
    return [result[name] for name in COUNTS], errors


async def test_bulk_writes(both: Any) -> None:
    refused = 0
    for seed in SEEDS:
        make = Changes(30_000 + seed, server=True)
        for number in range(3):
            pair = await filled(
                both, f"bulk{number}", [{"_id": k, "u": k, "n": k % 3} for k in range(4)]
            )
            ordered, state = make.chance(0.5), make.getstate()
            results = []
            for collection in pair:
                await collection.create_index("u", unique=True, sparse=True)
                make.setstate(state)
                results.append(
                    await written(collection, make.bulk(ordered=ordered), ordered=ordered)
                )
            rows = [
                [in_any_order(d) for d in await c.find({}, sort={"_id": 1}).to_list()] for c in pair
            ]
            assert results[0] == results[1], (seed, number, ordered)
            assert told(rows[0]) == told(rows[1]), (seed, number, ordered)
            refused += bool(results[0][1])
    assert refused > 20


NO_ORDER = {"$group", "$sortByCount"}
OF_AN_ORDER = {"$limit", "$skip", "$unwind", "$facet"}


def as_set(rows: Any) -> Any:
    """The rows and the sets of ``$addToSet`` in one order."""
    if rows == "refused":
        return rows
    for row in rows:
        if isinstance(row.get("addToSet"), list):
            row["addToSet"].sort(key=encode)
    return sorted(rows, key=encode)


@pytest.mark.parametrize("rare", [False, True])
async def test_pipelines(both: Any, rare: bool) -> None:
    done = 0
    for seed in SEEDS:
        make = Pipelines(40_000 + seed, rare=rare, server=True)
        await filled(both, "other", make.documents())
        pair = await filled(both, "c", make.documents())
        for _ in range(10):
            stages = make.pipeline()
            names = [next(iter(stage)) for stage in stages]
            grouped = next((n for n, name in enumerate(names) if name in NO_ORDER), len(names))
            if OF_AN_ORDER & set(names[grouped:]):
                continue
            rows = [await attempted(answer(c, stages)) for c in pair]
            if "refused" in rows and ("$limit" in names or rows[0] != rows[1] == "refused"):
                # It evaluates what a limit leaves out, and constants where there are no documents.
                assert rows[1] == "refused" or "$limit" in names, (seed, stages)
                continue
            if grouped < len(names):
                rows = [as_set(one) for one in rows]
            assert told(rows[0]) == told(rows[1]), (seed, stages, rows)
            done += rows[0] != "refused"
    assert done > 100
