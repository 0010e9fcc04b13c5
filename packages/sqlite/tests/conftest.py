"""An open database in a file of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from locutory_sqlite import Client, Database


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with Client(tmp_path / "data.db", durable=False) as opened:
        yield opened


@pytest.fixture
def database(client: Client) -> Database:
    return client["LibreChat"]
