"""Values that were never written: whatever they make our code raise, calls get a `StorageError`."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import DatetimeMS
from bson.codec_options import CodecOptions
from bson.errors import InvalidBSON, InvalidDocument
from bson.raw_bson import RawBSONDocument

from locutory_sqlite import Client, Database, StorageError
from locutory_sqlite import damage as damage_module

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A database with two indexes."""
    async with Client(tmp_path / "data.db", durable=False) as opened:
        c = opened["x"]["c"]
        await c.create_index("n")
        await c.create_index("u", unique=True)
        await c.insert_many([{"_id": n, "n": n, "u": n, "list": [n]} for n in range(10)])
        yield opened


def changed(client: Client, *statements: str) -> None:
    """The file as damage may leave it."""
    with contextlib.closing(sqlite3.connect(client.path)) as file:
        for statement in statements:
            file.execute(statement)
        file.commit()


async def _aggregate(database: Database) -> Any:
    cursor = await database["c"].aggregate([{"$group": {"_id": None, "n": {"$sum": "$n"}}}])
    return await cursor.to_list()


CALLS: dict[str, Callable[[Database], Awaitable[Any]]] = {
    "find": lambda d: d["c"].find({"n": 5}).to_list(),
    "find_one": lambda d: d["c"].find_one({"_id": 5}),
    "scan": lambda d: d["c"].find({"list": 77}).to_list(),
    "sort": lambda d: d["c"].find().sort("u").to_list(),
    "raw": lambda d: d.get_collection("c", codec_options=RAW).find({"n": 5}).to_list(),
    "raw, all": lambda d: d.get_collection("c", codec_options=RAW).find().to_list(),
    "count": lambda d: d["c"].count_documents({"list": 5}),
    "distinct": lambda d: d["c"].distinct("n"),
    "aggregate": _aggregate,
    "update": lambda d: d["c"].update_many({"n": 5}, {"$set": {"n": 6}}),
    "find and update": lambda d: d["c"].find_one_and_update({"n": 5}, {"$set": {"n": 6}}),
    "index": lambda d: d["c"].create_index("list"),
    "delete": lambda d: d["c"].delete_one({"_id": 5}),
}
VALUES = {
    "a text": "'text'",
    "a number": "5",
    "no document": "x'0500000001'",
    "nothing": "x''",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_value_that_is_no_document(
    client: Client, call: Callable[[Database], Awaitable[Any]], value: str
) -> None:
    changed(client, f"UPDATE c1 SET document = {value} WHERE row = 6")
    with pytest.raises(StorageError, match="is damaged: restore a backup"):
        await call(client["x"])
    assert await client["x"]["c"].find_one({"_id": 4}) is not None


async def test_such_a_value_is_found_by_a_look(client: Client) -> None:
    changed(client, "UPDATE c1 SET document = 5 WHERE row = 6")
    await client["x"].command("ping")
    for _ in range(2):
        with pytest.raises(StorageError, match="damaged"):
            await client["x"]["c"].find_one({"n": 5})
        with pytest.raises(StorageError, match="damaged"):
            await client["x"].command("ping")
    damage = client.engine._damage
    assert damage is not None
    assert damage._finding() is not None
    changed(client, "DELETE FROM c1 WHERE row = 6")
    assert damage._finding() is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE locutory_indexes SET definition = 'text'",
        "UPDATE locutory_indexes SET definition = x'0500000001'",
        "UPDATE locutory_indexes SET definition = x'0500000000'",
        "UPDATE locutory_indexes SET collection = 99",
    ],
)
async def test_a_damaged_catalogue(client: Client, statement: str) -> None:
    changed(client, statement, "PRAGMA user_version = 1000")
    for call in CALLS.values():
        with pytest.raises(StorageError, match="damaged"):
            await call(client["x"])
    with pytest.raises(StorageError, match="damaged"):
        await client["x"].command("ping")
    damage = client.engine._damage
    assert damage is not None
    found = damage._finding()
    assert found is not None
    assert "catalogue" in found[1]


async def test_an_index_that_names_another_document(client: Client) -> None:
    changed(client, "UPDATE i1 SET row = 1 WHERE row = 6")
    with pytest.raises(StorageError, match="damaged"):
        await client["x"]["c"].distinct("n")


async def test_our_own_mistakes_are_no_damage(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    damage = client.engine._damage
    assert damage is not None
    look = damage._finding

    def counted() -> Any:
        looks.append(1)
        return look()

    monkeypatch.setattr(damage, "_finding", counted)
    nothing: dict[int, int] = {}
    for _ in range(3):
        with pytest.raises(TypeError):
            await client.engine.read(lambda reader: len(None))  # type: ignore[arg-type]
        with pytest.raises(KeyError):
            await client.engine.read(lambda reader: nothing[0], long=True)
        with pytest.raises(ValueError, match="invalid literal"):
            await client.engine.write(lambda writer: int("x"))
    assert len(looks) == 1
    await client["x"].command("ping")


async def test_a_look_that_takes_long_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage_module, "CONFIRM_SECONDS", 0.0)
    changed(client, "UPDATE c1 SET document = 5 WHERE row = 6")
    with pytest.raises(TypeError):
        await client["x"]["c"].find_one({"n": 5})
    damage = client.engine._damage
    assert damage is not None
    look = damage.look()
    assert look is not None
    await look
    with pytest.raises(StorageError, match="damaged"):
        await client["x"]["c"].find_one({"n": 5})


async def test_an_invalid_document_of_the_caller_is_no_damage(client: Client) -> None:
    c = client["x"].get_collection("c", codec_options=RAW)
    good = bson.encode({"_id": 99, "text": "abcd"})
    wrong = RawBSONDocument(good.replace(b"abcd", b"ab\xff\xfe"), RAW)
    with pytest.raises(InvalidDocument):
        await c.insert_one(wrong)
    with pytest.raises(InvalidDocument):
        await c.insert_many([wrong])
    assert await c.count_documents({}) == 10
    await client["x"].command("ping")


async def test_a_date_that_does_not_suit_the_reader_is_no_damage(client: Client) -> None:
    c = client["x"]["d"]
    await c.insert_one({"_id": 1, "at": datetime(2026, 1, 1, tzinfo=UTC)})
    far = bson.encode({"_id": 1, "at": DatetimeMS(2**60)})
    changed(client, f"UPDATE c2 SET document = x'{far.hex()}'")
    with pytest.raises(InvalidBSON, match="datetime_conversion"):
        await c.find_one({"_id": 1})
    await client["x"].command("ping")
