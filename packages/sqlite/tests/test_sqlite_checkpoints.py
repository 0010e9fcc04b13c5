"""The write-ahead log comes into the file while others write."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from locutory_sqlite import checkpoints, connection
from locutory_sqlite.database import Client


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of 300 kB is long."""
    for module in (checkpoints, connection):
        monkeypatch.setattr(module, "WAL_BYTES", 300_000)


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


async def test_it_comes_into_the_file_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    async with Client(path) as client:
        numbers = client["x"]["numbers"]
        for number in range(200):
            await numbers.insert_one({"_id": number, "pad": os.urandom(30_000)})
            if number % 20 == 19:
                await asyncio.sleep(0.02)
        assert path.stat().st_size > 3_000_000
        assert path.with_name("data.db-wal").stat().st_size < 5_000_000
        assert await numbers.count_documents({}) == 200
    assert "sqlite-checkpoint" not in names()
    assert not path.with_name("data.db-wal").exists()
    async with Client(path) as client:
        assert await client["x"]["numbers"].count_documents({}) == 200


async def test_a_short_log_needs_no_thread(tmp_path: Path) -> None:
    async with Client(tmp_path / "data.db") as client:
        await client["x"]["numbers"].insert_one({"_id": 1})
        assert "sqlite-checkpoint" not in names()


async def test_a_fault_of_it_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it end the thread, which tries again after the next long log."""
    path = tmp_path / "data.db"
    async with Client(path) as client:
        numbers = client["x"]["numbers"]
        writer = client.engine._writer
        assert writer is not None
        monkeypatch.setattr(writer._checkpoints, "_connect", failing)
        for number in range(30):
            await numbers.insert_one({"_id": number, "pad": os.urandom(30_000)})
        assert "sqlite-checkpoint" in names()
        assert await numbers.count_documents({}) == 30
    async with Client(path) as client:
        assert await client["x"]["numbers"].count_documents({}) == 30


def failing() -> None:
    raise OSError("no more files can be opened")
