"""The file of the built-in index: schema, connections, the lock of its sync."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from locutory import Problem, StartupError

VERSION = 1
"""The version of the schema and of `locutory_search.words`; another version uses another file."""

BUSY_SECONDS = 30.0
"""The seconds for which a write waits for another process."""

_WEIGHTS = {"conversations": 1.0, "messages": 0.5}
"""Of the first column; the second has 1."""

# A word is stored as "<owner in base 36, four digits>:<word>", see `owner_prefix`: the index is
# in effect one for each user. So the lengths of the prefix index are those of two and three
# letters. What was indexed is kept in first/second: FTS5 needs it again to remove it.
_TABLES = """
CREATE TABLE {kind} (
  row INTEGER PRIMARY KEY,
  owner INTEGER NOT NULL,
  id TEXT NOT NULL,
  conversation TEXT NOT NULL,
  stamp INTEGER NOT NULL,
  expires INTEGER,
  first TEXT NOT NULL,
  second TEXT NOT NULL,
  UNIQUE (owner, id)
);
CREATE INDEX {kind}_conversation ON {kind} (owner, conversation);
CREATE INDEX {kind}_expires ON {kind} (expires) WHERE expires IS NOT NULL;
CREATE VIRTUAL TABLE {kind}_words USING fts5(
  first, second, content='', prefix='7 8', tokenize="ascii tokenchars ':'"
);
INSERT INTO {kind}_words ({kind}_words, rank) VALUES ('rank', 'bm25({weight}, 1.0)');
CREATE VIRTUAL TABLE {kind}_terms USING fts5vocab({kind}_words, 'row');
"""
_COMMON = """
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (owner INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL UNIQUE);
CREATE TABLE gone (
  key BLOB PRIMARY KEY, before INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE pending (
  what TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (what, user, id)
) WITHOUT ROWID;
"""

Connection = sqlite3.Connection


def owner_prefix(owner: int) -> str:
    """The prefix of every word of a user."""
    digits = ""
    while owner:
        owner, digit = divmod(owner, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits.rjust(4, "0") + ":"


def check_fts5() -> None:
    """`StartupError` when this Python's SQLite has no FTS5."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(a, content='', prefix='2')")
    except sqlite3.OperationalError:
        raise StartupError(
            Problem(
                "search",
                f"the SQLite {sqlite3.sqlite_version} of this Python has no FTS5",
                "use a Python whose SQLite has it, set MEILI_HOST and MEILI_MASTER_KEY, or "
                "switch search off: plugins.disabled: [search]",
                "search",
            )
        ) from None
    finally:
        connection.close()


class IndexFile:
    """The place of the index, and opening it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / f"index-{VERSION}.sqlite3"

    def open(self, *, make: bool) -> "Opened":
        """Open a connection for use in one thread. ``make``: for writing, and a missing file is
        created; otherwise for reading. Raises ``sqlite3.Error``, ``OSError``."""
        if make:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.path.exists():  # words of all users: nobody else's to read
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        elif not self.path.exists():
            raise FileNotFoundError(self.path)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            if make:
                _write_ahead(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA secure_delete = ON")
                _make_tables(connection)
            else:
                connection.execute("PRAGMA query_only = ON")
                if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                    raise FileNotFoundError(self.path)  # another process is making it
            return Opened(connection, self.path.stat().st_ino)
        except BaseException:
            connection.close()
            raise

    def is_current(self, opened: "Opened") -> bool:
        """``True`` when a connection's file is still the one on disk. Another process may have
        replaced a broken one."""
        try:
            return self.path.stat().st_ino == opened.inode
        except OSError:
            return False

    def discard(self) -> None:
        """Remove the file, for a new one to be built."""
        for suffix in ("-wal", "-shm", ""):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def discard_others(self) -> None:
        """Remove the files of other versions."""
        for path in self.folder.glob("index-*.sqlite3*"):
            if not path.name.startswith(self.path.name):
                path.unlink(missing_ok=True)

    def discard_all(self) -> None:
        """Remove the index in every version."""
        for path in self.folder.glob("index-*.sqlite3*"):
            path.unlink(missing_ok=True)

    def bytes(self) -> int:
        """The size on disk in bytes, including the log that is not yet written back."""
        paths = [Path(f"{self.path}{suffix}") for suffix in ("", "-wal")]
        return sum(path.stat().st_size for path in paths if path.exists())


class Opened:
    """A connection, and which file it is on."""

    def __init__(self, connection: Connection, inode: int) -> None:
        self.connection = connection
        self.inode = inode


class SyncLock:
    """The lock of the process on a host that reads the feed; the system frees it with its process.
    A lock of SQLite's, since that works wherever the index does."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "follower.lock"
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """Take the lock or keep it; false when another process has it."""
        if self._connection is not None:
            return True
        connection = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            connection.close()
            return False
        self._connection = connection
        return True

    def release(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _write_ahead(connection: Connection) -> None:
    """SQLite does not wait for a lock when it changes the journal, so several processes that
    make the file at once get in each other's way."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _make_tables(connection: Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        script = _COMMON
        for kind, weight in _WEIGHTS.items():
            script += _TABLES.format(kind=kind, weight=weight)
        for statement in script.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """One write; other processes wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
