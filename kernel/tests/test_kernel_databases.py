"""How the scheme of ``MONGO_URI`` chooses what opens the database."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import ConnectionFailure

from locutory import StartupError
from locutory.data import database as kernel_database
from locutory.data.database import open_database
from locutory.settings import KernelConfig
from locutory_database import GROUP


class Elsewhere(EntryPoint):
    """A package of its own that opens databases; its module need not be importable by name."""

    def load(self) -> Any:
        return elsewhere


async def elsewhere(address: str, data_dir: Path, *, create: bool) -> Any:
    if address.endswith(":none"):
        raise FileNotFoundError("no database is there")
    if address.endswith(":broken"):
        raise ConnectionFailure("it is full of sand")
    return address, data_dir, create


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What the installed packages offer."""
    installed: list[EntryPoint] = []

    def entry_points(group: str) -> list[EntryPoint]:
        assert group == "locutory.databases"
        return installed

    monkeypatch.setattr(kernel_database, "entry_points", entry_points)
    return installed


@pytest.mark.parametrize("uri", [None, "  ", "sqlite:"])
async def test_without_an_address_the_built_in_one_opens(tmp_path: Path, uri: str | None) -> None:
    config, folder = KernelConfig(mongo_uri=uri), tmp_path / "data"
    with pytest.raises(StartupError, match="start the server once"):
        await open_database(config, folder, create=False)
    assert not folder.exists()
    first = await open_database(config, folder)
    await first["LibreChat"]["notes"].insert_one({"text": "kept"})
    beside = await open_database(config, folder, create=False)
    assert await beside.get_default_database("LibreChat")["notes"].count_documents({}) == 1
    await beside.close()
    await first.close()
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="is no folder"):
        await open_database(config, tmp_path / "file")


async def test_a_package_opens_its_own_scheme(tmp_path: Path, points: list[EntryPoint]) -> None:
    points += [Elsewhere("memory", "x:y", GROUP), Elsewhere("sqlite", "x:y", "")]
    opened: Any = await open_database(KernelConfig(mongo_uri="memory:here"), tmp_path)
    assert opened == ("memory:here", tmp_path, True)
    replaced: Any = await open_database(KernelConfig(), tmp_path, create=False)
    assert replaced == ("sqlite:", tmp_path, False)
    other: Any = await open_database(KernelConfig(), tmp_path, address="memory:there")
    assert other == ("memory:there", tmp_path, True)
    for address, said in (("memory:none", "no database is there"), ("memory:broken", "of sand")):
        with pytest.raises(StartupError, match=said):
            await open_database(KernelConfig(mongo_uri=address), tmp_path)


async def test_a_wrong_address_is_refused_without_showing_it(
    tmp_path: Path, points: list[EntryPoint]
) -> None:
    for wrong in ("postgres://secret@host", "secret", "//secret@host"):
        with pytest.raises(StartupError, match="MONGO_URI") as refused:
            await open_database(KernelConfig(mongo_uri=wrong), tmp_path)
        assert "secret" not in str(refused.value)
    with pytest.raises(StartupError, match=r"install a package that opens it .*install.py --all"):
        await open_database(KernelConfig(mongo_uri="embedded:"), tmp_path)
    points += [Elsewhere("memory", "x:y", GROUP)] * 2
    with pytest.raises(StartupError, match="sqlite"):
        await open_database(KernelConfig(), tmp_path)
    with pytest.raises(StartupError, match="memory:, mongodb:"):
        await open_database(KernelConfig(mongo_uri="other:"), tmp_path)
    with pytest.raises(StartupError, match="uninstall all but one"):
        await open_database(KernelConfig(mongo_uri="memory:"), tmp_path)
