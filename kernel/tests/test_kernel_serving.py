"""What ``locutory serve`` does around a kernel: the database beside it, no search for garbage."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from locutory import StartupError, openers
from locutory.cli.building import built
from locutory.cli.database import ThreadedDatabase
from locutory.configuration import Sources
from locutory.kernel import Kernel
from locutory.settings import KernelConfig


class Slow:
    """An opener that answers when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let = threading.Event()
        self.said: list[str] = []

    def __call__(self, _uri: str, _data_dir: Path) -> "Slow":
        return self

    async def start(self) -> str:
        self.said.append("start")
        self.begun.set()
        try:
            await asyncio.to_thread(self.let.wait)
        except asyncio.CancelledError:
            self.said.append("given up")
            raise
        return "mongodb://there:1/x"

    async def stop(self) -> None:
        self.said.append("stop")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """Opens ``slow:`` addresses."""
    opener = Slow()
    monkeypatch.setattr(openers, "_opener", lambda scheme: SimpleNamespace(load=lambda: opener))
    yield opener
    opener.let.set()


async def test_a_database_opens_beside_other_work(slow: Slow, tmp_path: Path) -> None:
    with ThreadedDatabase(KernelConfig(mongo_uri="slow:"), tmp_path) as database:
        waiting = asyncio.create_task(database.uri())
        await asyncio.to_thread(slow.begun.wait)
        assert not waiting.done()
        slow.let.set()
        assert await waiting == "mongodb://there:1/x"
        assert await database.uri() == "mongodb://there:1/x"
    assert slow.said == ["start", "stop"]


async def test_a_database_that_nobody_waits_for_is_given_up(slow: Slow, tmp_path: Path) -> None:
    """As when the configuration turns out to be wrong."""
    with ThreadedDatabase(KernelConfig(mongo_uri="slow:"), tmp_path):
        await asyncio.to_thread(slow.begun.wait)
    assert slow.said == ["start", "given up"]


async def test_a_database_that_does_not_open_says_why(tmp_path: Path) -> None:
    with ThreadedDatabase(KernelConfig(mongo_uri="nonsense:"), tmp_path) as database:
        with pytest.raises(StartupError, match="no installed package opens"):
            await database.uri()
        with pytest.raises(StartupError, match="no installed package opens"):
            await database.uri()


async def test_a_kernel_waits_for_its_database(database_uri: str, tmp_path: Path) -> None:
    asked = []

    async def uri() -> str:
        asked.append(database_uri)
        return database_uri

    kernel = Kernel(Sources({}, {}), [], database_uri=uri, data_dir=tmp_path)
    assert not asked
    await kernel.start()
    await kernel.database.ping()
    await kernel.stop()
    assert len(asked) == 1
    assert not (tmp_path / "database").exists()


def test_what_is_imported_is_never_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUTORY_DATA_DIR", str(tmp_path))
    before = gc.get_freeze_count()
    try:
        sources = Sources({"LOCUTORY_DATA_DIR": str(tmp_path)}, {"plugins": {"enabled": []}})
        assert built(sources).plugins == []
        assert gc.get_freeze_count() > before
        assert gc.isenabled()
        with pytest.raises(StartupError):
            built(Sources({}, {"plugins": {"enabled": ["nobody"]}}))
        assert gc.isenabled()
    finally:
        gc.unfreeze()
