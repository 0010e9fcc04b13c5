"""Writing: one thread, which commits the writes that wait in groups."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from locutory_sqlite.checkpoints import Checkpoints
from locutory_sqlite.connection import Connection, clock
from locutory_sqlite.damage import Damage
from locutory_sqlite.errors import StorageError, is_busy, is_corrupt, storage_error
from locutory_sqlite.file import Identity
from locutory_sqlite.readers import BUSY_SECONDS, CLOSING_SECONDS

log = structlog.get_logger("locutory.database")

T = TypeVar("T")
Work = Callable[[Connection], T]

_GROUP = 400
_GROUP_SECONDS = 0.012
_FAULT_SECONDS = 1.0  # patience after a fault, so that it shows soon whether it is over
_TURN_SECONDS = 0.03
_IDLE_SECONDS = 30.0
_LONG_WAL_BYTES = 64 * 1024 * 1024  # more than a log that nothing hinders
_IDLE_WAL_BYTES = 4 * 1024 * 1024
_CHECKPOINT_MILLISECONDS = 50


@dataclass(slots=True)
class Write:
    """A piece of work, and who waits for it."""

    work: Callable[[Connection], Any]
    done: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.done.done():
            return
        if self.error is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(self.error)


class Writer:
    """The writer of one file and event loop; ``connect`` opens a new connection after a fault.
    ``fault``: the reason why the last write could not be stored, until one can."""

    def __init__(
        self,
        first: Connection,
        connect: Callable[[], Connection],
        identity: Identity,
        damage: Damage,
    ) -> None:
        self.fault: StorageError | None = None
        self._connection = self._made(first)
        self._connect = connect
        self._checkpoints = Checkpoints(connect)
        self._identity = identity
        self._damage = damage
        self._loop = asyncio.get_running_loop()
        self._arriving: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._waiting: deque[Write] = deque()
        self._unanswered: set[asyncio.Future[Any]] = set()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._turn = clock()
        self._log_bytes = 0
        self._checkpoint_at = _LONG_WAL_BYTES
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def _made(self, connection: Connection) -> Connection:
        connection.crowded = lambda: bool(self._waiting) or not self._arriving.empty()
        connection.sql.execute("PRAGMA wal_autocheckpoint = 0")  # see `Checkpoints`
        return connection

    async def write(self, work: "Work[T]") -> T:
        """The result of ``work``, once it is on the disk. Raises its exceptions, and then keeps
        none of its changes; `StorageError` when they could not be stored."""
        if self._closing.is_set():
            raise StorageError("The database is closed")
        done: asyncio.Future[Any] = self._loop.create_future()
        self._unanswered.add(done)
        done.add_done_callback(self._unanswered.discard)
        self._arriving.put(Write(work, done))
        result: T = await asyncio.shield(done)
        return result

    async def close(self) -> None:
        """Finish the writes that have begun. After `CLOSING_SECONDS` the rest is abandoned."""
        if not self._closing.is_set():
            self._closing.set()
            self._arriving.put(None)
        await asyncio.to_thread(self._thread.join, CLOSING_SECONDS)
        if self._thread.is_alive():
            self._hurry.set()
            self._connection.sql.interrupt()
            await asyncio.to_thread(self._thread.join, CLOSING_SECONDS)
        if self._thread.is_alive():
            log.warning("database.close_failed", reason="the disk does not answer")
            for done in list(self._unanswered):
                if not done.done():
                    done.set_exception(StorageError("The disk of the database does not answer"))

    # In the thread

    def _run(self) -> None:
        while self._take():
            group = self._commit()
            self._answer(group)
            self._checkpoints.look(self._log_bytes)
            if self._log_bytes > self._checkpoint_at:
                self._checkpoint(self._log_bytes)
            self._give_way()
        self._checkpoints.close(CLOSING_SECONDS)
        with contextlib.suppress(sqlite3.Error):
            self._connection.sql.close()

    def _take(self) -> bool:
        """Receive the writes that have arrived, waiting when there is nothing to do; ``False`` at
        the end."""
        waiting, arriving = self._waiting, self._arriving
        while True:
            if waiting or self._closing.is_set():
                try:
                    write = arriving.get_nowait()
                except queue.Empty:
                    return bool(waiting)
            else:
                write = self._next()
                self._turn = clock()
            if write is not None:
                waiting.append(write)
            if len(waiting) >= _GROUP:
                return True

    def _next(self) -> Write | None:
        """The next write, however long it takes to come."""
        while True:
            try:
                return self._arriving.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with contextlib.suppress(StorageError):
                    if self._identity.check_all() > _IDLE_WAL_BYTES:
                        self._checkpoint(_LONG_WAL_BYTES)

    def _answer(self, group: list[Write]) -> None:
        def settle() -> None:
            for write in group:
                write.settle()

        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(settle)

    def _give_way(self) -> None:
        """Other processes try again every millisecond; without a gap they would never get a
        turn while there is always something to write here."""
        if clock() - self._turn > _TURN_SECONDS:
            time.sleep(0.002)
            self._turn = clock()

    def _commit(self) -> list[Write]:
        """One transaction for those that wait, as many as there is time for; the writes that
        are settled by it."""
        group: list[Write] = []
        waiting, writer = self._waiting, self._connection
        try:
            try:
                self._identity.check_all()
                self._begin(writer)
            except Exception:
                group.extend(waiting)
                waiting.clear()
                raise
            until = clock() + _GROUP_SECONDS
            while waiting and (not group or clock() < until):
                group.append(waiting.popleft())
                self._apply(writer, group[-1], alone=len(group) == 1 and not waiting)
            if writer.sql.in_transaction:
                writer.sql.execute("COMMIT")
            self._log_bytes = self._identity.check_all()
            self.fault = None
        except Exception as error:  # whatever it is, the thread must go on
            self.fault = _as_storage_error(error)
            if isinstance(error, sqlite3.Error) and is_corrupt(error):
                self._damage.met(self.fault)
            for write in group:
                write.error = write.error or self.fault
            self._anew()
        return group

    def _begin(self, writer: Connection) -> None:
        """Begin a transaction, with patience for other processes that write."""
        until = time.monotonic() + (BUSY_SECONDS if self.fault is None else _FAULT_SECONDS)
        pause = 0.0005
        while True:
            try:
                writer.sql.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if not is_busy(error) or self._hurry.is_set() or time.monotonic() > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 1.1, 0.02)
        writer.catalog.refresh(writer.sql)

    def _apply(self, writer: Connection, write: Write, *, alone: bool) -> None:
        """One write of a group; its own error undoes only itself."""
        sql = writer.sql
        if not alone:
            sql.execute("SAVEPOINT one")
        try:
            write.result = write.work(writer)
            writer.release()
        except Exception as error:
            if type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError):
                raise
            write.error = error
            writer.undo("" if alone else "one")
        if not alone:
            sql.execute("RELEASE one")

    def _anew(self) -> None:
        """After a fault of the storage: a connection that does not remember it."""
        old = self._connection
        with contextlib.suppress(sqlite3.Error):
            old.end()
        try:
            self._connection = self._made(self._connect())
        except (sqlite3.Error, StorageError, OSError):
            old.catalog.version = -1
        else:
            old.sql.close()

    # The write-ahead log

    def _checkpoint(self, bytes_: int) -> None:
        """Move the content of the log into the file and empty it, when a long read has kept SQLite
        from doing so by itself."""
        sql = self._connection.sql
        with contextlib.suppress(sqlite3.Error):  # the next write tells about the disk
            sql.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
            busy = sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            sql.execute("PRAGMA busy_timeout = 0")
            self._checkpoint_at = bytes_ + _LONG_WAL_BYTES if busy else _LONG_WAL_BYTES


def _as_storage_error(error: Exception) -> StorageError:
    if isinstance(error, StorageError):
        return error
    if isinstance(error, sqlite3.Error):
        return storage_error(error)
    return StorageError(f"The database does not answer: {error!r}")
