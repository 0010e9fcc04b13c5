"""How the scheme of ``MONGO_URI`` chooses what opens the database."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from locutory import StartupError, openers
from locutory.openers import DatabaseSource, open_database
from locutory.settings import KernelConfig


class Elsewhere:
    """An opener that a package of its own could bring."""

    def __init__(self, uri: str, data_dir: Path) -> None:
        self.given = (uri, data_dir)
        self.stops = 0

    async def start(self) -> str:
        return "mongodb://elsewhere:1/x"

    async def stop(self) -> None:
        self.stops += 1

    async def running(self) -> str | None:
        return None

    def exists(self) -> bool:
        return False


class Installed(EntryPoint):
    """An entry point whose module need not be importable by name."""

    def load(self) -> type[Elsewhere]:
        return Elsewhere


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What the installed packages offer."""
    installed: list[EntryPoint] = []

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == "locutory.databases"
        return [point for point in installed if name in (None, point.name)]

    monkeypatch.setattr(openers, "entry_points", entry_points)
    return installed


@pytest.mark.parametrize(
    "uri", ["mongodb://user:pw@host/x", "mongodb+srv://host/x", " mongodb://host/x "]
)
async def test_a_server_is_taken_as_it_is(tmp_path: Path, uri: str) -> None:
    source = await open_database(KernelConfig(mongo_uri=uri), tmp_path / "none")
    assert source.uri == uri.strip()
    await source.stop()
    assert "pw" not in repr(source)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("uri", [None, "  ", "embedded:"])
async def test_without_an_address_the_built_in_one_starts(tmp_path: Path, uri: str | None) -> None:
    source = await open_database(KernelConfig(mongo_uri=uri), tmp_path)
    assert source.uri.startswith("mongodb://locutory:")
    with pytest.raises(StartupError, match="in use"):
        await open_database(KernelConfig(mongo_uri=uri), tmp_path)
    await source.stop()


async def test_a_package_opens_its_own_scheme(tmp_path: Path, points: list[EntryPoint]) -> None:
    points += [Installed("memory", "x:y", openers.GROUP), Installed("embedded", "x:y", "")]
    source = await open_database(KernelConfig(mongo_uri="memory:here"), tmp_path)
    opener = source.opener
    assert source == DatabaseSource("mongodb://elsewhere:1/x", opener)
    assert isinstance(opener, Elsewhere)
    assert opener.given == ("memory:here", tmp_path)
    await source.stop()
    await source.stop()
    assert opener.stops == 1

    replaced = await open_database(KernelConfig(), tmp_path)
    assert isinstance(replaced.opener, Elsewhere)


async def test_a_wrong_address_is_refused_without_showing_it(
    tmp_path: Path, points: list[EntryPoint]
) -> None:
    for wrong in ("postgres://secret@host", "secret", "//secret@host"):
        with pytest.raises(StartupError, match="MONGO_URI") as refused:
            await open_database(KernelConfig(mongo_uri=wrong), tmp_path)
        assert "secret" not in str(refused.value)
    points += [Installed("memory", "x:y", openers.GROUP)] * 2
    with pytest.raises(StartupError, match="embedded"):
        await open_database(KernelConfig(), tmp_path)
    with pytest.raises(StartupError, match="memory:, mongodb:"):
        await open_database(KernelConfig(mongo_uri="other:"), tmp_path)
    with pytest.raises(StartupError, match="uninstall all but one"):
        await open_database(KernelConfig(mongo_uri="memory:"), tmp_path)
