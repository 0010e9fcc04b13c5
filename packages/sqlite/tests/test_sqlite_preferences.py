"""The planner remembers which index serves queries of a shape, but nothing of their values."""

from typing import Any

import pytest

from locutory_sqlite.database import Database


@pytest.fixture
async def books(database: Database) -> Any:
    """A hundred of one author in two languages, indexed by author, by author and language, and
    by date."""
    books = database["books"]
    await books.create_index("author")
    await books.create_index([("author", 1), ("language", 1)])
    await books.create_index("lent", partialFilterExpression={"lent": True})
    await books.create_index("isbn", unique=True, sparse=True)
    await books.insert_many(
        {"_id": n, "author": "a", "language": "en" if n % 2 else None, "isbn": n, "lent": n == 7}
        for n in range(100)
    )
    return books


async def stage(books: Any, query: dict[str, Any]) -> dict[str, Any]:
    plan = await books.find(query).explain()
    found: dict[str, Any] = plan["queryPlanner"]["winningPlan"]
    return found


@pytest.mark.parametrize("first", [0, 1])
async def test_a_partial_index_is_used_by_those_queries_that_it_serves(
    books: Any, first: int
) -> None:
    expected = {True: "lent_1", False: None}
    for lent in (True, False, True, False)[first:]:
        found = await stage(books, {"lent": lent})
        assert found.get("indexName") == expected[lent]
        rows = await books.find({"lent": lent}).to_list()
        assert len(rows) == (1 if lent else 99)


@pytest.mark.parametrize("first", [0, 1])
async def test_a_sparse_index_is_not_used_for_what_is_missing(books: Any, first: int) -> None:
    await books.insert_many([{"_id": 200, "author": "b"}])
    for isbn in (None, 5, None, 5)[first:]:
        found = await stage(books, {"isbn": isbn})
        assert found.get("indexName") == (None if isbn is None else "isbn_1")
        rows = await books.find({"isbn": isbn}).to_list()
        assert [row["_id"] for row in rows] == [200 if isbn is None else 5]


async def test_many_values_after_few(books: Any) -> None:
    for count in (1, 2, 50, 6000, 1):
        rows = await books.find({"author": "a", "isbn": {"$in": list(range(count))}}).to_list()
        assert len(rows) == min(count, 100)


async def test_an_index_made_later_is_used(books: Any) -> None:
    query = {"author": "a", "shelf": 3}
    assert (await stage(books, query))["indexName"] == "author_1"
    await books.create_index([("author", 1), ("shelf", 1)])
    assert (await stage(books, query))["indexName"] == "author_1_shelf_1"
    await books.drop_index("author_1_shelf_1")
    assert (await stage(books, query))["indexName"] == "author_1"


async def test_an_index_that_becomes_multikey_is_read_as_one(books: Any) -> None:
    query = {"author": "a", "language": {"$gte": "b", "$lt": "f"}}
    assert len(await books.find(query).to_list()) == 50
    await books.insert_one({"_id": 300, "author": "a", "language": ["a", "g"], "isbn": 300})
    assert len(await books.find(query).to_list()) == 51


async def test_values_that_decide_are_part_of_the_shape(books: Any) -> None:
    """The same with an alternative: the conditions of each are looked at by themselves."""
    for lent in (True, False, None, True):
        query = {"author": "a", "$or": [{"lent": lent}, {"language": "en", "isbn": 3}]}
        scanned = [
            one
            for one in await books.find({}).to_list()
            if one["lent"] is lent or (one["language"] == "en" and one["isbn"] == 3)
        ]
        rows = await books.find(query).to_list()
        assert sorted(row["_id"] for row in rows) == [one["_id"] for one in scanned]
