"""Random documents, filters and updates: indexes change nothing, and a server agrees.

The generator is seeded: drawn by hypothesis, most filters matched all or nothing.
"""

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import bson
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from locutory_sqlite import Client, Database

Document = dict[str, Any]

SCALARS: list[Any] = [None, True, False, -2, 0, 1, 1.0, 2, 3, 0.5, -1.5, "", "a", "ab", "b", "B"]
PATHS = ["a", "a", "a", "d", "d", "a.b", "a.b", "a.c", "d.b", "n", "a.0", "e"]
EXPRESSIONS = ["^a", "b$", "^ab?", "^(a|b)", "^B", "^ab"]
TYPES = ["string", "number", "array", "null", "object", "bool"]


class Generator(random.Random):
    """Leaves out what the server of the tests does in another way than MongoDB."""

    def scalar(self) -> Any:
        return self.choice(SCALARS)

    def object(self) -> Document:
        return {name: self.scalar() for name in self.sample(["b", "c"], self.randrange(3))}

    def value(self, depth: int = 0) -> Any:
        kind = self.randrange(10)
        if kind < 5 or depth > 1:
            return self.scalar()
        if kind < 6:
            return self.object()
        if kind < 8:
            return [self.object() for _ in range(self.randrange(1, 4))]
        return [self.value(depth + 1) for _ in range(self.randrange(4))]

    def documents(self) -> list[Document]:
        found: list[Document] = []
        for number in range(self.randrange(3, 14)):
            document = {"_id": number, "n": number % 3}
            for name in ("a", "d", "e"):
                if self.random() < 0.85:
                    document[name] = self.value()
            found.append(document)
        return found

    def operators(self) -> Document:
        number, other = sorted((self.choice([-2, 0, 0.5, 1]), self.choice([1, 2, 3])))
        match self.randrange(16):
            case 0:
                return {"$eq": self.value()}
            case 1:
                return {"$ne": self.value()}
            case 2 | 3 | 4:
                return {self.choice(["$gt", "$gte", "$lt", "$lte"]): self.scalar()}
            case 5:
                return {"$gt": number, "$lte": other}
            case 6 | 7:
                return {"$in": [self.value() for _ in range(self.randrange(1, 5))]}
            case 8:
                return {"$nin": [self.scalar() for _ in range(self.randrange(3))]}
            case 9:
                return {"$exists": self.random() < 0.5}
            case 10:
                return {"$regex": self.choice(EXPRESSIONS)}
            case 11:
                return {"$size": self.randrange(4)}
            case 12:
                # There $all with null does not find what is missing; by the manual it is an $and.
                return {"$all": self.sample(SCALARS[1:], self.randrange(1, 3))}
            case 13:
                return {"$elemMatch": {"$gte": number, "$lt": other}}
            case 14:
                # MongoDB takes an array in the array for an object too, which is what a condition
                # for something missing finds; the server of the tests does not.
                inner = self.choice([0, 1, "a", True, {"$gte": number}, {"$in": [1, "b"]}])
                return {"$elemMatch": {self.choice(["b", "c"]): inner}}
            case _:
                return {"$type": self.choice(TYPES)}

    def condition(self, depth: int = 0) -> Any:
        kind = self.random()
        if kind < 0.35:
            return self.value() if kind < 0.1 else self.scalar()
        if kind < 0.9 or depth:
            return self.operators()
        return {"$not": self.operators()}

    def filter(self, depth: int = 0) -> Document:
        query = {self.choice(PATHS): self.condition() for _ in range(self.choice([1, 1, 1, 2, 2]))}
        if self.random() < 0.2:  # of one array, where different elements may fulfil them
            query = {path: self.choice([0, 1, True, "a", {"$gte": 0}]) for path in ("a.b", "a.c")}
        if depth < 2 and self.random() < 0.4:
            clauses = [self.filter(depth + 1) for _ in range(self.randrange(1, 4))]
            query[self.choice(["$or", "$or", "$and", "$nor"])] = clauses
            if self.random() < 0.5:
                query.pop(next(iter(query)))
        return query

    def way(self) -> int:
        return self.choice([1, -1])

    def index(self) -> dict[str, int]:
        # Two arrays side by side cannot be indexed together, which is an error of its own.
        pairs = [["a.b", "a.c"], ["a", "_id"], ["d", "n"], ["n", "a"], ["a.c", "a.b"], ["n", "_id"]]
        paths = self.choice(pairs) if self.random() < 0.5 else [self.choice(PATHS)]
        return {path: self.way() for path in paths}

    def sort(self) -> Document:
        paths = self.sample(["a", "d", "n", "a.b"], self.randrange(3))
        return {**{path: self.way() for path in paths}, "_id": self.way()}

    def projection(self) -> Any:
        choices: list[Any] = [
            None, {"a": 1}, {"a.b": 1, "_id": 0}, {"a": 0}, {"a.b": 0, "d": 0}, {"a.b": 1, "n": 1},
        ]  # fmt: skip
        return self.choice(choices)

    def update(self) -> Document:
        path = self.choice(PATHS)
        match self.randrange(12):
            case 0 | 1:
                return {"$set": {path: self.value()}, "$inc": {"z": 1}}
            case 2:
                return {"$unset": {path: ""}}
            case 3:
                return {"$inc": {path: self.choice([1, 0.5, -2])}}
            case 4:
                return {"$push": {path: self.value()}}
            case 5:
                return {"$pull": {path: self.choice([self.scalar(), {"b": self.scalar()}])}}
            case 6:
                return {"$pull": {path: {"$gte": self.choice([0, 1, "a"])}}}
            case 7:
                return {"$pullAll": {path: [self.scalar(), self.scalar()]}}
            case 8:
                return {"$addToSet": {path: self.value()}}
            case 9:
                return {self.choice(["$max", "$min"]): {path: self.scalar()}}
            case 10:
                return {"$setOnInsert": {"f": self.value()}, "$set": {"g": 1}}
            case _:
                return {"$rename": {"a": self.choice(["d", "f"])}}


def told(answer: Any) -> bytes:
    return bson.encode({"x": answer})


async def attempted(call: Any) -> Any:
    """What a call answers, or that it was refused."""
    try:
        found = await call
        return getattr(found, "raw_result", found)
    except OperationFailure:
        return "refused"


@pytest.fixture
def pairs(client: Client) -> Iterator[tuple[Any, Any]]:
    """Fresh collections by two, one for the plain and one for the indexed documents."""
    return (
        (client["x"][f"plain{number}"], client["x"][f"indexed{number}"]) for number in range(10**6)
    )


async def test_indexes_change_no_answer(pairs: Any) -> None:
    stages: set[str] = set()
    for seed in range(80):
        make = Generator(seed)
        plain, other = next(pairs)
        stored = make.documents()
        await attempted_indexes(other, make)
        for collection in (plain, other):
            await collection.insert_many(deepcopy(stored))
        for _ in range(12):
            query, sort, projection = make.filter(), make.sort(), make.projection()
            skip, limit = make.choice([0, 0, 1, 3]), make.choice([0, 0, 1, 4])
            cursors = [
                c.find(query, projection, sort=sort, skip=skip, limit=limit) for c in (plain, other)
            ]
            plan = (await cursors[1].explain())["queryPlanner"]["winningPlan"]
            stages.add(plan["stage"])
            answers = [await attempted(cursor.to_list()) for cursor in cursors]
            if "refused" in answers:  # parallel arrays, which an index may already have in order
                continue
            assert told(answers[0]) == told(answers[1]), (seed, query, sort, skip, limit, plan)
            first = await plain.find(query).to_list()
            second = await other.find(query).to_list()
            plan = await other.find(query).explain()
            assert first == sorted(second, key=lambda d: d["_id"]), (seed, query, plan)
    assert stages >= {"COLLSCAN", "IXSCAN", "OR"}


async def attempted_indexes(collection: Any, make: Generator) -> None:
    for _ in range(make.randrange(1, 5)):
        try:
            await collection.create_index(make.index(), sparse=make.random() < 0.3)
        except OperationFailure as error:  # the same keys once more, sparse or not
            assert error.code in (85, 86)  # noqa: PT017


async def test_indexes_change_no_update(pairs: Any) -> None:
    done = refused = 0
    for seed in range(80):
        make = Generator(seed)
        plain, other = next(pairs)
        stored = make.documents()
        await attempted_indexes(other, make)
        for collection in (plain, other):
            await collection.insert_many(deepcopy(stored))
        for _ in range(8):
            query, update, upsert = make.filter(), make.update(), make.random() < 0.3
            if upsert:
                query["_id"] = 100 + make.randrange(3)
            results = [
                await attempted(c.update_many(query, update, upsert=upsert)) for c in (plain, other)
            ]
            if results[0] != results[1]:  # parallel arrays are refused with an index only
                assert results[1] == "refused", (seed, query, update, results)
                break
            done += results[0] != "refused"
            refused += results[0] == "refused"
            rows = [await c.find({}, sort="_id").to_list() for c in (plain, other)]
            assert told(rows[0]) == told(rows[1]), (seed, query, update)
            for _ in range(3):  # the keys are those of the documents as they are now
                query = make.filter()
                counts = [await c.count_documents(query) for c in (plain, other)]
                assert counts[0] == counts[1], (seed, query)
    assert done > 250
    assert refused > 20


async def test_a_server_agrees(database: Database, database_uri: str) -> None:
    async with AsyncMongoClient[Document](database_uri) as server:
        theirs = server["sqlite_differential"]["one"]
        matched = 0
        for seed in range(60):
            make = Generator(seed)
            stored = make.documents()
            ours = database[f"c{seed}"]
            await theirs.delete_many({})
            for collection in (ours, theirs):
                await collection.insert_many(deepcopy(stored))
            for _ in range(8):
                query, sort, projection = make.filter(), make.sort(), make.projection()
                # There an object in an array without the field does not count as null.
                sort.pop("a.b", None)
                mine = await ours.find(query, projection, sort=sort).to_list()
                other = await theirs.find(query, projection, sort=sort).to_list()
                matched += 0 < len(mine) < len(stored)
                assert told(mine) == told(other), (
                    seed,
                    stored,
                    query,
                    projection,
                    sort,
                    mine,
                    other,
                )
            for number in range(4):
                update, one = make.update(), {"_id": number}
                results = [await attempted(c.update_one(one, update)) for c in (ours, theirs)]
                both = [await ours.find_one(one), await theirs.find_one(one)]
                assert told(both[0]) == told(both[1]), (seed, stored[number], update, both, results)
        assert matched > 60
