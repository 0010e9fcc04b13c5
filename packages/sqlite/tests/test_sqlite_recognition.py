"""Files that are not the database's own, or are no more what they were: nothing is written."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from locutory_sqlite import Client, StorageError


def refused(path: Path, *, create: bool = True) -> StorageError:
    """Why a file is not opened; every file beside it is as it was."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    mode = path.stat().st_mode if path.exists() else None
    with pytest.raises(StorageError) as caught:
        asyncio.run(_opened(path, create=create))
    # What readers share is made by every reader of a log, and holds nothing.
    after = {f.name: f.read_bytes() for f in path.parent.iterdir() if not f.name.endswith("-shm")}
    assert after == {name: held for name, held in before.items() if not name.endswith("-shm")}
    assert mode == (path.stat().st_mode if path.exists() else None)
    assert str(path) in str(caught.value)
    return caught.value


async def _opened(path: Path, *, create: bool = True) -> list[str]:
    async with Client(path, create=create) as client:
        return await client["x"].list_collection_names()


FOREIGN = {
    "ordinary": "PRAGMA journal_mode = DELETE",
    "with a log": "PRAGMA journal_mode = WAL",
}
SCRIPT = """
import os, sqlite3, sys
sql = sqlite3.connect(sys.argv[1], isolation_level=None)
sql.execute(sys.argv[2])
for name in "ab":
    sql.execute(f"CREATE TABLE {name} (x)")
if sys.argv[3] == "killed":
    sql.execute("PRAGMA cache_size = 2")
    sql.execute("BEGIN")
    for _ in range(500):
        sql.execute("INSERT INTO a VALUES (randomblob(500))")
    os._exit(0)
sql.close()
"""


@pytest.mark.parametrize("how", ["closed", "killed"])
@pytest.mark.parametrize("pragma", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_program(tmp_path: Path, pragma: str, how: str) -> None:
    path = tmp_path / "other.db"
    subprocess.run([sys.executable, "-c", SCRIPT, str(path), pragma, how], check=True)
    assert len(list(tmp_path.iterdir())) == 1 or how == "killed"
    path.chmod(0o644)
    error = refused(path)
    assert "belongs to another program: its tables are a, b" in str(error)
    assert "nothing was written" in error.advice
    assert refused(path, create=False)


def test_a_file_that_another_program_has_open(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        for number in range(7):
            other.execute(f"CREATE TABLE t{number} (x)")
        assert "t0, t1, t2, t3, t4, …" in str(refused(path))


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for content in (b"hello", b"hello" * 5000):
        path.write_bytes(content)
        path.chmod(0o644)
        assert "is no database, or it is damaged" in str(refused(path))


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    asyncio.run(_opened(path))
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE locutory_format SET number = 2")
        file.execute("DROP TABLE locutory_probe")
        file.commit()
    error = refused(path)
    assert "by a newer version (format 2; this version reads up to 1)" in str(error)
    assert "start that version" in error.advice


def test_a_newer_version_that_makes_the_file_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.db"
    asyncio.run(_opened(path))
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE locutory_format SET number = 2")
        file.commit()
    monkeypatch.setattr("locutory_sqlite.file.recognise", lambda path: None)
    with pytest.raises(StorageError, match="by a newer version"):
        asyncio.run(_opened(path))


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A file whose last writes are in its log only."""
    path, taken = tmp_path / "first" / "data.db", tmp_path / "taken"
    taken.mkdir()

    async def work() -> None:
        async with Client(path) as client:
            await client["x"]["c"].insert_one({"_id": 1})
            for file in path.parent.iterdir():
                shutil.copy(file, taken)

    asyncio.run(work())
    assert (taken / "data.db-wal").stat().st_size
    return taken / "data.db"


@pytest.mark.parametrize("emptied", [True, False], ids=["emptied", "removed"])
def test_a_log_without_its_file(killed: Path, emptied: bool) -> None:
    """SQLite would remove it."""
    away = killed.with_name("away")
    killed.rename(away)
    if emptied:
        killed.touch()
    error = refused(killed)
    assert "was emptied or removed, but its write-ahead log data.db-wal is there" in str(error)
    away.replace(killed)
    assert asyncio.run(_opened(killed)) == ["c"]


def warnings_of(path: Path) -> list[str]:
    with structlog.testing.capture_logs() as logs:
        assert asyncio.run(_opened(path)) == []
    return [line["event"] for line in logs]


def test_an_empty_file_that_was_not_new(tmp_path: Path) -> None:
    new, beside, old = (tmp_path / name for name in ("new", "beside", "old"))
    for path in (new, beside, old):
        path.touch()
    (tmp_path / "beside-shm").touch()
    os.utime(old, (1, 1))
    assert warnings_of(tmp_path / "missing") == warnings_of(new) == []
    assert warnings_of(beside) == warnings_of(old) == ["database.empty_file"]
