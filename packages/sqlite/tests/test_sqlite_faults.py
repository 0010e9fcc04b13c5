"""Faults of the storage, brought about for real: what a call gets, what is kept, and that it is
over when its cause is."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import bson
import pytest
import structlog

from locutory_sqlite import Client, Database, StorageError, open_address
from locutory_sqlite import damage as damage_module
from locutory_sqlite import database as database_module
from locutory_sqlite import readers as readers_module
from locutory_sqlite import writer as writer_module


async def until_it_answers(database: Database) -> None:
    """Within two seconds, as a probe for readiness would see it."""
    for _ in range(200):
        with contextlib.suppress(StorageError):
            await database.command("ping")
            return
        await asyncio.sleep(0.02)
    await database.command("ping")


async def fill_until_refused(database: Database, match: str) -> int:
    """Write until it fails; how many were acknowledged."""
    for number in range(1000):
        try:
            await database["c"].insert_one({"_id": number, "n": number, "pad": os.urandom(50_000)})
        except StorageError as error:
            assert match in str(error)  # noqa: PT017
            return number
    raise AssertionError("nothing was refused")


async def survives_a_full_disk(folder: Path, fill: Any, empty: Any, match: str) -> None:
    async with await open_address("sqlite:", folder) as client:
        database = client["x"]
        await database["c"].create_index("n", unique=True)
        fill()
        acknowledged = await fill_until_refused(database, match)
        with pytest.raises(StorageError, match=match):
            await database.command("ping")
        assert await database["c"].count_documents({}) == acknowledged
        empty()
        await until_it_answers(database)
        await database["c"].insert_one({"_id": "after", "n": "after"})
    async with await open_address("sqlite:", folder, create=False) as client:
        assert await client["x"]["c"].count_documents({}) == acknowledged + 1
        assert await client["x"].check() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)],
        check=False, capture_output=True,
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("only root can make a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    await survives_a_full_disk(
        small_disk, lambda: ballast.write_bytes(b"x" * 1_000_000), ballast.unlink, "full"
    )


async def test_writing_is_tried(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await open_address("sqlite:", small_disk) as client:
        await client["x"]["c"].insert_one({"_id": 1})
        with pytest.raises(StorageError, match=r"nearly full: 2\.\d MB are free at"):
            await client.check_writing()
        monkeypatch.setattr(database_module, "LEAST_FREE_BYTES", 1000)
        await client.check_writing()
        fill_disk(small_disk)
        with pytest.raises(StorageError, match="is full"):
            await client.check_writing()
        assert await client["x"]["c"].find_one() == {"_id": 1}


def fill_disk(folder: Path) -> None:
    """Take all the room that is left."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def limited_main(folder: str) -> None:
    """Run in a process of its own: a limit of the size of files acts like errors of the disk."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    asyncio.run(
        survives_a_full_disk(
            Path(folder), lambda: limit(600_000), lambda: limit(hard), "gives errors"
        )
    )


def in_a_process(function: str, folder: Path | str) -> None:
    code = f"from {Path(__file__).stem} import {function}; import sys; {function}(sys.argv[1])"
    paths = [str(Path(__file__).parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=environment)


def test_errors_of_the_disk(tmp_path: Path) -> None:
    in_a_process("limited_main", tmp_path)


def unprivileged_main(folder: str) -> None:
    """Run in a process that is not root's."""
    if os.geteuid() == 0:
        os.setuid(65534)
    data = Path(folder)
    data.chmod(0o500)
    refused(data, "denied")
    data.chmod(0o700)
    asyncio.run(opened(data))
    data.chmod(0o500)
    refused(data, "folder")
    data.chmod(0o700)
    (data / "database.sqlite").chmod(0o400)
    refused(data, "can only be read")
    (data / "database.sqlite").chmod(0o600)
    assert asyncio.run(opened(data)) == {"_id": 1, "n": 2}


def refused(folder: Path, match: str) -> None:
    with pytest.raises(StorageError, match=match):
        asyncio.run(opened(folder))


async def opened(folder: Path) -> Any:
    async with await open_address("sqlite:", folder) as client:
        await client["x"]["c"].update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)
        return await client["x"]["c"].find_one()


def test_a_folder_or_file_that_can_only_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        in_a_process("unprivileged_main", folder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_locked_by_another_process(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "BUSY_SECONDS", 0.2)
    monkeypatch.setattr(writer_module, "_FAULT_SECONDS", 0.1)
    await database["c"].insert_one({"_id": 1})
    with locked(client.engine.path):
        done = await asyncio.gather(
            *(database["c"].insert_one({"_id": n}) for n in range(2, 9)), return_exceptions=True
        )
        assert all(isinstance(one, StorageError) and "locked" in str(one) for one in done)
        assert await database["c"].distinct("_id") == [1]
        with pytest.raises(StorageError, match="locked"):
            await database.command("ping")
    await until_it_answers(database)
    await database["c"].insert_one({"_id": 2})


async def test_a_short_lock_is_waited_for(client: Client, database: Database) -> None:
    await database["c"].insert_one({"_id": 1})
    with locked(client.engine.path):
        write = asyncio.create_task(database["c"].insert_one({"_id": 2}))
        await asyncio.sleep(0.05)
        await database.command("ping")
    await write


async def test_closing_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "CLOSING_SECONDS", 0.2)
    client = await Client(tmp_path / "data.db").open()
    with locked(tmp_path / "data.db"):
        write = asyncio.create_task(client["x"]["c"].insert_one({"_id": 2}))
        await asyncio.sleep(0.02)
        await asyncio.wait_for(client.close(), 60)
        with pytest.raises(StorageError):
            await write


async def test_closing_ends_long_reads(tmp_path: Path) -> None:
    client = await Client(tmp_path / "data.db").open()
    c = client["x"]["c"]
    await c.insert_many([{"_id": n} for n in range(300)])
    pipeline: list[dict[str, Any]] = [
        {"$lookup": {"from": "c", "localField": "n", "foreignField": "n", "as": f"r{number}"}}
        for number in range(2)
    ]
    read = asyncio.create_task((await c.aggregate(pipeline)).to_list())
    await asyncio.sleep(0.05)
    await asyncio.wait_for(client.close(), 60)
    with pytest.raises(StorageError, match="closed"):
        await read


async def test_a_file_that_is_removed_or_replaced(
    client: Client, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers_module, "_CHECK_SECONDS", 0.0)
    c, path, away = database["c"], client.engine.path, tmp_path / "away"
    await c.insert_one({"_id": 1})
    path.rename(away)
    for call in (c.insert_one({"_id": 2}), c.find_one(), database.command("ping")):
        with pytest.raises(StorageError, match="removed or replaced"):
            await call
    assert not path.exists()
    shutil.copy(away, path)
    for call in (c.insert_one({"_id": 2}), c.find_one(), database.command("ping")):
        with pytest.raises(StorageError, match="removed or replaced"):
            await call
    away.rename(path)
    await until_it_answers(database)
    await c.insert_one({"_id": 2})
    assert await c.distinct("_id") == [1, 2]
    wal = path.with_name("data.db-wal")
    wal.rename(away)
    with pytest.raises(StorageError, match="-wal was removed"):
        await c.insert_one({"_id": 3})
    with pytest.raises(StorageError, match="-wal was removed"):
        await database.command("ping")
    away.rename(wal)
    await until_it_answers(database)
    await c.insert_one({"_id": 3})


async def damaged_file(path: Path) -> Callable[[], object]:
    """A file with damaged pages among those of ``c``; what mends them."""
    async with Client(path) as client:
        await client["x"]["sound"].insert_one({"_id": 1})
        await client["x"]["c"].insert_many([{"_id": n, "pad": "x" * 3000} for n in range(500)])
    at = os.stat(path).st_size // 2 // 4096 * 4096
    return partial(overwrite, path, at, overwrite(path, at, os.urandom(4096 * 20)))


def overwrite(path: Path, at: int, content: bytes) -> bytes:
    """What was there."""
    with path.open("r+b") as file:
        file.seek(at)
        before = file.read(len(content))
        file.seek(at)
        file.write(content)
    return before


async def test_a_damaged_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage_module, "LOOK_SECONDS", 0.0)
    mend = await damaged_file(tmp_path / "data.db")
    async with Client(tmp_path / "data.db") as client:
        database = client["x"]
        await database.command("ping")  # nobody has met it yet
        for _ in range(20):  # more than there are connections
            with pytest.raises(StorageError, match="damaged"):
                await database["c"].find({"pad": "none"}).to_list()
        with pytest.raises(StorageError, match="damaged"):
            await database.command("ping")
        with pytest.raises(StorageError, match="damaged"):
            await database["c"].delete_many({})
        assert await database["sound"].find_one() == {"_id": 1}
        await database["sound"].insert_one({"_id": 2})
        assert await database["c"].find_one({"_id": 0}) is not None
        assert any("SQLite" in line or "read" in line for line in await database.check())
        with pytest.raises(StorageError, match="damaged"):
            await database.command("ping")
        mend()
        await until_it_answers(database)
        assert await database["c"].count_documents({}) == 500


async def test_damage_is_looked_for_now_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend = await damaged_file(tmp_path / "data.db")
    async with Client(tmp_path / "data.db") as client:
        with pytest.raises(StorageError, match="damaged"):
            await client["x"]["c"].find({"pad": "none"}).to_list()
        damage = client.engine._damage
        assert damage is not None
        with structlog.testing.capture_logs() as logs:
            with pytest.raises(StorageError, match="damaged"):
                await client["x"].command("ping")
            looked = damage.look()
            assert looked is not None
            assert damage.look() is looked
            await looked
        assert [line["event"] for line in logs] == ["database.damaged"]
        assert damage.look() is None  # not so soon again
        mend()
        with pytest.raises(StorageError, match="damaged"):
            await client["x"].command("ping")
        monkeypatch.setattr(damage, "_next", 0.0)
        await until_it_answers(client["x"])


async def test_damage_that_a_write_meets(tmp_path: Path) -> None:
    mend = await damaged_file(tmp_path / "data.db")
    async with Client(tmp_path / "data.db") as client:
        with pytest.raises(StorageError, match="damaged"):
            await client["x"]["c"].update_many({"pad": "none"}, {"$set": {"pad": ""}})
        for _ in range(3):
            with pytest.raises(StorageError, match="damaged"):
                await client["x"].command("ping")
        mend()


async def test_closing_ends_a_look(tmp_path: Path) -> None:
    async with Client(tmp_path / "data.db") as client:
        rows = [{"_id": n, "pad": "x" * 5000} for n in range(2000)]
        await client["x"]["c"].insert_many(rows)
        damage = client.engine._damage
        assert damage is not None
        look = damage.look()
    assert look is not None
    assert look.done()
    assert damage.look() is None


async def test_a_document_that_cannot_be_decoded(client: Client, database: Database) -> None:
    await database["c"].insert_many([{"_id": 1}, {"_id": 2}])
    with contextlib.closing(sqlite3.connect(client.engine.path)) as file:
        file.execute("UPDATE c1 SET document = x'0500000001' WHERE row = 2")
        file.commit()
    with pytest.raises(StorageError, match="damaged"):
        await database["c"].find().to_list()
    with pytest.raises(StorageError, match="damaged"):
        await database["c"].update_many({}, {"$set": {"a": 1}})
    assert await database["c"].find_one(1) == {"_id": 1}
    (line,) = await database.check()
    assert line.startswith("c: the document with _id 2 (row 2) cannot be decoded: ")


async def test_the_log_shrinks_when_a_long_read_is_over(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_LONG_WAL_BYTES", 300_000)
    assert client.engine._writer is not None
    client.engine._writer._checkpoint_at = 300_000
    c, wal = database["c"], client.engine.path.with_name("data.db-wal")
    await c.insert_many([{"_id": n} for n in range(300)])
    cursor = c.find()
    await cursor.next()
    for number in range(60):
        await c.insert_one({"_id": f"big{number}", "pad": os.urandom(30_000)})
    grown = wal.stat().st_size
    assert grown > 1_500_000
    assert len(await cursor.to_list()) == 299
    for number in range(20):
        await c.insert_one({"_id": f"small{number}", "pad": os.urandom(30_000)})
    assert wal.stat().st_size < grown / 2


async def test_what_check_finds(client: Client, database: Database) -> None:
    c = database["c"]
    await c.create_index("n")
    await c.create_index("u", unique=True, sparse=True)
    await c.insert_many([{"_id": n, "n": n, "u": n} for n in range(5)])
    await c.insert_one({"_id": "many", "n": [1, 2]})
    assert await database.check() == []
    with contextlib.closing(sqlite3.connect(client.engine.path)) as file:
        file.execute("DELETE FROM i1 WHERE row = 1")
        file.execute("INSERT INTO i1 VALUES (x'0a', 99)")
        file.execute("UPDATE i2 SET row = 77 WHERE row = 3")
        changed = bson.encode({"_id": "other", "n": 4, "u": 4})
        file.execute("UPDATE c1 SET document = ? WHERE row = 5", (changed,))
        file.execute("UPDATE locutory_indexes SET multikey = 0")
        file.execute("PRAGMA user_version = 1000")
        file.execute("CREATE TABLE c9 (x)")
        file.commit()
    assert sorted(await database.check()) == [
        "c: the document of row 77 is in the index u_1 with a key that it has not",
        "c: the document of row 99 is in the index n_1 with a key that it has not",
        "c: the document with _id 'many' (row 6) has an array, which the index n_1 does not know of",
        "c: the document with _id 0 (row 1) is missing in the index n_1",
        "c: the document with _id 2 (row 3) is missing in the index u_1",
        "c: the document with _id 4 (row 5) is stored under another _id than its 'other'",
        "the table c9 belongs to no collection",
    ]


async def test_an_older_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StorageError, match=r"needs SQLite 3\.35\.0"):
        await open_address("sqlite:", tmp_path)


async def test_another_file_in_its_place_is_never_written(tmp_path: Path) -> None:
    path, other, away = (tmp_path / name for name in ("data.db", "other.db", "away.db"))
    async with Client(other) as client:
        await client["x"]["c"].insert_one({"_id": "other"})
    async with Client(path) as client:
        c = client["x"]["c"]
        await c.insert_many([{"_id": number, "text": "x" * 1000} for number in range(500)])
        path.rename(away)
        other.rename(path)
        for _ in range(3):
            with pytest.raises(StorageError, match="removed or replaced"):
                await c.insert_one({"_id": "lost"})
            with pytest.raises(StorageError, match="removed or replaced"):
                await client.admin.command("ping")
        path.rename(other)
        away.rename(path)
        await c.insert_one({"_id": "back"})
        assert await c.count_documents({}) == 501
    async with Client(other) as client:
        assert await client["x"]["c"].find({}).to_list() == [{"_id": "other"}]
    async with Client(path) as client:
        assert await client["x"]["c"].count_documents({}) == 501
