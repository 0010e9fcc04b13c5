"""Whether the stores of a running server answer: what ``/readyz`` says after the start."""

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
"""Between two looks, while all is well and while it is not."""

_PATIENCE = 2.0


class Readiness:
    """Reads from the database and Redis now and then. ``fault`` says what does not answer; it
    is empty while everything does."""

    def __init__(self, database: Database, redis: "RedisServer | None") -> None:
        self._database = database
        self._redis = redis
        self.fault = ""

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(FAULT_SECONDS if self.fault else LOOK_SECONDS)

    async def look(self) -> None:
        """Look once, and log a change."""
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
