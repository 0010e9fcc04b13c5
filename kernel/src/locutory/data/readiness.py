"""Watching the stores of a running server, for the answer of ``/readyz`` after the start."""

import asyncio
from typing import TYPE_CHECKING

import structlog

from locutory.data.database import Database
from locutory.errors import advice_of

if TYPE_CHECKING:
    from locutory.data.redis import RedisServer

log = structlog.get_logger("locutory.health")

LOOK_SECONDS = 2.0
FAULT_SECONDS = 1.0
"""Seconds between two checks: while all stores answer, and while one does not."""

_PATIENCE = 2.0


class Readiness:
    """Checks the database and Redis periodically. ``fault`` is a sentence about the store that does
    not answer, and empty while all do."""

    def __init__(self, database: Database, redis: "RedisServer | None") -> None:
        self._database = database
        self._redis = redis
        self.fault = ""

    async def watch(self) -> None:
        """Check the stores until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(FAULT_SECONDS if self.fault else LOOK_SECONDS)

    async def look(self) -> None:
        """Check the stores once; log when the outcome changes."""
        fault = await self._fault()
        if fault and not self.fault:
            log.error("ready.lost", reason=fault)
        elif self.fault and not fault:
            log.warning("ready.again")
        self.fault = fault

    async def _fault(self) -> str:
        name = "the database"
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._database.probe()
                if self._redis is not None:
                    name = "Redis"
                    await self._redis.ping()
        except TimeoutError:
            return f"{name} does not answer"
        except Exception as error:
            log.debug("ready.fault", exc_info=error)
            return str(error) if advice_of(error) else f"{name} fails ({type(error).__name__})"
        return ""
