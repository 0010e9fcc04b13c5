"""``locutory database``: what the commands say, on files."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result

from locutory import StartupError
from locutory.data.database import open_database
from locutory.settings import KernelConfig
from locutory_cli import main
from locutory_testing import Serve
from locutory_testing.database import Databases

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """``run("database", …)`` in an empty folder, with its data below it."""
    logging = structlog.get_config()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUTORY_DATA_DIR", str(tmp_path / "data"))
    for name in ("MONGO_URI", "CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    yield lambda *words: CliRunner().invoke(main, list(words))
    structlog.configure(**logging)


def stored(folder: Path, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    """What the built-in database of a folder holds, after adding to it."""

    async def work() -> list[dict[str, Any]]:
        client = await open_database(KernelConfig(), folder)
        try:
            notes = client["LibreChat"]["notes"]
            for document in documents:
                await notes.insert_one(document)
            return await notes.find({}).sort("_id").to_list()
        finally:
            await client.close()

    return asyncio.run(work())


def test_a_backup_is_restored_into_another_folder(run: Run, tmp_path: Path) -> None:
    kept = stored(tmp_path / "data", {"_id": 1, "text": "one"}, {"_id": 2, "text": "two"})
    done = run("database", "backup", "all.zip")
    assert done.exit_code == 0, done.output
    assert "notes: 2 documents" in done.output
    assert "All collections are of one moment." in done.output
    assert (tmp_path / "all.zip").stat().st_mode & 0o777 == 0o600
    again = run("database", "backup", "all.zip")
    assert again.exit_code == 1
    assert "all.zip" in again.output
    assert "Traceback" not in again.output
    assert run("database", "backup", "all.zip", "--replace").exit_code == 0
    done = run("--data-dir", str(tmp_path / "other"), "database", "restore", "all.zip")
    assert done.exit_code == 0, done.output
    assert stored(tmp_path / "other") == kept
    refused = run("--data-dir", str(tmp_path / "other"), "database", "restore", "all.zip")
    assert refused.exit_code == 1
    assert "Error: The database is not empty: there are documents in notes" in refused.output
    assert "With --replace" in refused.output


def test_a_copy_between_addresses(run: Run, tmp_path: Path) -> None:
    kept = stored(tmp_path / "data", {"_id": 1}, {"_id": 2})
    target = f"sqlite:{tmp_path / 'copy' / 'database.sqlite'}"
    done = run("database", "copy", "sqlite:", target)
    assert done.exit_code == 0, done.output
    assert "notes: 2 documents" in done.output
    assert stored(tmp_path / "copy") == kept
    assert run("database", "copy", "sqlite:", target).exit_code == 1  # it is full
    same = run("database", "copy", "sqlite:", "sqlite:")
    assert "FROM and TO are the same database" in same.output
    same = run("database", "copy", "sqlite:", f"sqlite:{tmp_path}/data/../data/database.sqlite")
    assert f"the same database: {tmp_path / 'data' / 'database.sqlite'}" in same.output
    nobody = run("database", "copy", "sqlite:nobody.sqlite", target)
    assert nobody.exit_code == 1
    assert "There is no database at" in nobody.output


def test_a_sound_database_and_a_wrong_one(run: Run, tmp_path: Path) -> None:
    missing = run("database", "check")
    assert missing.exit_code == 1
    assert "There is no database at" in missing.output
    assert not (tmp_path / "data").exists()
    stored(tmp_path / "data", {"_id": 1})
    sound = run("database", "check")
    assert sound.exit_code == 0, sound.output
    assert "notes: 1" in sound.output
    assert f"{tmp_path / 'data' / 'database.sqlite'} is sound." in sound.output
    (tmp_path / "data" / "database.sqlite").write_bytes(b"no database at all" * 500)
    for left in (tmp_path / "data").glob("database.sqlite-*"):
        left.unlink()
    damaged = run("database", "check")
    assert damaged.exit_code == 1
    assert "damaged" in damaged.output
    assert "Traceback" not in damaged.output


def test_what_is_damaged_is_named_and_left_out(run: Run, tmp_path: Path) -> None:
    stored(tmp_path / "data", *({"_id": f"note {n}", "pad": "x" * 3000} for n in range(40)))
    path = tmp_path / "data" / "database.sqlite"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 8 * 4096)
        file.write(bytes(4096))
    found = run("database", "check")
    assert found.exit_code == 1
    assert "notes: 1 of 40 documents cannot be read, by _id: 'note 3" in found.output
    refused = run("database", "copy", "sqlite:", "sqlite:new.sqlite")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: The database file is damaged: restore a backup")
    assert "→ docs/database.md tells" in refused.output
    copied = run("database", "copy", "--skip-damaged", "sqlite:", "sqlite:new.sqlite")
    assert copied.exit_code == 0
    assert "Left out: notes: 1 of 40 documents cannot be read" in copied.output
    assert "What can be read of" in copied.output
    sound = run("database", "check", "--address", "sqlite:new.sqlite")
    assert sound.exit_code == 0
    assert "notes: 39" in sound.output


WRONG = [
    (["check", "--address", "nothing"], "--address"),
    (["backup", "--address", "postgres://x", "b.zip"], "--address"),
    (["copy", "mongodb:", "sqlite:"], "FROM"),
    (["copy", "sqlite:", "sqlite://host/x"], "TO"),
    (["copy", "sqlite:", "embedded"], "TO"),
]


@pytest.mark.parametrize(("words", "place"), WRONG, ids=lambda words: words[-1])
def test_a_wrong_address_is_blamed_where_it_stands(
    run: Run, tmp_path: Path, words: list[str], place: str
) -> None:
    stored(tmp_path / "data", {"_id": 1})
    done = run("database", *words)
    assert done.exit_code == 1
    assert done.output.startswith("Error: 1 problem.")
    assert f"  {place}  (kernel)" in done.output
    assert "MONGO_URI" not in done.output
    assert "leave it blank" not in done.output


COMMANDS = [
    ["check", "--address", "sqlite:other.db"],
    ["copy", "sqlite:other.db", "sqlite:new.db"],
    ["copy", "sqlite:", "sqlite:other.db"],
    ["backup", "--address", "sqlite:other.db", "b.zip"],
    ["restore", "--replace", "--address", "sqlite:other.db", "all.zip"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_file_of_another_program_is_left_alone(
    run: Run, tmp_path: Path, words: list[str]
) -> None:
    stored(tmp_path / "data", {"_id": 1})
    assert run("database", "backup", "all.zip").exit_code == 0
    path = tmp_path / "data" / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")
    before = path.read_bytes()
    done = run("database", *words)
    assert done.exit_code == 1
    assert f"{path} belongs to another program: its tables are notes" in done.output
    assert "name another file, or move this one away" in done.output
    assert path.read_bytes() == before
    path.rename(tmp_path / "data" / "database.sqlite")
    with pytest.raises(StartupError, match="belongs to another program"):
        stored(tmp_path / "data")


async def test_no_server_starts_on_half_a_copy(databases: Databases, serve: Serve) -> None:
    async with databases.opened("half") as half:
        await half["locutory_copies"].insert_one(
            {"_id": "unfinished", "kind": "copy", "origin": "sqlite:other"}
        )
    with pytest.raises(StartupError, match="unfinished copy of sqlite:other"):
        async with serve(database="half"):
            pass
