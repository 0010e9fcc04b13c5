"""What MongoDB's manual says of its updates, projections and pipelines, case by case."""

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, Regex
from pymongo.errors import OperationFailure, WriteError

from locutory_sqlite import Database
from locutory_sqlite.filters import compile_filter
from locutory_sqlite.pipeline import compile_pipeline, run
from locutory_sqlite.projection import compile_projection
from locutory_sqlite.updates import compile_update, inserted_by

DAY = datetime(2020, 1, 1, tzinfo=UTC)
LONG = 2**31 - 1
# The document, the update, and what becomes of it: a document, or the code of the error.
UPDATES: list[tuple[Any, Any, Any]] = [
    ({"a": 1}, {"$set": {"b.c": 2}}, {"a": 1, "b": {"c": 2}}),
    ({"a": [1]}, {"$set": {"a.3": 2}}, {"a": [1, None, None, 2]}),
    ({"a": [1]}, {"$set": {"a.x": 2}}, 28),
    ({"a": None}, {"$set": {"a.b": 2}}, 28),
    ({}, {"$set": {"b": 1, "a": 1, "10": 1, "9": 1}}, {"9": 1, "10": 1, "a": 1, "b": 1}),
    ({"a": {"b": 1, "c": 2}}, {"$unset": {"a.b": ""}}, {"a": {"c": 2}}),
    ({"a": [1, 2]}, {"$unset": {"a.0": ""}}, {"a": [None, 2]}),
    ({"a": 1}, {"$unset": {"b.c": ""}}, {"a": 1}),
    ({"a": LONG}, {"$inc": {"a": 1}}, {"a": Int64(LONG + 1)}),
    ({"a": Int64(1)}, {"$inc": {"a": 1}}, {"a": Int64(2)}),
    ({"a": 1}, {"$inc": {"a": 0.5}}, {"a": 1.5}),
    ({"a": 1}, {"$inc": {"a": Decimal128("0.1")}}, {"a": Decimal128("1.1")}),
    ({}, {"$inc": {"a.b": 2}}, {"a": {"b": 2}}),
    ({"a": "1"}, {"$inc": {"a": 1}}, 14),
    ({"a": None}, {"$inc": {"a": 1}}, 14),
    ({"a": Int64(2**63 - 1)}, {"$inc": {"a": 1}}, 2),
    ({}, {"$mul": {"a": 2, "b": 1.5, "c": Int64(2)}}, {"a": 0, "b": 0.0, "c": Int64(0)}),
    ({"a": 3}, {"$mul": {"a": 2}}, {"a": 6}),
    ({"a": 3}, {"$max": {"a": 2.0}}, {"a": 3}),
    ({"a": 3}, {"$max": {"a": "x", "b": 1}}, {"a": "x", "b": 1}),
    ({"a": 3}, {"$min": {"a": 2}}, {"a": 2}),
    ({"a": 3}, {"$max": {"a": None}}, {"a": 3}),
    ({}, {"$push": {"a": 1}}, {"a": [1]}),
    ({"a": [1]}, {"$push": {"a": [2, 3]}}, {"a": [1, [2, 3]]}),
    ({"a": 1}, {"$push": {"a": 1}}, 2),
    ({"a": [1]}, {"$push": {"a": {"$each": [2, 3], "$position": 0}}}, {"a": [2, 3, 1]}),
    ({"a": [1, 2]}, {"$push": {"a": {"$each": [3], "$position": -1}}}, {"a": [1, 3, 2]}),
    ({"a": [5, 8]}, {"$push": {"a": {"$each": [6], "$sort": -1, "$slice": 2}}}, {"a": [8, 6]}),
    ({"a": [1, 2]}, {"$push": {"a": {"$each": [], "$slice": -1}}}, {"a": [2]}),
    ({"a": [1, 2]}, {"$push": {"a": {"$each": [3], "$slice": 0}}}, {"a": []}),
    ({"a": [{"n": 2}]}, {"$push": {"a": {"$each": [{"n": 1}], "$sort": {"n": 1}}}}, {"a": [{"n": 1}, {"n": 2}]}),
    ({"a": [1]}, {"$addToSet": {"a": 1.0}}, {"a": [1]}),
    ({"a": [1]}, {"$addToSet": {"a": {"$each": [2, 1, 2]}}}, {"a": [1, 2]}),
    ({"a": [{"x": 1, "y": 2}]}, {"$addToSet": {"a": {"y": 2, "x": 1}}}, {"a": [{"x": 1, "y": 2}, {"y": 2, "x": 1}]}),
    ({"a": [1, 5, 8]}, {"$pull": {"a": {"$gte": 5}}}, {"a": [1]}),
    ({"a": [{"x": 1, "y": 1}, {"x": 2}]}, {"$pull": {"a": {"x": 1}}}, {"a": [{"x": 2}]}),
    ({"a": ["ab", "b"]}, {"$pull": {"a": Regex("^a")}}, {"a": ["b"]}),
    ({"a": [[1, 2], 1]}, {"$pull": {"a": [1, 2]}}, {"a": [1]}),
    ({"a": [1, 2, 1]}, {"$pull": {"a": {"$in": [1]}}}, {"a": [2]}),
    ({"b": 1}, {"$pull": {"a": 1}}, {"b": 1}),
    ({"a": 1}, {"$pull": {"a": 1}}, 2),
    ({"a": [1, 2, {"x": 1}]}, {"$pullAll": {"a": [1, {"x": 1}]}}, {"a": [2]}),
    ({"a": [1, 2]}, {"$pop": {"a": 1}}, {"a": [1]}),
    ({"a": [1, 2]}, {"$pop": {"a": -1}}, {"a": [2]}),
    ({"a": 1}, {"$pop": {"a": 1}}, 14),
    ({"a": 1, "b": 2}, {"$rename": {"a": "b"}}, {"b": 1}),
    ({"a": {"b": 1}}, {"$rename": {"a.b": "c.d"}}, {"a": {}, "c": {"d": 1}}),
    ({"a": 1}, {"$rename": {"x": "y"}}, {"a": 1}),
    ({"a": [{"b": 1}]}, {"$rename": {"a.0.b": "c"}}, 2),
    ({"a": 1}, {"$rename": {"a.b": "c"}}, 28),
    ({"a": 1}, {"$setOnInsert": {"b": 1}}, {"a": 1}),
    ({"_id": 1}, {"$set": {"_id": 2}}, 66),
    ({"_id": 1}, {"$unset": {"_id": 1}}, 66),
    ({"_id": 1, "a": 1}, {"$set": {"_id": 1, "a": 2}}, {"_id": 1, "a": 2}),
    ({}, {"$set": {"a": 1}, "$inc": {"a.b": 1}}, 40),
    ({}, {"$set": {"a": 1}, "$unset": {"a": 1}}, 40),
    ({}, {"$rename": {"a": "b"}, "$set": {"b": 1}}, 40),
    ({}, {"$set": {"": 1}}, 56),
    ({}, {"$set": {"$a": 1}}, 52),
    ({}, {"$push": {"a": {"$each": 1}}}, 2),
    ({}, {"$push": {"a": {"$each": [], "$other": 1}}}, 2),
    ({}, {"$pop": {"a": 2}}, 9),
]  # fmt: skip


@pytest.mark.parametrize(("document", "update", "wanted"), UPDATES)
def test_updates(document: Any, update: Any, wanted: Any) -> None:
    before = bson.decode(bson.encode(document))
    if isinstance(wanted, int):
        with pytest.raises(OperationFailure) as caught:
            compile_update(update)(before)
        assert caught.value.code == wanted
    else:
        assert bson.encode(compile_update(update)(before)) == bson.encode(wanted)


UPSERTS: list[tuple[Any, Any]] = [
    ({"a": 1, "b.c": 2}, {"a": 1, "b": {"c": 2}}),
    ({"a": {"$eq": 1}, "b": {"$gt": 1}}, {"a": 1}),
    ({"$and": [{"a": 1}, {"b": 2}]}, {"a": 1, "b": 2}),
    ({"$or": [{"a": 1}]}, {"a": 1}),
    ({"$or": [{"a": 1}, {"a": 2}]}, {}),
    ({"a": {"$in": [1]}, "b": {"$in": [1, 2]}}, {"a": 1}),
    ({"a": {"$all": [1]}}, {"a": 1}),
    ({"a": Regex("x"), "b": None}, {"b": None}),
    ({"a": {"x": 1}}, {"a": {"x": 1}}),
    ({"a": 1, "$and": [{"a": 2}]}, 54),
    ({"a": {"x": 1}, "a.x": 1}, 54),
]


@pytest.mark.parametrize(("query", "wanted"), UPSERTS)
def test_what_an_upsert_begins_with(query: Any, wanted: Any) -> None:
    compiled = compile_filter(query)
    if isinstance(wanted, int):
        with pytest.raises(WriteError) as caught:
            inserted_by(compiled)
        assert caught.value.code == wanted
    else:
        assert inserted_by(compiled) == wanted


DOCUMENT = {"_id": 1, "a": [{"b": 1, "c": 2}, {"b": 3}, 5], "d": {"e": 1, "f": 2}, "g": [1, 2, 3]}
PROJECTIONS: list[tuple[Any, Any]] = [
    ({"d": 1}, {"_id": 1, "d": {"e": 1, "f": 2}}),
    ({"d.e": 1, "_id": 0}, {"d": {"e": 1}}),
    ({"d": {"e": 1}, "_id": 0}, {"d": {"e": 1}}),
    ({"a.b": 1, "_id": 0}, {"a": [{"b": 1}, {"b": 3}]}),
    ({"a": 0, "d": 0}, {"_id": 1, "g": [1, 2, 3]}),
    ({"a.b": 0, "d": 0, "g": 0}, {"_id": 1, "a": [{"c": 2}, {}, 5]}),
    ({"_id": 1}, {"_id": 1}),
    ({"g": {"$slice": 2}, "a": 0, "d": 0}, {"_id": 1, "g": [1, 2]}),
    ({"_id": 1, "g": {"$slice": -1}}, {"_id": 1, "g": [3]}),
    ({"_id": 1, "g": {"$slice": [1, 1]}}, {"_id": 1, "g": [2]}),
    ({"g": {"$elemMatch": {"$gte": 2}}}, {"_id": 1, "g": [2]}),
    ({"a": {"$elemMatch": {"b": 3}}, "_id": 0}, {"a": [{"b": 3}]}),
    ({"x": "$d.e", "_id": 0}, {"x": 1}),
    ({"a.b": 1, "d": 0}, 31254),
    ({"d": 1, "d.e": 1}, 31249),
    ({"d.e": 1, "d": 1}, 31250),
    ({"d": {}}, 51270),
]


@pytest.mark.parametrize(("projection", "wanted"), PROJECTIONS)
def test_projections(projection: Any, wanted: Any) -> None:
    if isinstance(wanted, int):
        with pytest.raises(OperationFailure) as caught:
            compile_projection(projection)
        assert caught.value.code == wanted
    else:
        assert compile_projection(projection)(DOCUMENT) == wanted


# An expression, and its value for `VALUES`; `...` is no field.
VALUES = {"n": 3, "l": Int64(2), "x": 1.5, "t": "aB", "e": [], "v": [3, 1, 2], "o": [{"b": 1}, {"b": [2]}, 5],
          "d": DAY, "z": None}  # fmt: skip
EXPRESSIONS: list[tuple[Any, Any]] = [
    ("$n", 3), ("$o.b", [1, [2]]), ("$v.b", []), ("$none", ...), ("$n.b", ...), ("$$ROOT.n", 3),
    ("$$CURRENT.n", 3), ({"$literal": "$n"}, "$n"), ({"a": "$n", "b": "$none"}, {"a": 3}),
    (["$n", "$none"], [3, None]),
    ({"$add": ["$n", "$l"]}, Int64(5)), ({"$add": ["$n", "$none"]}, None), ({"$add": []}, 0),
    ({"$add": ["$d", 86_400_000]}, datetime(2020, 1, 2, tzinfo=UTC)), ({"$add": [LONG, 1]}, Int64(LONG + 1)),
    ({"$subtract": ["$d", "$d"]}, Int64(0)), ({"$subtract": ["$n", "$x"]}, 1.5),
    ({"$multiply": ["$n", "$x"]}, 4.5), ({"$divide": ["$n", 2]}, 1.5), ({"$divide": [4, 2]}, 2.0),
    ({"$mod": [-7, 3]}, -1), ({"$abs": -2}, 2), ({"$floor": -1.5}, -2.0), ({"$ceil": "$x"}, 2.0),
    ({"$floor": "$n"}, 3), ({"$eq": ["$n", 3.0]}, True), ({"$eq": ["$none", None]}, False),
    ({"$ne": ["$n", "3"]}, True), ({"$gt": ["$t", "$n"]}, True), ({"$gte": [1, 1]}, True),
    ({"$lt": ["$none", None]}, True), ({"$lte": [2, 1]}, False), ({"$and": []}, True), ({"$or": []}, False),
    ({"$and": ["$n", "$t"]}, True), ({"$or": [0, "$z", "$none"]}, False), ({"$not": ["$e"]}, False),
    ({"$not": [0]}, True), ({"$size": "$v"}, 3), ({"$arrayElemAt": ["$v", -1]}, 2),
    ({"$arrayElemAt": ["$v", 9]}, ...), ({"$first": "$v"}, 3), ({"$last": "$v"}, 2), ({"$first": "$e"}, ...),
    ({"$slice": ["$v", 2]}, [3, 1]), ({"$slice": ["$v", -2]}, [1, 2]), ({"$slice": ["$v", 1, 1]}, [1]),
    ({"$concat": ["$t", "c"]}, "aBc"), ({"$concat": ["$t", "$z"]}, None),
    ({"$concatArrays": ["$v", ["x"]]}, [3, 1, 2, "x"]), ({"$toLower": "$t"}, "ab"), ({"$toUpper": "$t"}, "AB"),
    ({"$toLower": "$z"}, ""), ({"$toString": "$x"}, "1.5"), ({"$toString": True}, "true"),
    ({"$toString": "$d"}, "2020-01-01T00:00:00.000Z"), ({"$isArray": "$v"}, True), ({"$isNumber": "$t"}, False),
    ({"$mergeObjects": [{"a": 1}, "$z", {"a": 2, "b": 3}]}, {"a": 2, "b": 3}), ({"$in": [1.0, "$v"]}, True),
    ({"$max": "$v"}, 3), ({"$min": ["$n", "$z", "$x"]}, 1.5), ({"$max": ["$none"]}, None),
    ({"$cond": ["$z", 1, 2]}, 2), ({"$cond": {"if": "$n", "then": 1, "else": 2}}, 1),
    ({"$switch": {"branches": [{"case": "$z", "then": 1}], "default": 2}}, 2), ({"$ifNull": ["$z", "$none", 7]}, 7),
    ({"$let": {"vars": {"a": "$n"}, "in": {"$add": ["$$a", 1]}}}, 4),
    ({"$map": {"input": "$v", "in": {"$add": ["$$this", 1]}}}, [4, 2, 3]),
    ({"$filter": {"input": "$v", "as": "v", "cond": {"$gt": ["$$v", 1]}}}, [3, 2]),
    ({"$filter": {"input": "$v", "cond": True, "limit": 2}}, [3, 1]), ({"$map": {"input": "$z", "in": 1}}, None),
    ({"$reduce": {"input": "$v", "initialValue": 0, "in": {"$add": ["$$value", "$$this"]}}}, 6),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "wanted"), EXPRESSIONS)
def test_expressions(expression: Any, wanted: Any) -> None:
    stages = compile_pipeline([{"$replaceWith": {"r": expression}}], lambda *_: [])
    found = next(iter(run(stages, [VALUES])))
    assert bson.encode(found) == bson.encode({} if wanted is ... else {"r": wanted})


ROWS: list[dict[str, Any]] = [{"_id": 1, "k": "a", "n": 1, "t": ["x", "y"]}, {"_id": 2, "k": "b", "n": 2.5, "t": []},
        {"_id": 3, "k": "a", "t": None}, {"_id": 4, "k": None, "n": Int64(4)}]  # fmt: skip
PIPELINES: list[tuple[list[Any], list[Any]]] = [
    ([{"$match": {"n": {"$gt": 1}}}, {"$project": {"k": 1, "_id": 0}}], [{"k": "b"}, {"k": None}]),
    ([{"$sort": {"k": 1, "_id": -1}}, {"$skip": 1}, {"$limit": 2}, {"$unset": ["n", "t", "k"]}], [{"_id": 3}, {"_id": 1}]),
    ([{"$group": {"_id": "$k", "s": {"$sum": "$n"}, "c": {"$count": {}}, "p": {"$push": "$n"}}}],
     [{"_id": "a", "s": 1, "c": 2, "p": [1]}, {"_id": "b", "s": 2.5, "c": 1, "p": [2.5]},
      {"_id": None, "s": Int64(4), "c": 1, "p": [Int64(4)]}]),
    ([{"$group": {"_id": None, "a": {"$avg": "$n"}, "x": {"$max": "$n"}, "m": {"$min": "$n"},
                  "f": {"$first": "$n"}, "l": {"$last": "$t"}, "u": {"$addToSet": "$k"}}}],
     [{"_id": None, "a": 2.5, "x": Int64(4), "m": 1, "f": 1, "l": None, "u": ["a", "b", None]}]),
    ([{"$unwind": "$t"}, {"$project": {"t": 1}}], [{"_id": 1, "t": "x"}, {"_id": 1, "t": "y"}]),
    ([{"$unwind": {"path": "$t", "preserveNullAndEmptyArrays": True, "includeArrayIndex": "i"}}, {"$project": {"t": 1, "i": 1}}],
     [{"_id": 1, "t": "x", "i": Int64(0)}, {"_id": 1, "t": "y", "i": Int64(1)}, {"_id": 2, "i": None},
      {"_id": 3, "t": None, "i": None}, {"_id": 4, "i": None}]),
    ([{"$match": {"_id": 1}}, {"$addFields": {"t.z": 1, "w.v": "$n"}}], [{"_id": 1, "k": "a", "n": 1, "t": [{"z": 1}, {"z": 1}], "w": {"v": 1}}]),
    ([{"$match": {"_id": 9}}, {"$count": "c"}], []),
    ([{"$count": "c"}], [{"c": 4}]),
    ([{"$sortByCount": "$k"}, {"$limit": 1}], [{"_id": "a", "count": 2}]),
    ([{"$facet": {"one": [{"$match": {"_id": 9}}], "n": [{"$count": "n"}]}}], [{"one": [], "n": [{"n": 4}]}]),
    ([{"$limit": 1}, {"$replaceRoot": {"newRoot": {"$mergeObjects": [{"q": 1}, {"k": "$k"}]}}}], [{"q": 1, "k": "a"}]),
    ([{"$limit": 1}, {"$project": {"n": 1}}, {"$set": {"n": "$$REMOVE"}}], [{"_id": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("stages", "wanted"), PIPELINES)
def test_pipelines(stages: list[Any], wanted: list[Any]) -> None:
    found = list(run(compile_pipeline(stages, lambda *_: []), ROWS))
    assert bson.encode({"x": found}) == bson.encode({"x": wanted})


async def test_lookup_takes_values_for_themselves(database: Database) -> None:
    await database["names"].insert_many(
        [{"_id": 1, "n": "ab"}, {"_id": 2, "n": Regex("^a")}, {"_id": 3}]
    )
    c = database["c"]
    await c.insert_many([{"_id": 1, "w": Regex("^a")}, {"_id": 2, "w": ["ab", None]}, {"_id": 3}])
    lookup = {
        "from": "names",
        "localField": "w",
        "foreignField": "n",
        "as": "f",
        "pipeline": [{"$project": {"n": 0}}],
    }
    rows = await (await c.aggregate([{"$sort": {"_id": 1}}, {"$lookup": lookup}])).to_list()
    assert [[f["_id"] for f in row["f"]] for row in rows] == [[2], [1, 3], [3]]


async def test_sorts_of_arrays_are_those_of_their_keys(database: Database) -> None:
    c = database["c"]
    values = [
        [{"b": 1, "c": 5}, {"b": 1, "c": 2}],
        [{"b": 1, "c": 3}, {"b": 0, "c": 9}],
        [{"b": 1, "c": 4}, 7],
    ]
    await c.insert_many([{"_id": n, "a": value, "d": [1]} for n, value in enumerate(values)])
    order = [row["_id"] for row in await c.find(sort=[("a.b", 1), ("a.c", 1)]).to_list()]
    assert order == [2, 1, 0]  # by (null, null), (0, 9) and (1, 2)
    with pytest.raises(OperationFailure, match="parallel arrays"):
        await c.find(sort=[("a.b", 1), ("d", 1)]).to_list()
