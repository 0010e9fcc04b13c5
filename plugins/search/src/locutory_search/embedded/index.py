"""The built-in index as a back end."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from locutory_contracts.search import MessageHit, SearchFailed
from locutory_search.backend import What
from locutory_search.embedded import writing
from locutory_search.embedded.file import IndexFile, check_fts5
from locutory_search.embedded.follower import Follower
from locutory_search.embedded.reading import Hit, OutOfTime, search
from locutory_search.embedded.threads import Threads
from locutory_search.entries import Entry, Kind
from locutory_search.intake import Intake
from locutory_search.sources import Sources
from locutory_search.tasks import Tasks

BATCH = 100
"""Documents of one write."""

PATIENCE_SECONDS = 5.0
"""How long whoever tells of a deletion waits for it."""

KEPT_MS = 3_600_000
"""How long a deletion keeps late copies of what it deleted away."""


class EmbeddedIndex:
    """`Backend` on a file in the data directory, shared by the processes of one host: each
    writes what it is told of, one of them follows the feed."""

    def __init__(
        self,
        folder: Path,
        sources: Sources,
        log: structlog.stdlib.BoundLogger,
        *,
        follow_seconds: float,
        purge_hours: float,
    ) -> None:
        self._file = IndexFile(folder)
        self._threads = Threads(self._file, log)
        self._log = log
        self._follower = Follower(
            self._file, self._threads, sources, log, follow_seconds, purge_hours
        )
        self._intake = Intake(self._write, self._follower.wake, BATCH)
        self._settling = asyncio.Lock()
        self._tasks = Tasks(log)

    async def conversations(self, user: str, text: str, limit: int) -> Sequence[str]:
        """Contract `locutory_contracts.search.Search`."""
        return [own for own, _ in await self._search("conversations", user, text, limit)]

    async def messages(self, user: str, text: str, limit: int) -> Sequence[MessageHit]:
        """Contract `locutory_contracts.search.Search`."""
        return [MessageHit(*hit) for hit in await self._search("messages", user, text, limit)]

    async def _search(self, kind: Kind, user: str, text: str, limit: int) -> list[Hit]:
        if limit < 1:
            return []
        try:
            return await self._threads.read(search, kind, user, text, limit)
        except FileNotFoundError:  # somebody removed it; it is built again
            return []
        except OutOfTime:
            raise SearchFailed("the search took too long") from None
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise SearchFailed(f"the index cannot be read: {error}") from error

    def take(self, entry: Entry) -> None:
        """Queue a change for the writer."""
        self._intake.put(entry)

    async def _write(self, batch: Sequence[Entry]) -> None:
        try:
            await self._threads.write(writing.apply, batch)
        except (sqlite3.Error, OSError) as error:
            # The feed has not gone past them, and brings them again.
            self._log.warning("search.not_written", documents=len(batch), reason=str(error))

    async def added(self, user: str, conversation_ids: Sequence[str]) -> None:
        """The follower reads and indexes them."""
        if conversation_ids:
            await self._threads.write(writing.expect, "add", user, conversation_ids, KEPT_MS)
            self._follower.wake()

    async def deleted(self, what: What, user: str, ids: Sequence[str] = ()) -> None:
        """Note the deletion, then carry it out."""
        if what != "user" and not ids:
            return
        await self._threads.write(writing.expect, what, user, ids, KEPT_MS)
        task = self._tasks.spawn(self._settle(urgent=what == "user"), "deletion")
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)

    async def _settle(self, *, urgent: bool) -> None:
        async with self._settling:
            await self._follower.settle()
            if urgent:
                await self._follower.purge()

    async def start(self) -> None:
        """Open the file, follow the history. A fault is logged: search is then not offered."""
        try:
            await self._threads.write(lambda _: self._file.discard_others())
        except (sqlite3.Error, OSError) as error:
            self._log.error("search.no_index", file=str(self._file.path), reason=str(error))
        self._tasks.spawn(self._intake.run(), "writing")
        self._tasks.spawn(self._follower.run(), "following the history")

    async def drain(self) -> None:
        """Write what waits."""
        await self._intake.flush()

    async def stop(self) -> None:
        """End every task, then the threads."""
        await self._tasks.stop()
        await self._intake.flush()
        await self._threads.run(self._follower.lock.free)
        await self._threads.close()

    async def is_available(self) -> bool:
        """Could the index be opened for writing when this was last tried? If not, now?"""
        if not self._threads.works:
            with contextlib.suppress(sqlite3.Error, OSError):
                await self._threads.write(writing.state, "database")
        return self._threads.works

    async def advice(self) -> str | None:
        """Looks at the file and its folder."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> str | None:
        check_fts5()
        folder = self._file.folder
        if not self._file.path.exists():
            parent = folder if folder.exists() else folder.parent
            if parent.exists() and not os.access(parent, os.W_OK):
                return f"the search index cannot be made: make {parent} writable"
            return None
        if not os.access(self._file.path, os.W_OK):
            return f"the search index cannot be written: make {self._file.path} writable"
        try:
            self._file.open(make=False).connection.close()
        except FileNotFoundError:
            return None
        except sqlite3.Error as error:
            return f"the search index is damaged ({error}); a server that starts builds it anew"
        return None

    async def status(self) -> Mapping[str, Any]:
        """Numbers of what is indexed."""
        found: dict[str, Any] = {"engine": "built-in", "file": str(self._file.path)}
        try:
            found |= await self._threads.read(writing.summary)
            found["bytes"] = self._file.bytes()
        except FileNotFoundError:
            found["state"] = "there is no index yet; the server builds it"
        except (sqlite3.Error, OSError) as error:
            found["state"] = f"the index cannot be read: {error}"
        finally:
            await self._threads.close()
        return found

    async def rebuild(self) -> None:
        """Empty the index; a running server notices and fills it again."""
        try:
            await self._threads.write(writing.wipe)
        finally:
            await self._threads.close()
