"""Named databases for tests."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from locutory.data.database import open_database
from locutory.settings import KernelConfig
from locutory_database import CollectionsByName


class Databases:
    """Named databases: files in a folder, or databases of one server."""

    def __init__(self, place: Path | str, *, durable: bool = False) -> None:
        """``place``: the folder, or the address of the server without a database. ``durable``:
        writes to a file wait for the disk, which tests do not need unless they simulate a power
        failure."""
        self._place = place
        self._options = "" if durable else "?synchronous=off"

    def address(self, name: str) -> str:
        """The value of ``MONGO_URI`` for a database."""
        if isinstance(self._place, Path):
            return f"sqlite:{self._place / name}.sqlite{self._options}"
        return urlunsplit(urlsplit(self._place)._replace(path=f"/{name}"))

    @property
    def are_files(self) -> bool:
        """``True`` for files, ``False`` for databases of a server."""
        return isinstance(self._place, Path)

    @asynccontextmanager
    async def opened(self, name: str) -> AsyncIterator[CollectionsByName]:
        """The collections of a database, which a server may be using."""
        client = await open_database(KernelConfig(), Path(), address=self.address(name))
        try:
            yield client[name]
        finally:
            await client.close()


@contextmanager
def session_databases(*, durable: bool = False) -> Iterator[Databases]:
    """Databases in a temporary folder that is removed at the end; ``durable`` as in `Databases`.

    ``LOCUTORY_TEST_MONGO_URI`` names a server to use instead, which is not cleaned up. Synchronous,
    so that a session fixture can use it.
    """
    given = os.environ.get("LOCUTORY_TEST_MONGO_URI", "").strip()
    if given:
        yield Databases(given)
        return
    with tempfile.TemporaryDirectory(
        prefix="locutory-test-databases-", ignore_cleanup_errors=True
    ) as name:
        yield Databases(Path(name), durable=durable)
