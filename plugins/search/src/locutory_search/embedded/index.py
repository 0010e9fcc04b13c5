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
from locutory_search.backend import DeletionTarget
from locutory_search.embedded import writing
from locutory_search.embedded.file import IndexFile, check_fts5
from locutory_search.embedded.index_sync import IndexSync
from locutory_search.embedded.reading import Hit, OutOfTime, search
from locutory_search.embedded.sqlite_executor import SqliteExecutor
from locutory_search.entries import Entry, Kind
from locutory_search.history_reader import HistoryReader
from locutory_search.indexing_queue import IndexingQueue
from locutory_search.tasks import Tasks

BATCH = 100
"""Documents of one write."""

PATIENCE_SECONDS = 5.0
"""The seconds for which a caller that reports a deletion waits for it."""

KEPT_MS = 3_600_000
"""The milliseconds for which a deletion keeps out late copies of the deleted entries."""


class EmbeddedIndex:
    """`Backend` on a file in the data directory, shared by the processes of one host: each writes
    the changes that it receives, and one of them follows the feed."""

    def __init__(
        self,
        folder: Path,
        history: HistoryReader,
        log: structlog.stdlib.BoundLogger,
        *,
        follow_seconds: float,
        purge_hours: float,
    ) -> None:
        self._file = IndexFile(folder)
        self._executor = SqliteExecutor(self._file, log)
        self._log = log
        self._index_sync = IndexSync(
            self._file, self._executor, history, log, follow_seconds, purge_hours
        )
        self._queue = IndexingQueue(self._write, self._index_sync.wake, BATCH)
        self._deletion_lock = asyncio.Lock()
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
            return await self._executor.read(search, kind, user, text, limit)
        except FileNotFoundError:  # somebody removed it; it is built again
            return []
        except OutOfTime:
            raise SearchFailed("the search took too long") from None
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise SearchFailed(f"the index cannot be read: {error}") from error

    def take(self, entry: Entry) -> None:
        """Queue a change for the writer."""
        self._queue.put(entry)

    async def _write(self, batch: Sequence[Entry]) -> None:
        try:
            await self._executor.write(writing.apply, batch)
        except (sqlite3.Error, OSError) as error:
            # The feed has not gone past them, and brings them again.
            self._log.warning("search.not_written", documents=len(batch), reason=str(error))

    async def added(self, user: str, conversation_ids: Sequence[str]) -> None:
        """The sync reads and indexes them."""
        if conversation_ids:
            await self._executor.write(writing.add_pending, "add", user, conversation_ids, KEPT_MS)
            self._index_sync.wake()

    async def deleted(self, target: DeletionTarget, user: str, ids: Sequence[str] = ()) -> None:
        """Note the deletion, then carry it out."""
        if target != "user" and not ids:
            return
        await self._executor.write(writing.add_pending, target, user, ids, KEPT_MS)
        task = self._tasks.spawn(self._apply_deletions(urgent=target == "user"), "deletion")
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)

    async def _apply_deletions(self, *, urgent: bool) -> None:
        async with self._deletion_lock:
            await self._index_sync.apply_deletions()
            if urgent:
                await self._index_sync.purge()

    async def start(self) -> None:
        """Open the file, follow the history. A fault is logged: search is then not offered."""
        try:
            await self._executor.write(lambda _: self._file.discard_others())
        except (sqlite3.Error, OSError) as error:
            self._log.error("search.no_index", file=str(self._file.path), reason=str(error))
        self._tasks.spawn(self._queue.run(), "writing")
        self._tasks.spawn(self._index_sync.run(), "following the history")

    async def drain(self) -> None:
        """Write the waiting changes."""
        await self._queue.flush()

    async def stop(self) -> None:
        """End every task, then the threads."""
        await self._tasks.stop()
        await self._queue.flush()
        await self._executor.run(self._index_sync.lock.release)
        await self._executor.close()

    async def is_available(self) -> bool:
        """``True`` when the index could be opened for writing at the last attempt, or can be
        now."""
        if not self._executor.works:
            with contextlib.suppress(sqlite3.Error, OSError):
                await self._executor.write(writing.state, "database")
        return self._executor.works

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
        """Numbers of the indexed entries."""
        found: dict[str, Any] = {"engine": "built-in", "file": str(self._file.path)}
        try:
            found |= await self._executor.read(writing.summary)
            found["bytes"] = self._file.bytes()
        except FileNotFoundError:
            found["state"] = "there is no index yet; the server builds it"
        except (sqlite3.Error, OSError) as error:
            found["state"] = f"the index cannot be read: {error}"
        finally:
            await self._executor.close()
        return found

    async def rebuild(self) -> None:
        """Empty the index; a running server notices and fills it again."""
        try:
            await self._executor.write(writing.wipe)
        finally:
            await self._executor.close()
