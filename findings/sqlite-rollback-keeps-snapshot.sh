#!/bin/sh
# SQLite in WAL mode: after ROLLBACK a connection says that it is in no transaction, and goes on to
# see the old state of the file, through later BEGINs too, as long as one SELECT of the ended
# transaction was not read to its end. A pool that gives such a connection to the next reader
# serves stale rows, without any error. In Python the traceback of an exception is enough to keep
# the statement alive.
# Exits 1 when a newer version behaves otherwise.
set -eu
APSW=3.54.1.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "apsw==$APSW"
cat >"$folder/run.py" <<'PY'
import os
import sys

import apsw

path = os.path.join(sys.argv[1], "notes.db")
writer, pooled = apsw.Connection(path), apsw.Connection(path)
writer.pragma("journal_mode", "wal")
writer.execute("CREATE TABLE notes (number INTEGER)")
writer.executemany("INSERT INTO notes VALUES (?)", [(number,) for number in range(10)])


def count() -> int:
    """What a new transaction of the pooled connection sees."""
    pooled.execute("BEGIN")
    found = pooled.execute("SELECT count(*) FROM notes").fetchall()[0][0]
    pooled.execute("ROLLBACK")
    return found


def lookup():
    rows = pooled.execute("SELECT number FROM notes")
    for (number,) in rows:
        raise LookupError(number)


pooled.execute("BEGIN")
try:
    lookup()
except LookupError as error:
    kept = error  # as a log record or a task keeps it
pooled.execute("ROLLBACK")
print("SQLite", apsw.sqlite_lib_version(), "- in a transaction after ROLLBACK:", pooled.in_transaction)
writer.execute("INSERT INTO notes VALUES (10)")
stale = count()
del kept
fresh = count()
print("rows written: 11; a new transaction sees", stale, "and, with the error forgotten,", fresh)
sys.exit(0 if (stale, fresh) == (10, 11) else 1)
PY
"$folder/venv/bin/python" "$folder/run.py" "$folder"
