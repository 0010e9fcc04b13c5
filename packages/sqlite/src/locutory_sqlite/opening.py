"""The address of a database, and opening it: the entry point ``sqlite`` of
``locutory.databases``."""

from pathlib import Path

from locutory_sqlite.database import Client
from locutory_sqlite.errors import StorageError

FILE_NAME = "database.sqlite"
"""The name of the database file in the data directory."""

_FORMER = Path("database", "WiredTiger")
"""The path, below the data directory, of a file that the built-in database of earlier versions
left."""

_SCHEME = "sqlite:"


class FormerDatabase(StorageError):
    """There is no database of this kind, but one of an earlier version."""

    advice = (
        "move it: python3 install.py --all, then locutory database copy embedded:"
        f" sqlite:{FILE_NAME} (or remove that folder to begin anew)"
    )


async def open_address(address: str, data_dir: Path, *, create: bool = True) -> Client:
    """An open client for ``sqlite:`` (``database.sqlite`` in the data directory), ``sqlite:name``
    (a path from the data directory) or ``sqlite:/path``. After a ``?`` only ``synchronous=off`` is
    supported: writes do not wait for the disk, which may lose them. ``ValueError`` for any other
    address, ``FileNotFoundError`` when there is no file and ``create`` is off, `StorageError` when
    the file cannot be opened. For ``sqlite:`` no file is created beside that of an earlier version,
    whose data the operator expects to find: `FormerDatabase`."""
    path, durable = parse_address(address, data_dir)
    former = data_dir / _FORMER
    if address.strip().lower() == _SCHEME and not path.exists() and former.exists():
        raise FormerDatabase(
            f"The folder {former.parent} holds the database of an earlier version of Locutory"
        )
    return await Client(path, create=create, durable=durable).open()


def parse_address(address: str, data_dir: Path) -> tuple[Path, bool]:
    """The file that an address names, and ``True`` when its writes wait for the disk."""
    scheme, colon, rest = address.partition(":")
    if scheme.lower() != "sqlite" or not colon:
        raise ValueError(f"the address of an SQLite database begins with '{_SCHEME}'")
    name, mark, options = rest.partition("?")
    if name.startswith("//"):
        if not name.startswith("///"):
            raise ValueError(
                "an SQLite database is a file of this machine: sqlite:/path or sqlite:///path,"
                f" not sqlite:{name}"
            )
        name = name[2:]
    if "\0" in name:
        raise ValueError("the path of an SQLite database cannot hold a null character")
    if mark and options != "synchronous=off":
        raise ValueError(
            f"'?{options}' is no option of an SQLite database: there is only ?synchronous=off,"
            " for tests"
        )
    return data_dir / (name or FILE_NAME), not mark
