"""What MongoDB's manual says of its filters, case by case."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex
from pymongo.errors import OperationFailure

from locutory_sqlite import Database, patterns
from locutory_sqlite.filters import compile_filter

NAN = float("nan")
DAY = datetime(2020, 1, 1, tzinfo=UTC)
# The filter, values of "a" that match, and values that do not; `...` is no field at all.
FILTERS: list[tuple[Any, list[Any], list[Any]]] = [
    (None, [None, ..., [None], [1, None]], [0, "", False, [], {}]),
    ({"$eq": None}, [None, ...], [0]),
    ({"$ne": None}, [0, "", [], [1]], [None, ..., [None, 1]]),
    ({"$exists": True}, [None, 0, []], [...]),
    ({"$exists": False}, [...], [None, []]),
    (1, [1, 1.0, Int64(1), Decimal128("1"), [0, 1]], [True, "1", [[1]], 1.5]),
    (True, [True, [True]], [1, "true"]),
    ({"$eq": NAN}, [NAN, Decimal128("NaN")], [0, None]),
    ([1, 2], [[1, 2], [[1, 2], 3]], [[2, 1], [1, 2, 3], 1]),
    ([], [[], [[]]], [None, ..., [1]]),
    ({"x": 1, "y": 2}, [{"x": 1, "y": 2.0}, [{"x": 1, "y": 2}]], [{"y": 2, "x": 1}, {"x": 1}]),
    ({"$gt": 1}, [2, 1.5, Int64(2), Decimal128("1.5"), [0, 2]], [1, "2", None, ..., True, NAN, DAY]),
    ({"$lt": 1}, [0, -1.5, float("-inf")], [1, NAN, None, ..., False, ""]),
    ({"$gte": NAN}, [NAN], [1, None]),
    ({"$lte": None}, [None, ...], [0, ""]),
    ({"$gt": None}, [], [None, ..., 0]),
    ({"$gte": "b"}, ["b", "ba"], ["a", 3, None]),
    ({"$gt": DAY}, [datetime(2020, 1, 2, tzinfo=UTC)], [DAY, "2021", 99]),
    ({"$gt": False}, [True], [1, "a", False]),
    ({"$gt": [1, 2]}, [[1, 3], [2]], [[1, 2], [1], 5]),
    ({"$gt": {"x": 1}}, [{"x": 2}, {"y": 0}], [{"x": 1}, 5]),
    ({"$gt": MinKey()}, [0, None, ..., "a"], [MinKey()]),
    ({"$lt": MaxKey()}, [0, None, ..., "a"], [MaxKey()]),
    ({"$gte": 1, "$lt": 3}, [1, 2.5, [0, 5]], [0, 3, [4, 5]]),
    ({"$in": [1, "a", None]}, [1.0, "a", ["b", "a"], None, ...], [2, "b", True, []]),
    ({"$in": [Regex("^a"), 5]}, ["ab", 5, ["x", "a"]], ["ba", 4]),
    ({"$in": [[1]]}, [[1], [[1], 2]], [1, [1, 2]]),
    ({"$in": []}, [], [None, ..., []]),
    ({"$nin": [1, None]}, [2, [], [2]], [1, [1, 2], None, ...]),
    ({"$ne": 1}, [2, None, ..., [2]], [1, [1, 2], 1.0]),
    ({"$all": [1, 2]}, [[2, 1, 3]], [[1], 1, 2]),
    ({"$all": [1]}, [1, [1, 2]], [2]),
    ({"$all": [[1, 2]]}, [[1, 2], [[1, 2]]], [[1]]),
    ({"$all": []}, [], [1, [], ...]),
    ({"$all": [{"$elemMatch": {"x": 1}}, {"$elemMatch": {"x": 2}}]}, [[{"x": 1}, {"x": 2}]], [[{"x": 1}]]),
    ({"$size": 2}, [[1, 2], [[], []]], [[1], 2, ..., {"x": 1, "y": 2}]),
    ({"$size": 0}, [[]], [None, ..., [1]]),
    ({"$elemMatch": {"$gte": 2, "$lt": 4}}, [[1, 3]], [[1, 5], 3, [[3]]]),
    ({"$elemMatch": {"x": 1, "y": 2}}, [[{"x": 1, "y": 2}]], [[{"x": 1}, {"y": 2}], {"x": 1, "y": 2}]),
    ({"$elemMatch": {"$ne": 1}}, [[1, 2], [None]], [[1], [], 2]),
    ({"$type": "array"}, [[], [1]], [1, ...]),
    ({"$type": "string"}, ["a", [1, "a"]], [1, ..., []]),
    ({"$type": ["int", "null"]}, [1, None, [None]], [Int64(1), 1.0, ...]),
    ({"$type": "number"}, [1, 1.5, Int64(1), Decimal128("1")], ["1", True]),
    ({"$type": 18}, [Int64(1)], [1, 1.0]),
    ({"$type": "bool"}, [True], [1]),
    ({"$mod": [4, 1]}, [5, 5.9, -3 + 8, Decimal128("5")], [-3, 4, "5", None, NAN, True]),
    ({"$mod": [4, -3]}, [-3], [1]),
    ({"$not": {"$gt": 1}}, [1, "a", None, ..., []], [2, [0, 2]]),
    ({"$not": Regex("^a")}, ["b", 1, ...], ["ab", ["b", "a"]]),
    ({"$not": {"$regex": "^a", "$options": "i"}}, ["b"], ["A"]),
    ({"$regex": "^ab"}, ["abc", ["x", "ab"], Regex("^ab")], ["xab", 1, ...]),
    ({"$regex": "b$"}, ["ab", "ab\n"], ["ab\nc"]),
    ({"$regex": "b\\z"}, ["ab"], ["ab\n"]),
    ({"$regex": "^b$", "$options": "m"}, ["a\nb\nc"], ["ab"]),
    ({"$regex": "a.b", "$options": "s"}, ["a\nb"], ["ab"]),
    ({"$regex": "a b # c", "$options": "x"}, ["ab"], ["a b"]),
    ({"$regex": "a(?i)b"}, ["aB"], ["Ab"]),
    ({"$regex": "^[[:alpha:]]+\\d$"}, ["ab1"], ["é1", "ab٣"]),
    ({"$regex": "^\\w++$"}, ["ab_1"], ["é", "a b"]),
    ({"$regex": "a\\hb"}, ["a\tb", "a b"], ["a\nb"]),
    ({"$regex": "(?<n>a)\\k<n>"}, ["aa"], ["ab"]),
    ({"$regex": "\\Qa.b\\E"}, ["a.b"], ["axb"]),
    ({"$regex": "^[a&&b~~c]$"}, ["&", "~"], ["-"]),
    ({"$regex": "é", "$options": "i"}, ["É"], ["e"]),
    (Regex("^A", "i"), ["ab"], ["ba"]),
    ({"$eq": Regex("^a")}, [Regex("^a")], ["ab"]),
]  # fmt: skip
# The filter, matching documents, and others.
PATHS: list[tuple[Any, list[Any], list[Any]]] = [
    ({"a.b": 1}, [{"a": {"b": 1}}, {"a": [{"b": 1}, {}]}, {"a": [{"b": [1]}]}], [{"a": [[{"b": 1}]]}, {"a": 1}]),
    ({"a.b": None}, [{}, {"a": {}}, {"a": 1}, {"a": [{}, {"b": 1}]}], [{"a": []}, {"a": [1]}, {"a": [{"b": 1}]}]),
    ({"a.0": 1}, [{"a": [1, 2]}, {"a": {"0": 1}}, {"a": [{"0": 1}]}], [{"a": [2, 1]}, {"a": [[1]]}]),
    ({"a.0.b": 1}, [{"a": [{"b": 1}]}], [{"a": [{}, {"b": 1}]}]),
    ({"a.1": {"$exists": True}}, [{"a": [0, None]}], [{"a": [0]}]),
    ({"a.b": 1, "a.c": 2}, [{"a": [{"b": 1}, {"c": 2}]}], [{"a": [{"b": 1}]}]),
    ({"$or": [{"a": 1}, {"b": 1}]}, [{"a": 1}, {"b": 1}], [{}]),
    ({"$nor": [{"a": 1}, {"b": {"$gt": 1}}]}, [{}, {"b": 1}], [{"a": 1}, {"b": 2}]),
    ({"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 1}}]}, [{"a": [0, 2]}], [{"a": 2}]),
    ({"$expr": {"$gt": ["$a", "$b"]}}, [{"a": 2, "b": 1}, {"a": 1}], [{"a": 1, "b": 1}]),
    ({"a": {"$ref": "x", "$id": 1}}, [{"a": {"$ref": "x", "$id": 1}}], [{"a": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "matching", "others"), FILTERS)
def test_filters(condition: Any, matching: list[Any], others: list[Any]) -> None:
    test = compile_filter({"a": condition}).test
    for values, wanted in ((matching, True), (others, False)):
        for value in values:
            assert test({} if value is ... else {"a": value}) is wanted, value


@pytest.mark.parametrize(("query", "matching", "others"), PATHS)
def test_paths(query: Any, matching: list[Any], others: list[Any]) -> None:
    test = compile_filter(query).test
    assert [test(document) for document in matching] == [True] * len(matching)
    assert [test(document) for document in others] == [False] * len(others)


async def test_an_expression_that_takes_too_long_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.0)
    await database["c"].insert_one({"a": "x" * 100_000, "_id": ObjectId()})
    with pytest.raises(OperationFailure, match="too long"):
        await database["c"].find({"a": {"$regex": "[xy]*[xz]*[xw]*k+q"}}).to_list()


REFUSED: list[tuple[str, Any]] = [
    ("missing", {"a": {"$regex": "("}}), ("verbs", {"a": {"$regex": "(*UCP)a"}}), ("flag", {"a": {"$regex": "a", "$options": "q"}}),
    ("array", {"a": {"$in": 1}}), ("nonempty", {"$or": []}), ("$ under $in", {"a": {"$in": [{"$gt": 1}]}}),
    ("divisor", {"a": {"$mod": [0, 1]}}), ("$size", {"a": {"$size": -1}}), ("$size", {"a": {"$size": NAN}}),
    ("type", {"a": {"$type": "text"}}), ("unknown operator", {"a": {"$gt": 1, "b": 2}}), ("$not", {"a": {"$not": 1}}),
    ("$ne", {"a": {"$ne": Regex("a")}}), ("RegEx", {"a": {"$gt": Regex("a")}}), ("$elemMatch", {"a": {"$elemMatch": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "query"), REFUSED)
def test_malformed_filters_are_told(text: str, query: Any) -> None:
    with pytest.raises(OperationFailure) as caught:
        compile_filter(query)
    assert text in str(caught.value)
