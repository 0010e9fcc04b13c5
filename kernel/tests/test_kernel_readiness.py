"""Ready means ready: the stores are read from while the server runs."""

import asyncio

import pytest
from pymongo.errors import ServerSelectionTimeoutError
from structlog.testing import capture_logs

from locutory.data import readiness
from locutory.data.readiness import Readiness
from locutory_testing import Serve
from locutory_testing.database import Databases


class Store:
    """Answers, fails or hangs as it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False

    async def probe(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    ping = probe


async def test_a_store_that_fails_or_hangs_is_named_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "_PATIENCE", 0.05)
    database, redis = Store(), Store()
    ready = Readiness(database, redis)  # type: ignore[arg-type]
    with capture_logs() as lines:
        await ready.look()
        assert ready.fault == ""
        database.error = ServerSelectionTimeoutError("secret:27017")
        await ready.look()
        await ready.look()
        assert ready.fault == "the database fails (ServerSelectionTimeoutError)"
        database.error, redis.hangs = None, True
        await ready.look()
        assert ready.fault == "Redis does not answer"
        redis.hangs = False
        await ready.look()
        assert ready.fault == ""
    told = [line["event"] for line in lines if line["log_level"] != "debug"]
    assert told == ["ready.lost", "ready.again"]


async def test_readyz_says_what_does_not_answer(serve: Serve, databases: Databases) -> None:
    async with serve() as server:
        assert (await server.client.get("/readyz")).text == "OK"
        await server.kernel.readiness.look()
        assert server.kernel.readiness.fault == ""
        collections = server.kernel.database._collections
        there = collections["locutory_leases"]
        async with databases.opened("readiness") as closed:
            collections["locutory_leases"] = closed["locutory_leases"]
        await server.kernel.readiness.look()
        answer = await server.client.get("/readyz")
        assert answer.status_code == 503
        told = "The database is closed"
        if not databases.are_files:
            told = "the database fails (InvalidOperation)"
        assert answer.text == f"NOT_READY: {told}"
        assert (await server.client.get("/health")).text == "OK"
        collections["locutory_leases"] = there
        await server.kernel.readiness.look()
        assert (await server.client.get("/readyz")).text == "OK"
