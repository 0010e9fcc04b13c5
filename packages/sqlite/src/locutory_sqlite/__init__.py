"""A document database in one SQLite file, in the process, with the interface of MongoDB's driver."""

from locutory_sqlite.collection import Collection
from locutory_sqlite.database import Client, Database
from locutory_sqlite.errors import StorageError
from locutory_sqlite.opening import open_address

__all__ = ["Client", "Collection", "Database", "StorageError", "open_address"]
