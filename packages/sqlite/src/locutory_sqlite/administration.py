"""Indexes of a collection, and the collection itself: made, renamed, removed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import bson
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError
from pymongo.operations import IndexModel

from locutory_sqlite.catalog import STORED
from locutory_sqlite.cursor import ResultCursor, hint_name
from locutory_sqlite.errors import INDEX_NOT_FOUND, invalid
from locutory_sqlite.indexes import Index
from locutory_sqlite.mutations import Mutations
from locutory_sqlite.options import check_options

if TYPE_CHECKING:
    from locutory_sqlite.engine import Connection, Engine

Document = dict[str, Any]


class Administration:
    """The methods of a `Collection` that are not about its documents."""

    name: str
    full_name: str
    _engine: "Engine"
    _mutations: Mutations

    async def create_index(self, keys: Any, **options: Any) -> str:
        """Make an index; its name."""
        return (await self.create_indexes([IndexModel(keys, **options)]))[0]

    async def create_indexes(self, indexes: Sequence[IndexModel], **options: Any) -> list[str]:
        """Make indexes; those that are there stay. ``OperationFailure`` where one of the same
        name or keys differs, or where stored documents are not unique."""
        check_options(options)
        wanted = [
            Index.from_document(bson.decode(bson.encode(model.document), STORED))
            for model in indexes
        ]
        try:
            return await self._mutations.create_indexes(wanted)
        except DuplicateKeyError:
            raise
        except WriteError as error:
            raise OperationFailure(str(error), error.code, error.details) from error

    async def index_information(self, **_options: Any) -> dict[str, Any]:
        """The indexes by name, as the driver shows them."""
        found = {}
        for document in await (await self.list_indexes()).to_list():
            name = document.pop("name")
            found[name] = {**document, "key": list(document["key"].items())}
        return found

    async def list_indexes(self, **_options: Any) -> ResultCursor:
        """A cursor over the definitions."""

        def rows(reader: "Connection") -> Iterator[Document]:
            stored = reader.catalog.collections.get(self.name)
            return iter([index.to_document() for index in stored.all_indexes] if stored else [])

        return ResultCursor(self._engine, rows)

    async def drop_index(self, index_or_name: Any, **_options: Any) -> None:
        """Remove an index; ``OperationFailure`` if it is not there."""
        name = hint_name(index_or_name)
        if name == "_id_":
            raise invalid("cannot drop _id index", 72)

        def work(writer: "Connection") -> None:
            stored = writer.catalog.collections.get(self.name)
            for index in stored.indexes if stored else ():
                if index.name == name:
                    writer.catalog.drop_index(writer.sql, index)
                    return
            raise invalid(f"index not found with name [{name}]", INDEX_NOT_FOUND)

        await self._engine.write(work)

    async def drop_indexes(self, **_options: Any) -> None:
        """Remove every index but that of ``_id``."""

        def work(writer: "Connection") -> None:
            stored = writer.catalog.collections.get(self.name)
            for index in list(stored.indexes) if stored else ():
                writer.catalog.drop_index(writer.sql, index)

        await self._engine.write(work)

    async def drop(self, **_options: Any) -> None:
        """Remove the collection with its documents and indexes."""
        await self._engine.write(lambda writer: writer.catalog.drop(writer.sql, self.name))

    async def rename(self, new_name: str, **options: Any) -> None:
        """Give it another name; ``dropTarget`` removes a collection of that name first."""

        def work(writer: "Connection") -> None:
            catalog = writer.catalog
            if self.name not in catalog.collections:
                raise invalid(f"Source collection {self.full_name} does not exist", 26)
            if new_name in catalog.collections:
                if not options.get("dropTarget"):
                    raise invalid("target namespace exists", 48)
                catalog.drop(writer.sql, new_name)
            catalog.rename(writer.sql, self.name, new_name)

        await self._engine.write(work)
