"""Changes of the built-in index. Everything here runs in the writer's thread, in short
transactions: other processes write in between."""

# ruff: noqa: S608  (table names come from a list of two)

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from locutory_search.backend import now_ms
from locutory_search.embedded.file import Connection, owner_prefix, transaction
from locutory_search.entries import KINDS, Entry, Kind
from locutory_search.words import words

_FOR_EVER = 2**62

Row = tuple[int, str, str]
"""(row, first, second)"""


def apply(
    connection: Connection,
    entries: Iterable[Entry],
    *,
    position: tuple[Kind, str | None, str] | None = None,
    added: tuple[str, str] | None = None,
) -> bool:
    """Bring documents up to date. An older state never replaces a newer one.

    ``position``: (kind, where the feed was read from, where to go on), stored together with
    the rows; when somebody else has moved it, nothing is done and the answer is false.
    ``added``: the conversation (user, id) that waited for this.
    """
    prepared = [
        (entry, " ".join(words(entry.first)), " ".join(words(entry.second))) for entry in entries
    ]
    with transaction(connection):
        if position is not None and state(connection, f"position.{position[0]}") != position[1]:
            return False
        if added is not None:
            connection.execute(
                "DELETE FROM pending WHERE what = 'add' AND user = ? AND id = ?", added
            )
        guarded = connection.execute("SELECT 1 FROM gone LIMIT 1").fetchone() is not None
        for entry, first, second in prepared:
            if not (guarded and _is_gone(connection, entry)):
                _put(connection, entry, first, second)
        if position is not None and position[1] != position[2]:
            set_state(connection, f"position.{position[0]}", position[2])
    return True


def _put(connection: Connection, entry: Entry, first: str, second: str) -> None:
    owner, kind = owner_of(connection, entry.user), entry.kind
    if owner is None:
        if not entry.wanted:
            return
        owner = connection.execute("INSERT INTO owners (user) VALUES (?)", (entry.user,)).lastrowid
        if owner is None:
            raise RuntimeError("SQLite gave no row")
    stored = connection.execute(
        f"SELECT row, stamp, expires, first, second FROM {kind} WHERE owner = ? AND id = ?",
        (owner, entry.id),
    ).fetchone()
    if stored is not None:
        row, stamp, expires, old_first, old_second = stored
        if entry.stamp < stamp:
            return
        same = (old_first, old_second, expires) == (first, second, entry.expires)
        if entry.wanted and same:
            if entry.stamp != stamp:
                connection.execute(f"UPDATE {kind} SET stamp = ? WHERE row = ?", (entry.stamp, row))
            return
        _remove(connection, kind, owner, [(row, old_first, old_second)])
    if entry.wanted:
        row = connection.execute(
            f"INSERT INTO {kind} (owner, id, conversation, stamp, expires, first, second)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (owner, entry.id, entry.conversation_id, entry.stamp, entry.expires, first, second),
        ).lastrowid
        prefix = owner_prefix(owner)
        connection.execute(
            f"INSERT INTO {kind}_words (rowid, first, second) VALUES (?, ?, ?)",
            (row, _marked(prefix, first), _marked(prefix, second)),
        )


def _marked(prefix: str, text: str) -> str:
    """Every word with its owner before it."""
    return prefix + text.replace(" ", " " + prefix) if text else ""


def _remove(connection: Connection, kind: Kind, owner: int, rows: Sequence[Row]) -> None:
    prefix = owner_prefix(owner)
    connection.executemany(
        f"INSERT INTO {kind}_words ({kind}_words, rowid, first, second) VALUES ('delete', ?, ?, ?)",
        [(row, _marked(prefix, first), _marked(prefix, second)) for row, first, second in rows],
    )
    connection.executemany(f"DELETE FROM {kind} WHERE row = ?", [(row,) for row, _, _ in rows])
    set_state(connection, "traces", "some")


def owner_of(connection: Connection, user: str) -> int | None:
    """The number of a user."""
    found = connection.execute("SELECT owner FROM owners WHERE user = ?", (user,)).fetchone()
    return None if found is None else int(found[0])


def state(connection: Connection, name: str) -> str | None:
    """A stored value."""
    found = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


def set_state(connection: Connection, name: str, value: str | None) -> None:
    """Store a value; ``None`` removes it."""
    if value is None:
        connection.execute("DELETE FROM state WHERE name = ?", (name,))
    else:
        connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


# Deletions. A copy of a deleted document may still be on its way here: in a page of the feed
# that was read before, or in the queue of another process. So each deletion leaves a hash.


def _hash(user: str, kind: str = "", own: str = "") -> bytes:
    return blake2b(f"{kind}\0{user}\0{own}".encode("utf-8", "replace"), digest_size=16).digest()


def _is_gone(connection: Connection, entry: Entry) -> bool:
    keys = (
        _hash(entry.user),
        _hash(entry.user, "conversation", entry.conversation_id),
        _hash(entry.user, "message", entry.id),
    )
    before = connection.execute(
        "SELECT max(before) FROM gone WHERE key IN (?, ?, ?)", keys
    ).fetchone()[0]
    return before is not None and entry.stamp <= before


def add_pending(
    connection: Connection, target: str, user: str, ids: Sequence[str], kept_ms: int
) -> None:
    """Note pending work. ``target``: ``add`` a conversation that is to be read; or delete a
    ``conversation``, a ``message`` or a ``user`` (no ids), which `apply_deletions` does."""
    now = now_ms()
    with transaction(connection):
        if target == "add":
            keys = [(_hash(user, "conversation", own),) for own in ids]
            connection.executemany("DELETE FROM gone WHERE key = ?", keys)
        else:
            before = _FOR_EVER if target == "user" else now
            hashes = (
                [_hash(user)] if target == "user" else [_hash(user, target, own) for own in ids]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO gone VALUES (?, ?, ?)",
                [(key, before, now + kept_ms) for key in hashes],
            )
        connection.executemany(
            "INSERT OR IGNORE INTO pending VALUES (?, ?, ?)",
            [(target, user, own) for own in (ids or ("",))],
        )


def apply_deletions(connection: Connection, rows: int = 200) -> bool:
    """Delete about ``rows`` of the rows that are to be deleted; ``True`` when there are more."""
    with transaction(connection):
        left = rows
        waiting = connection.execute(
            "SELECT what, user, id FROM pending WHERE what <> 'add' LIMIT ?", (rows,)
        ).fetchall()
        for target, user, own in waiting:
            left -= 1 + _delete(connection, target, user, own, left)
            if left <= 0:
                return True
            connection.execute(
                "DELETE FROM pending WHERE what = ? AND user = ? AND id = ?", (target, user, own)
            )
            if target == "user":
                connection.execute("DELETE FROM owners WHERE user = ?", (user,))
                connection.execute("DELETE FROM pending WHERE user = ?", (user,))
                set_state(connection, "urgent", "yes")
        return len(waiting) == rows


def _delete(connection: Connection, target: str, user: str, own: str, limit: int) -> int:
    """Delete at most ``limit`` rows of a user, conversation or message; return their number."""
    owner = owner_of(connection, user)
    if owner is None:
        return 0
    kinds: tuple[Kind, ...] = ("messages",) if target == "message" else KINDS
    column = {"message": " AND id = ?", "conversation": " AND conversation = ?"}.get(target, "")
    values = (owner, own) if column else (owner,)
    count = 0
    for kind in kinds:
        found = connection.execute(
            f"SELECT row, first, second FROM {kind} WHERE owner = ?{column} LIMIT ?",
            (*values, limit - count),
        ).fetchall()
        if found:
            _remove(connection, kind, owner, found)
            count += len(found)
    return count


def waiting_additions(connection: Connection, limit: int) -> list[tuple[str, str]]:
    """Conversations (user, id) that are to be read and indexed."""
    return connection.execute(
        "SELECT user, id FROM pending WHERE what = 'add' LIMIT ?", (limit,)
    ).fetchall()


def expire(connection: Connection, rows: int = 200) -> bool:
    """Remove some expired rows, and old hashes of deletions; ``True`` when there are more."""
    now, more = now_ms(), False
    with transaction(connection):
        connection.execute("DELETE FROM gone WHERE until < ?", (now,))
        for kind in KINDS:
            found = connection.execute(
                f"SELECT row, first, second, owner FROM {kind} WHERE expires <= ? LIMIT ?",
                (now, rows),
            ).fetchall()
            for row, first, second, owner in found:
                _remove(connection, kind, owner, [(row, first, second)])
            more |= len(found) == rows
    return more


# Traces. FTS5 marks deleted words, and only merging its segments removes them.


def purge_is_due(connection: Connection, period_ms: float) -> bool:
    """``True`` when the traces of deletions have to be removed."""
    if state(connection, "urgent") is not None:
        return True
    if state(connection, "traces") is None:
        return False
    last = state(connection, "purged")
    if last is not None and now_ms() - int(last) < period_ms:
        return False
    if last is None:  # the first period begins now
        with transaction(connection):
            set_state(connection, "purged", str(now_ms()))
        return False
    return True


def begin_purge(connection: Connection) -> None:
    """Prepare the merging of everything (`purge` goes on with it)."""
    with transaction(connection):
        for name in ("traces", "urgent"):
            if state(connection, name) is not None:
                set_state(connection, name, "being removed")
        for kind in KINDS:
            connection.execute(
                f"INSERT INTO {kind}_words ({kind}_words, rank) VALUES ('merge', -16)"
            )


def purge(connection: Connection, pages: int = 128) -> bool:
    """Merge some pages; ``True`` when there are more."""
    more = False
    for kind in KINDS:
        with transaction(connection):
            before = connection.total_changes
            connection.execute(
                f"INSERT INTO {kind}_words ({kind}_words, rank) VALUES ('merge', ?)", (pages,)
            )
            more |= connection.total_changes - before >= 2
    return more


def end_purge(connection: Connection) -> bool:
    """Write everything back and empty the log, in which old pages are. False when somebody
    still reads old ones."""
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        return False
    with transaction(connection):
        for name in ("traces", "urgent"):
            if state(connection, name) == "being removed":  # else more was deleted meanwhile
                set_state(connection, name, None)
        set_state(connection, "purged", str(now_ms()))
    return True


def wipe(connection: Connection) -> None:
    """Forget everything, so that the feed is read from its beginning."""
    with transaction(connection):
        for kind in KINDS:
            connection.execute(f"DELETE FROM {kind}")
            connection.execute(f"INSERT INTO {kind}_words ({kind}_words) VALUES ('delete-all')")
        connection.execute("DELETE FROM owners")
        connection.execute("DELETE FROM state WHERE name LIKE 'position.%'")


def identify(connection: Connection, database: str) -> None:
    """Record the database that this is the index of; the index of another one is deleted."""
    known = state(connection, "database")
    if known == database:
        return
    if known is not None:
        wipe(connection)
    with transaction(connection):
        set_state(connection, "database", database)


def summary(connection: Connection) -> Mapping[str, object]:
    """Numbers of rows and users, positions, and pending work."""
    found: dict[str, object] = {
        kind: connection.execute(f"SELECT count(*) FROM {kind}").fetchone()[0] for kind in KINDS
    }
    found["users"] = connection.execute("SELECT count(*) FROM owners").fetchone()[0]
    found["waiting"] = connection.execute("SELECT count(*) FROM pending").fetchone()[0]
    found["position"] = {kind: state(connection, f"position.{kind}") for kind in KINDS}
    return found
