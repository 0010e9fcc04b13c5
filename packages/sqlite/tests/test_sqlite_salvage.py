"""What can be read of damaged files, and what is named as damaged."""

import contextlib
import random
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, ObjectId

from locutory_sqlite import Client
from locutory_sqlite.ordering import encode
from locutory_sqlite.salvage import SHOWN, shown

PAGE = 4096
NOTES = {n: bson.encode({"_id": f"note{n}", "n": n, "pad": "x" * 800}) for n in range(900)}


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file with some collections."""
    path = tmp_path / "data.db"
    async with Client(path) as client:
        await client["x"]["sound"].insert_many([{"_id": n} for n in range(10)])
        await client["x"]["notes"].create_index("n")
        await client["x"]["notes"].insert_many([bson.decode(note) for note in NOTES.values()])
        await client["x"]["large"].insert_many([{"_id": n, "pad": "x" * 20_000} for n in range(9)])
    return path


def pages(path: Path, table: str, kind: str) -> list[int]:
    """Where the pages of a table lie: its ``root``, or those that hold its ``leaf`` rows."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = file.execute(query, (table,)).fetchone()
    if kind == "root":
        return [root - 1]
    page = path.read_bytes()[(root - 1) * PAGE : root * PAGE]
    assert page[0] in (2, 5), "the root has its rows itself"
    cells = [int.from_bytes(page[12 + n * 2 :][:2], "big") for n in range(page[4])]
    return [int.from_bytes(page[cell:][:4], "big") - 1 for cell in cells]


def page(path: Path, number: int) -> bytes:
    """The content of a page."""
    return path.read_bytes()[number * PAGE :][:PAGE]


def damage(path: Path, *numbers: int, content: bytes = bytes(PAGE)) -> None:
    """Overwrite pages."""
    with path.open("r+b") as file:
        for number in numbers:
            file.seek(number * PAGE)
            file.write(content)


async def read(path: Path, name: str) -> tuple[set[bytes], list[str], list[str]]:
    """What is read of a collection, what is told of the rest, and what is found to be wrong."""
    async with Client(path) as client:
        lost: list[str] = []
        documents: AsyncIterator[Any] = client["x"].salvage(name, lost)
        found = {bytes(each.raw) async for each in documents}
        return found, lost, await client["x"].check()


async def test_a_sound_file(path: Path) -> None:
    assert await read(path, "notes") == (set(NOTES.values()), [], [])
    assert await read(path, "none") == (set(), [], [])


async def test_documents_of_damaged_pages_are_named(path: Path) -> None:
    leaves = pages(path, "c2", "leaf")
    damage(path, leaves[3], leaves[50])
    found, lost, wrong = await read(path, "notes")
    names = re.findall(r"'note(\d+)'", lost[0])
    assert 4 <= len(names) <= SHOWN
    assert found == {raw for n, raw in NOTES.items() if str(n) not in names}
    assert lost == [
        f"notes: {len(names)} of 900 documents cannot be read, by _id: "
        + ", ".join(f"'note{n}'" for n in names)
    ]
    assert wrong[0] == lost[0]
    assert all(line.startswith("SQLite: ") for line in wrong[1:])
    assert len(await read(path, "sound")) == 3


async def test_many_are_counted(path: Path) -> None:
    damage(path, *pages(path, "c2", "root"))
    found, lost, wrong = await read(path, "notes")
    assert found == set()
    assert lost[0].startswith(
        "notes: 900 of 900 documents cannot be read, by _id: 'note0', 'note1'"
    )
    assert lost[0].endswith(f"'note{SHOWN - 1}' and {900 - SHOWN} more")
    assert wrong[0] == lost[0]


async def test_a_page_in_the_place_of_another(path: Path) -> None:
    leaves = pages(path, "c2", "leaf")
    damage(path, leaves[60], leaves[7], content=page(path, leaves[30]))
    found, lost, _ = await read(path, "notes")
    assert found < set(NOTES.values())
    missing = [n for n, raw in NOTES.items() if raw not in found]
    assert lost[0].startswith(f"notes: {len(missing)} of 900 documents cannot be read")
    assert all(f"'note{n}'" in lost[0] for n in missing)


async def test_damaged_indexes_lose_nothing(path: Path) -> None:
    damage(path, *pages(path, "i1", "root"), *pages(path, "sqlite_autoindex_c2_1", "root"))
    found, lost, wrong = await read(path, "notes")
    assert found == set(NOTES.values())
    assert lost == []
    assert wrong[:2] == [
        f"notes: the index {name} cannot be read to its end; a copy (locutory database copy) has"
        " a new one"
        for name in ("n_1", "_id_")
    ]


async def test_a_collection_and_its_index_of_id(path: Path) -> None:
    damage(path, *pages(path, "sqlite_autoindex_c2_1", "leaf")[1:], pages(path, "c2", "leaf")[20])
    found, lost, wrong = await read(path, "notes")
    assert 880 < len(found) < 900
    assert lost[0].startswith(
        f"notes: {len(found)} documents can be read, an unknown number cannot"
    )
    assert lost[0].endswith("(the index of _id is damaged too)")
    assert wrong[0] == lost[0]
    damage(path, *pages(path, "sqlite_autoindex_c2_1", "root"), *pages(path, "c2", "root"))
    assert (await read(path, "notes"))[:2] == (
        set(),
        [
            "notes: 0 documents can be read, an unknown number cannot (the index of _id is damaged"
            " too)"
        ],
    )


async def test_documents_that_cannot_be_decoded_are_named(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE c2 SET document = x'0500000001' WHERE row <= 30")
        file.execute("UPDATE c2 SET document = 'text' WHERE row = 40")
        file.execute("UPDATE c2 SET document = CAST(x'ff' AS TEXT) WHERE row = 50")
        file.execute(
            "UPDATE c2 SET document = (SELECT document FROM c2 WHERE row = 70) WHERE row = 60"
        )
        file.commit()
    found, lost, wrong = await read(path, "notes")
    assert len(found) == 900 - 33
    assert lost[0].startswith("notes: the document with _id 'note0' (row 1) cannot be decoded: ")
    assert f"notes: the same of {32 - SHOWN} more documents" in lost
    assert lost[-1] == "notes: 1 of 900 documents cannot be read, by _id: 'note49'"
    assert f"notes: {32 - SHOWN} more documents: is damaged" in wrong


async def test_any_damage_is_survived(path: Path, tmp_path: Path) -> None:
    """What is read was there; what is not is told."""
    generator = random.Random(5)
    first = 12  # behind the catalogue, without which nothing is known
    last = 200  # of more
    for number in range(25):
        other = Path(shutil.copy(path, tmp_path / f"{number}.db"))
        for _ in range(generator.choice([1, 2, 10])):
            random_bytes = generator.randbytes(generator.choice([0, 100, PAGE]))
            damage(other, generator.randrange(first, last), content=random_bytes.ljust(PAGE, b"\0"))
        found, lost, wrong = await read(other, "notes")
        assert found <= set(NOTES.values())
        assert bool(lost) == (len(found) < 900)
        assert wrong


@pytest.mark.parametrize(
    "value",
    ["", "a\0b", "ä", 0, 1, -3, 2.5, -0.25, 2**40, ObjectId(b"0123456789ab"), UUID(int=5)],
    ids=repr,
)
def test_an_id_is_shown_as_it_was(value: Any) -> None:
    assert shown(encode(Binary.from_uuid(value) if isinstance(value, UUID) else value)) == repr(
        value
    )


def test_an_id_of_a_rare_type_is_not_shown() -> None:
    for value in (None, True, {"a": 1}, datetime(2026, 1, 1, tzinfo=UTC), 2**63 - 1, b"x"):
        assert shown(encode(value)) == ""
