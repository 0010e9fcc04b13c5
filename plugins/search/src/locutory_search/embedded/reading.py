"""Searching the built-in index. Everything here runs in a reader's thread."""

# ruff: noqa: S608  (table names come from a list of two)

import sqlite3
import time
from collections.abc import Iterator, Sequence

from locutory_search.backend import now_ms
from locutory_search.embedded.file import Connection, owner_prefix
from locutory_search.embedded.queries import Query, parse
from locutory_search.embedded.spelling import similar
from locutory_search.embedded.writing import owner_of
from locutory_search.entries import Kind

SECONDS = 2.0
"""The seconds after which a search ends with its results so far."""

_STEPS = 20_000
"""Instructions of SQLite's machine between two looks at the clock."""

Hit = tuple[str, str]
"""(id, conversation)"""


class OutOfTime(Exception):
    """The search took too long, and nothing was found until then."""


def search(connection: Connection, kind: Kind, user: str, text: str, limit: int) -> list[Hit]:
    """The best hits first: those with the words as they are, the last one as the beginning of
    a word; then with every word as a beginning; without any hit those with slips of the pen,
    then those with some of the words."""
    query, owner = parse(text), owner_of(connection, user)
    if owner is None or not query.runs:
        return []
    deadline = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    found: dict[Hit, None] = {}
    try:
        for expression in _expressions(connection, kind, owner, query, found, limit):
            found.update(dict.fromkeys(_hits(connection, kind, owner, expression, limit)))
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        if not found:
            raise OutOfTime from None
    finally:
        connection.set_progress_handler(None, 0)
    return list(found)[:limit]


def _expressions(
    connection: Connection,
    kind: Kind,
    owner: int,
    query: Query,
    found: dict[Hit, None],
    limit: int,
) -> Iterator[str]:
    prefix = owner_prefix(owner)
    yield query.exact(prefix)
    if len(query.runs) > 1 and len(found) < limit:
        yield query.beginnings(prefix)
    if found:
        return
    yield from query.torn(prefix)
    if not found:
        meant = similar(connection, kind, prefix, query)
        if meant:
            yield query.corrected(prefix, meant)
    if not found and len(query.runs) > 1:
        yield query.some(prefix)


def _hits(
    connection: Connection, kind: Kind, owner: int, expression: str, limit: int
) -> Sequence[Hit]:
    return connection.execute(
        f"SELECT d.id, d.conversation FROM {kind}_words w CROSS JOIN {kind} d ON d.row = w.rowid"
        f" WHERE w.{kind}_words MATCH ? AND d.owner = ?"
        " AND (d.expires IS NULL OR d.expires > ?) ORDER BY w.rank LIMIT ?",
        (expression, owner, now_ms(), limit),
    ).fetchall()
