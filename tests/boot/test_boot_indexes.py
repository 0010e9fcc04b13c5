"""LibreChat builds its indexes on a database that we made, and we ours on one of LibreChat.

``librechat_indexes.txt`` holds every index of LibreChat v0.8.8 as its driver asks for it, one a
line: collection, keys, options. All come with ``background``, which goes last, as there are
databases that compare the order of options, too.
"""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymongo import IndexModel
from pymongo.errors import OperationFailure
from structlog.testing import capture_logs

from locutory.plugins import discovery
from locutory.run.kernel import Kernel
from locutory_testing import Serve
from locutory_testing.database import Databases
from tests.boot.person import ENVIRONMENT

TABLE = Path(__file__).with_name("librechat_indexes.txt")


def librechat_indexes() -> list[tuple[str, IndexModel]]:
    """Collection and index, in the order of the table."""
    found = []
    for line in TABLE.read_text("utf-8").splitlines():
        collection, keys, *rest = line.split(" ", 2)
        pairs = [key.rsplit(":", 1) for key in keys.split(",")]
        options: dict[str, Any] = json.loads(rest[0]) if rest else {}
        index = IndexModel([(key, int(way)) for key, way in pairs], **options, background=True)
        found.append((collection, index))
    return found


def owned(kernel: Kernel) -> set[str]:
    """The collections that our plugins share with LibreChat."""
    classes: Any = [item for owned in kernel.contributions.documents.values() for item in owned]
    names = {item.Settings.name for item in classes}
    return {name for name in names if not name.startswith("locutory_")}


async def test_librechat_on_our_database(serve: Serve) -> None:
    async with serve(*discovery.available(), environment=ENVIRONMENT) as server:
        table = librechat_indexes()
        ours = owned(server.kernel) - {collection for collection, _ in table}
        ours -= {"logs", "projects"}  # LibreChat makes them without mongoose
        assert not ours, "collections that LibreChat does not have are named locutory_…"
        refused = {}
        for collection, index in table:
            try:
                await server.kernel.database.collection(collection).create_indexes([index])
            except OperationFailure as error:
                refused[f"{collection}.{index.document['name']}"] = str(error)
        assert refused == {}


async def test_our_server_on_a_database_of_librechat(serve: Serve, databases: Databases) -> None:
    name = f"test_{uuid4().hex}"
    async with databases.opened(name) as database:
        for collection, index in librechat_indexes():
            await database[collection].create_indexes([index])
    with capture_logs() as lines:
        async with serve(*discovery.available(), environment=ENVIRONMENT, database=name) as server:
            await server.kernel.database.client.drop_database(name)
    events = [line["event"] for line in lines]
    assert "start.ready" in events
    assert "database.index_kept" not in events
