"""Reading a whole database at one moment, where it supports that."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pymongo.errors import ConfigurationError, InvalidOperation, OperationFailure

from locutory_transfer.interface import Database, is_mongodb, raw, survey


@dataclass(frozen=True, slots=True)
class Moment:
    """A database to read, with the session that all reads must use. ``one``: ``True`` when all of
    them see the same moment."""

    database: Database
    session: Any
    one: bool


@contextlib.asynccontextmanager
async def moment(database: Database) -> AsyncIterator[Moment]:
    """The database as it is now, for as long as the block runs. In a database without snapshots
    each cursor sees its own moment."""
    # Not hasattr(database, …): for the driver every name is a collection's.
    if hasattr(type(database), "snapshot"):
        given: Any = database
        async with given.snapshot() as frozen:
            yield Moment(frozen, None, True)
        return
    session = await _snapshot_session(database)
    if session is None:
        yield Moment(database, None, False)
        return
    async with session:
        yield Moment(database, session, True)


async def _snapshot_session(database: Database) -> Any:
    """A session with a fixed moment; ``None`` where the server does not support it."""
    client = database.client
    info = await client.server_info()
    if not is_mongodb(info):
        return None  # some take them, say that they follow them, and show later writes all the same
    hello = await client.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        return None
    name = next(iter((await survey(database)).collections), "none")
    session = client.start_session(snapshot=True)
    try:
        await raw(database, name).find_one({}, session=session)
    except (OperationFailure, ConfigurationError, InvalidOperation):
        await session.end_session()
        return None
    except BaseException:
        await session.end_session()
        raise
    return session
