"""Random documents, filters and updates: indexes change nothing, and a server agrees."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from copy import deepcopy
from pathlib import Path
from typing import Any

import bson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from locutory_sqlite import Client

Document = dict[str, Any]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([0.5, 1.0, -1.5]),
    st.sampled_from(["", "a", "ab", "b", "B"]),
)
objects = st.dictionaries(st.sampled_from(["b", "c"]), scalars, max_size=2)
values = st.one_of(
    scalars,
    scalars,
    objects,
    st.lists(st.one_of(scalars, objects), max_size=3),
    st.lists(st.lists(scalars, max_size=2), max_size=2),
)
documents = st.lists(
    st.dictionaries(st.sampled_from(["a", "d", "e"]), values, max_size=3), min_size=1, max_size=8
)
paths = st.sampled_from(["a", "d", "e", "a.b", "a.c", "d.b", "a.0"])
numbers = st.one_of(st.integers(-2, 3), st.just(0.5))
bounds = st.one_of(numbers, st.sampled_from(["", "a", "ab", "b"]), st.booleans(), st.none())
operators = st.one_of(
    st.fixed_dictionaries({"$eq": values}),
    st.fixed_dictionaries({"$ne": scalars}),
    st.fixed_dictionaries({"$gt": bounds}),
    st.fixed_dictionaries({"$gte": bounds}),
    st.fixed_dictionaries({"$lt": bounds}),
    st.fixed_dictionaries({"$lte": bounds}),
    st.fixed_dictionaries({"$gt": numbers, "$lt": numbers}),
    st.fixed_dictionaries({"$in": st.lists(values, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(scalars, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$regex": st.sampled_from(["^a", "b$", "^ab?", "^(a|b)", "^B"])}),
    st.fixed_dictionaries({"$size": st.integers(0, 3)}),
    st.fixed_dictionaries({"$all": st.lists(scalars, max_size=2)}),
    st.fixed_dictionaries({"$elemMatch": st.fixed_dictionaries({"$gte": numbers, "$lt": numbers})}),
    st.fixed_dictionaries({"$elemMatch": st.fixed_dictionaries({"b": scalars})}),
    st.fixed_dictionaries({"$type": st.sampled_from(["string", "number", "array", "null"])}),
)
conditions = st.one_of(scalars, operators, operators, st.builds(lambda o: {"$not": o}, operators))
flat = st.dictionaries(paths, conditions, max_size=2)
filters = st.recursive(
    flat,
    lambda inner: st.one_of(
        st.builds(
            lambda name, clauses: {name: clauses},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(
            lambda query, clauses: {**query, "$or": clauses},
            flat,
            st.lists(inner, min_size=1, max_size=2),
        ),
    ),
    max_leaves=4,
)
ways = st.sampled_from([1, -1])
# Two arrays side by side cannot be indexed together, which is an error of its own.
index_keys = st.lists(
    st.one_of(
        st.lists(st.tuples(paths, ways), min_size=1, max_size=1),
        st.tuples(ways, ways).map(lambda w: [("a.b", w[0]), ("a.c", w[1])]),
        st.tuples(ways, ways).map(lambda w: [("a", w[0]), ("_id", w[1])]),
        st.tuples(ways, ways).map(lambda w: [("d", w[0]), ("_id", w[1])]),
        st.tuples(ways, ways).map(lambda w: [("n", w[0]), ("d", w[1])]),
    ),
    min_size=1,
    max_size=4,
    unique_by=tuple,
)
sorts = st.lists(st.tuples(st.sampled_from(["a", "d", "n", "a.b"]), ways), max_size=2).map(
    lambda order: list({name: way for name, way in order}.items())
)
projections = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from(["a", "d", "n"]), st.just(1), min_size=1),
    st.dictionaries(st.sampled_from(["a.b", "d", "n"]), st.just(0), min_size=1),
    st.just({"a.b": 1, "_id": 0}),
)
updates = st.one_of(
    st.builds(lambda path, value: {"$set": {path: value}}, paths, values),
    st.builds(lambda path: {"$unset": {path: ""}}, paths),
    st.builds(lambda path, by: {"$inc": {path: by}}, paths, numbers),
    st.builds(lambda path, value: {"$push": {path: value}}, paths, scalars),
    st.builds(lambda path, value: {"$pull": {path: value}}, paths, scalars),
    st.builds(lambda path, value: {"$pull": {path: {"$gte": value}}}, paths, numbers),
    st.builds(lambda path, all_: {"$pullAll": {path: all_}}, paths, st.lists(scalars, max_size=2)),
    st.builds(lambda path, value: {"$addToSet": {path: value}}, paths, scalars),
    st.builds(lambda path, value: {"$max": {path: value}}, paths, scalars),
    st.builds(lambda path, value: {"$min": {path: value}}, paths, scalars),
    st.builds(
        lambda value: {"$setOnInsert": {"f": value}, "$set": {"g": value}},
        scalars,
    ),
    st.builds(lambda to: {"$rename": {"a": to}}, st.sampled_from(["d", "f"])),
)


def told(answer: Any) -> Any:
    return bson.encode({"x": answer})


async def attempted(call: Coroutine[Any, Any, Any]) -> Any:
    """What a call returns, or the code of the error."""
    try:
        return await call
    except OperationFailure:
        return "refused"


def examples(count: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def numbered(given_: list[Document]) -> list[Document]:
    return [{"_id": i, "n": i % 3, **document} for i, document in enumerate(given_)]


async def _two(work: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Client(Path(folder) / "data.db") as client:
            await work(client["x"]["plain"], client["x"]["indexed"])


@examples(250)
@given(documents, index_keys, st.lists(st.tuples(filters, sorts, projections), min_size=4, max_size=4),
       st.integers(0, 2), st.integers(0, 3))  # fmt: skip
def test_indexes_change_no_answer(
    stored: list[Document],
    keys: list[list[tuple[str, int]]],
    queries: list[tuple[Document, list[tuple[str, int]], Any]],
    skip: int,
    limit: int,
) -> None:
    async def work(plain: Any, indexed: Any) -> None:
        await plain.insert_many(deepcopy(numbered(stored)))
        for number, one in enumerate(keys):
            await indexed.create_index(one, sparse=not number % 2)
        await indexed.insert_many(deepcopy(numbered(stored)))
        for query, sort, projection in queries:
            order = [*sort, ("_id", 1)]
            answers = [
                await c.find(query, projection, sort=order, skip=skip, limit=limit).to_list()
                for c in (plain, indexed)
            ]
            plan = await indexed.find(query, sort=order, limit=limit).explain()
            assert told(answers[0]) == told(answers[1]), (query, order, plan)
            unsorted = [await c.find(query).to_list() for c in (plain, indexed)]
            plan = await indexed.find(query).explain()
            assert unsorted[0] == sorted(unsorted[1], key=lambda d: d["_id"]), (query, plan)
            assert await indexed.count_documents(query) == len(unsorted[0])

    asyncio.run(_two(work))


@examples(150)
@given(documents, index_keys, st.lists(st.tuples(filters, updates, st.booleans()), min_size=4, max_size=4))  # fmt: skip
def test_indexes_change_no_update(
    stored: list[Document],
    keys: list[list[tuple[str, int]]],
    changes: list[tuple[Document, Document, bool]],
) -> None:
    async def work(plain: Any, indexed: Any) -> None:
        for one in keys:
            await indexed.create_index(one)
        for collection in (plain, indexed):
            await collection.insert_many(deepcopy(numbered(stored)))
        for query, update, upsert in changes:
            query = {"$and": [query, {"_id": {"$gte": 0}}]} if not upsert else {**query, "_id": 99}
            # Of many documents, some may be changed before one is refused: with _id one is.
            results = [
                await attempted(c.update_many(query, update, upsert=upsert))
                for c in (plain, indexed)
            ]
            assert getattr(results[0], "raw_result", results[0]) == getattr(
                results[1], "raw_result", results[1]
            )
            rows = [await c.find({}, sort="_id").to_list() for c in (plain, indexed)]
            assert told(rows[0]) == told(rows[1]), (query, update)
        for path in ("a", "d", "a.b", "n"):  # the keys are those of the documents as they are now
            for query in ({path: {"$gte": 0}}, {path: None}, {path: "a"}):
                assert await plain.count_documents(query) == await indexed.count_documents(query)

    asyncio.run(_two(work))


def test_a_server_agrees(database_uri: str) -> None:
    @examples(60)
    @given(documents, st.lists(st.tuples(filters, projections), min_size=3, max_size=3), updates)
    def compare(
        stored: list[Document], queries: list[tuple[Document, Any]], update: Document
    ) -> None:
        async def work(ours: Any, _other: Any) -> None:
            async with AsyncMongoClient(database_uri) as server:
                theirs = server["sqlite_differential"]["one"]
                await theirs.delete_many({})
                for collection in (ours, theirs):
                    await collection.insert_many(deepcopy(numbered(stored)))
                for query, projection in queries:
                    got = [
                        await c.find(query, projection, sort=[("_id", 1)]).to_list()
                        for c in (ours, theirs)
                    ]
                    assert told(got[0]) == told(got[1]), (stored, query, projection, got)
                for query in ({"_id": 0}, {"_id": 1}):
                    done = [await attempted(c.update_one(query, update)) for c in (ours, theirs)]
                    both = [await c.find_one(query) for c in (ours, theirs)]
                    assert told(both[0]) == told(both[1]), (stored, update, both, done)

        asyncio.run(_two(work))

    compare()
