"""Backups and restores: what comes back, what is refused, and what is left when it fails."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import bson
import pytest

from locutory_sqlite import Client
from locutory_transfer import TransferError, backup, restore, unfinished
from locutory_transfer.archive import file_of


def names_in(folder: Path) -> list[str]:
    """The names of its files."""
    return sorted(each.name for each in folder.iterdir())


def kill_after(lines: int, command: list[str]) -> None:
    """Run a program until it has written some lines."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)


async def test_an_archive_holds_all(
    filled: Any, kinds: tuple[str, str], opened: Any, raw_documents: Any, tmp_path: Path
) -> None:
    """Of every type, size and name, restored into either kind."""
    if kinds[0] == "mongodb":
        await filled.create_collection("view", viewOn="numbers", pipeline=[])
    path = tmp_path / "backup.zip"
    seen: list[Any] = []
    report = await backup(filled, path, progress=seen.append)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert report.one_moment == (kinds[0] == "sqlite")
    assert report.left_out == (["view (a view)"] if kinds[0] == "mongodb" else [])
    assert report.collections["numbers"].documents == 3000
    assert [each.done for each in seen if each.collection == "numbers"] == [0, 1000, 2000, 3000]
    assert "backup.zip" in names_in(tmp_path)
    assert not [name for name in names_in(tmp_path) if name.startswith(".")]

    target = await opened(kinds[1], "target")
    restored = await restore(target, path)
    assert restored.collections == report.collections
    assert restored.notes == restored.kept == []
    if kinds[0] == "mongodb":
        await filled.drop_collection("view")
    assert await raw_documents.contents(target) == await raw_documents.contents(filled)
    assert await unfinished(target) is None


async def test_obsolete_types_are_kept(
    opened: Any, raw_documents: Any, obsolete_types: list[bytes], tmp_path: Path
) -> None:
    source, target = await opened("sqlite", "a"), await opened("sqlite", "b")
    await raw_documents.put(source["old"], obsolete_types)
    await backup(source, tmp_path / "x.zip")
    await restore(target, tmp_path / "x.zip")
    assert await raw_documents.read(target["old"]) == sorted(obsolete_types)


async def test_the_layout_is_that_of_mongodump(opened: Any, tmp_path: Path) -> None:
    database = await opened("sqlite", "a")
    await database["notes"].insert_many([{"_id": 1, "n": 1}, {"_id": 2}])
    await database["notes"].create_index("n", unique=True)
    await backup(database, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        folder, one, two = database.name, {"$numberInt": "1"}, {"$numberInt": "2"}
        assert archive.namelist() == [
            f"{folder}/notes.metadata.json", f"{folder}/notes.bson", "manifest.json",
        ]  # fmt: skip
        assert archive.testzip() is None
        documents = bson.encode({"_id": 1, "n": 1}) + bson.encode({"_id": 2})
        assert archive.read(f"{folder}/notes.bson") == documents
        assert json.loads(archive.read(f"{folder}/notes.metadata.json")) == {
            "indexes": [
                {"v": two, "key": {"_id": one}, "name": "_id_"},
                {"v": two, "key": {"n": one}, "name": "n_1", "unique": True, "background": True},
            ],
            "collectionName": "notes",
            "type": "collection",
            "options": {},
        }


def test_names_of_files_are_those_of_mongodump() -> None:
    assert file_of("db", "a.b$c") == "db/a.b$c"
    assert file_of("db", "a/b c%ü;") == "db/a%2Fb%20c%25%C3%BC%3B"
    long = file_of("db", "n" * 250).partition("/")[2]
    assert long.startswith("n" * 208 + "%24")
    assert len(long) == 238
    assert file_of("..", "..") == "%2E%2E/.."


async def test_a_file_that_is_there_is_kept(opened: Any, tmp_path: Path) -> None:
    database = await opened("sqlite", "a")
    path = tmp_path / "x.zip"
    path.write_text("mine")
    with pytest.raises(TransferError, match="is there already"):
        await backup(database, path)
    with pytest.raises(TransferError, match="is no backup"):
        await backup(database, path, replace=True)
    assert path.read_text() == "mine"
    path.unlink()
    await backup(database, path)
    await backup(database, path, replace=True)
    assert zipfile.is_zipfile(path)
    with pytest.raises(TransferError, match="is a folder"):
        await backup(database, tmp_path, replace=True)
    with pytest.raises(TransferError, match="No such file or directory"):
        await backup(database, tmp_path / "missing" / "x.zip")


async def test_a_failed_backup_leaves_nothing(opened: Any, tmp_path: Path) -> None:
    database = await opened("sqlite", "a")
    await database["notes"].insert_many([{"n": n} for n in range(3000)])
    folder = tmp_path / "backups"
    folder.mkdir()

    def fail(_progress: object) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await backup(database, folder / "x.zip", progress=fail)
    assert names_in(folder) == []


async def test_a_restored_database_must_be_empty(
    kind: str, opened: Any, raw_documents: Any, tmp_path: Path
) -> None:
    source, target = await opened("sqlite", "a"), await opened(kind, "b")
    await source["notes"].insert_many([{"_id": n} for n in range(10)])
    await backup(source, tmp_path / "x.zip")
    await target["notes"].insert_one({"_id": "old"})
    await target["others"].insert_one({"_id": "kept"})
    before = await raw_documents.contents(target)
    with pytest.raises(TransferError, match="not empty: there are documents in notes, others"):
        await restore(target, tmp_path / "x.zip")
    assert await raw_documents.contents(target) == before

    report = await restore(target, tmp_path / "x.zip", replace=True)
    assert report.kept == ["others"]
    assert await target["notes"].count_documents({}) == 10
    assert await target["others"].count_documents({}) == 1


async def test_empty_collections_of_a_new_server_are_no_obstacle(
    kind: str, opened: Any, tmp_path: Path
) -> None:
    """One that was started once has made collections and indexes, perhaps other ones."""
    source, target = await opened("sqlite", "a"), await opened(kind, "b")
    await source["notes"].insert_one({"n": 1})
    await source["notes"].create_index("n", name="index")
    await target["notes"].create_index("n", unique=True, name="index")
    await backup(source, tmp_path / "x.zip")
    await restore(target, tmp_path / "x.zip")
    assert "unique" not in (await target["notes"].index_information())["index"]


async def test_a_restore_that_was_broken_off_begins_anew(
    kind: str, opened: Any, raw_documents: Any, tmp_path: Path
) -> None:
    source, target = await opened("sqlite", "a"), await opened(kind, "b")
    await source["notes"].insert_many([{"_id": n} for n in range(2500)])
    await backup(source, tmp_path / "x.zip")

    def fail(progress: Any) -> None:
        if progress.stage == "writing" and progress.done:
            raise KeyError("broken off")

    with pytest.raises(KeyError):
        await restore(target, tmp_path / "x.zip", progress=fail)
    assert await unfinished(target) == "an unfinished restore of x.zip"
    with pytest.raises(TransferError, match="is an unfinished restore of x"):
        await backup(target, tmp_path / "y.zip")
    await restore(target, tmp_path / "x.zip")
    assert await raw_documents.contents(target) == await raw_documents.contents(source)


async def test_a_backup_is_of_one_moment(opened: Any, tmp_path: Path) -> None:
    """While two collections are written in turn, they differ by one write at most."""
    database, target = await opened("sqlite", "a"), await opened("sqlite", "b")
    for name in ("first", "second"):
        await database[name].insert_many([{"pad": "x" * 200} for _ in range(3000)])
    done = asyncio.Event()

    async def write() -> int:
        rounds = 0
        while not done.is_set():
            await database["first"].insert_one({})
            await database["second"].insert_one({})
            rounds += 1
        return rounds

    writing = asyncio.create_task(write())
    report = await backup(database, tmp_path / "x.zip")
    done.set()
    rounds = await writing
    assert rounds > 1
    assert report.one_moment
    await restore(target, tmp_path / "x.zip")
    first, second = [await target[name].count_documents({}) for name in ("first", "second")]
    assert first - second in (0, 1)
    assert first < 3000 + rounds or rounds < 3


SCRIPT = """
import asyncio, resource, signal, sys
from pathlib import Path
from locutory_sqlite import Client
from locutory_transfer import TransferError, backup

async def main():
    async with Client(Path(sys.argv[1])) as client:
        try:
            await backup(client["d"], Path(sys.argv[2]), progress=lambda p: print(p.done, flush=True))
        except TransferError as error:
            sys.exit(str(error))

if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
asyncio.run(main())
"""


@pytest.fixture
async def large_file(tmp_path: Path) -> Path:
    """A database of some megabytes that do not shrink."""
    path = tmp_path / "large.sqlite"
    async with Client(path) as client:
        await client["d"]["x"].insert_many([{"v": os.urandom(1000)} for _ in range(6000)])
    return path


def test_a_full_disk_is_told(large_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    command = [sys.executable, "-c", SCRIPT, str(large_file), str(folder / "x.zip"), "1000000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "files may not become that large here" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == 1
    assert not list(folder.iterdir())


async def test_a_killed_backup_is_not_under_its_name(large_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    path = folder / "x.zip"
    command = [sys.executable, "-c", SCRIPT, str(large_file), str(path)]
    kill_after(3, command)
    assert path.name not in names_in(folder)
    async with Client(large_file) as client, Client(tmp_path / "b.sqlite") as other:
        await backup(client["d"], path)
        assert names_in(folder) == ["x.zip"]
        report = await restore(other["d"], path)
    assert report.collections["x"].documents == 6000
