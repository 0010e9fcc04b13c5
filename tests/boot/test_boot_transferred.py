"""A server starts on what was copied or restored as on its own: it finds every index as it declares
it, on a database that compares even the order of options."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from locutory.plugins import discovery
from locutory_testing import Serve
from locutory_testing.database import Databases
from locutory_transfer import CopyReport, RestoreReport, backup, copy, restore
from tests.boot.person import ENVIRONMENT


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Databases of a server that speaks MongoDB's protocol."""
    from locutory_secantus.testing import server

    with server(tmp_path_factory.mktemp("server")) as uri:
        yield Databases(uri)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["copied", "restored"])
async def test_a_start_finds_its_indexes(
    serve: Serve, databases: Databases, elsewhere: Databases, tmp_path: Path, how: str
) -> None:
    source, target = f"test_{uuid4().hex}", f"test_{uuid4().hex}"
    async with serve(*discovery.available(), environment=ENVIRONMENT, database=source):
        pass
    given: Any  # a backup reads more of a database than plugins may
    taken: Any
    report: CopyReport | RestoreReport
    async with databases.opened(source) as given, elsewhere.opened(target) as taken:
        if how == "copied":
            report = await copy(given, taken, origin="source")
        else:
            await backup(given, tmp_path / "all.zip")
            report = await restore(taken, tmp_path / "all.zip")
        assert report.notes == []
        await given.client.drop_database(source)
    address = {"MONGO_URI": elsewhere.address(target)}
    with capture_logs() as lines:
        async with serve(
            *discovery.available(), environment={**ENVIRONMENT, **address}, database=target
        ) as server:
            await server.kernel.database.client.drop_database(target)
    assert "start.ready" in [line["event"] for line in lines]
    kept = [line for line in lines if line["event"] == "database.index_kept"]
    assert kept == []
