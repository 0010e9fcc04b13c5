"""The database interface that the server uses, and the opening of databases by address."""

from locutory_database.collections import (
    Collection,
    CollectionsByName,
    Cursor,
    DatabaseClient,
    Raw,
    ResultCursor,
)
from locutory_database.opening import (
    EMBEDDED,
    GROUP,
    DatabaseUnusable,
    Opener,
    address_fault,
    open_database,
)

__all__ = [
    "EMBEDDED",
    "GROUP",
    "Collection",
    "CollectionsByName",
    "Cursor",
    "DatabaseClient",
    "DatabaseUnusable",
    "Opener",
    "Raw",
    "ResultCursor",
    "address_fault",
    "open_database",
]
