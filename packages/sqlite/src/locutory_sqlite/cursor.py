"""Cursors: the results of ``find`` and ``aggregate``, read in batches."""

from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pymongo.errors import InvalidOperation

from locutory_sqlite.raw import portion
from locutory_sqlite.sorting import order_of

if TYPE_CHECKING:
    from locutory_sqlite.engine import Connection, Engine
    from locutory_sqlite.readers import Readers

T = TypeVar("T")
Document = dict[str, Any]
Open = Callable[["Connection"], Iterator[Document]]

_BATCH = 101


class ResultCursor:
    """The documents of an iterator that ``open`` makes on a reader; the reader is kept until the
    last one was read, so that they are of one state of the file."""

    def __init__(
        self, engine: "Engine", open_: Open, *, shape: Hashable = None, long: bool = False
    ) -> None:
        """``shape``: the common part of queries that take about as long; ``long``: it is known to
        take long, so it is not tried on the event loop."""
        self._engine = engine
        self._open = open_
        self._shape_known = shape
        self._long = long
        self._readers: Readers | None = None
        self._reader: Connection | None = None
        self._rows: Iterator[Document] | None = None
        self._batch: list[Document] = []
        self._at = 0
        self._done = False
        self.batch_documents = _BATCH

    @property
    def alive(self) -> bool:
        """``True`` while there may be more documents."""
        return not self._done or self._at < len(self._batch)

    def _shape(self) -> Hashable:
        return self._shape_known

    def _unread(self) -> None:
        if self._rows is not None or self._done:
            raise InvalidOperation("cannot set options after executing query")

    async def _read(self, most: int | None) -> list[Document]:
        if self._done:
            return []
        first = self._rows is None
        try:
            if self._readers is None:
                self._readers = self._engine.readers
            if self._reader is None:
                self._reader = await self._readers.lend()
            reader = self._reader

            def read() -> tuple[list[Document], bool]:
                if first or self._rows is None:
                    self._rows = self._open(reader)
                return portion(self._rows, most, reader.until_enough())

            long = self._long or not first
            found, self._done = await self._readers.run(
                reader, read, long=long, shape=self._shape()
            )
            return found
        except BaseException:
            self._done = True
            raise
        finally:
            if self._done:
                await self.close()

    async def to_list(self, length: int | None = None) -> list[Document]:
        """The remaining documents, at most ``length``."""
        left = self._batch[self._at :]
        self._batch, self._at = [], 0
        if length is None:
            while not self._done:
                left += await self._read(None)
            return left
        while len(left) < length and not self._done:
            left += await self._read(length - len(left))
        self._batch = left[length:]
        return left[:length]

    async def next(self) -> Document:
        """The next document; ``StopAsyncIteration`` after the last one."""
        if self._at >= len(self._batch):
            self._batch, self._at = await self._read(self.batch_documents), 0
            if not self._batch:
                await self.close()
                raise StopAsyncIteration
        self._at += 1
        return self._batch[self._at - 1]

    async def __anext__(self) -> Document:
        return await self.next()

    def __aiter__(self) -> AsyncIterator[Document]:
        return self

    async def close(self) -> None:
        """Give the reader back; may be called again."""
        self._done = True
        self._rows = None
        reader, self._reader = self._reader, None
        if reader is not None and self._readers is not None:
            self._readers.give_back(reader)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __del__(self) -> None:
        reader, self._reader = getattr(self, "_reader", None), None
        if reader is not None and self._readers is not None:
            self._rows = None
            self._readers.give_back(reader)


class FindCursor(ResultCursor):
    """``find``: sort, skip and limit can be set until the first document is asked for."""

    def __init__(
        self,
        engine: "Engine",
        run: Callable[["Connection", "FindCursor"], Iterator[Document]],
        plan: Callable[["Connection", "FindCursor"], Mapping[str, Any]],
        shape: Callable[["FindCursor"], Hashable],
        options: Mapping[str, Any],
        *,
        long: bool = False,
    ) -> None:
        super().__init__(engine, lambda reader: run(reader, self), long=long)
        self._shape_of = shape
        self.order = order_of(options.get("sort"))
        self.skipped = int(options.get("skip") or 0)
        self.limited = abs(int(options.get("limit") or 0))
        self.hinted = hint_name(options.get("hint"))
        self._plan = plan
        if options.get("batch_size"):
            self.batch_documents = max(int(options["batch_size"]), 1)

    def _shape(self) -> Hashable:
        return None if self._long else self._shape_of(self)

    def sort(self, key_or_list: Any, direction: int | None = None) -> Self:
        """Order by a field, or by pairs of field and direction."""
        self._unread()
        self.order = (
            order_of([(key_or_list, direction or 1)])
            if isinstance(key_or_list, str)
            else order_of(key_or_list)
        )
        return self

    def skip(self, skip: int) -> Self:
        """Leave out the first ones."""
        self._unread()
        if skip < 0:
            raise ValueError("skip must be >= 0")
        self.skipped = skip
        return self

    def limit(self, limit: int) -> Self:
        """Limit the number of documents to read; 0 is no limit."""
        self._unread()
        self.limited = abs(limit)
        return self

    def batch_size(self, batch_size: int) -> Self:
        """Set the number of documents that are read at once during iteration."""
        if batch_size < 0:
            raise ValueError("batch_size must be >= 0")
        self.batch_documents = batch_size or _BATCH
        return self

    def hint(self, index: Any) -> Self:
        """The index to use, by name or keys."""
        self._unread()
        self.hinted = hint_name(index)
        return self

    async def explain(self) -> Mapping[str, Any]:
        """``queryPlanner.winningPlan`` as the server shows it: stage, index, ranges."""
        async with self._engine.snapshot() as reader:
            return {"queryPlanner": {"winningPlan": self._plan(reader, self)}}


def hint_name(hint: Any) -> str | None:
    """The name of the index that a hint gives; by its keys only where it has the usual name."""
    if hint is None or isinstance(hint, str):
        return hint
    pairs = hint.items() if isinstance(hint, Mapping) else hint
    return "_".join(f"{path}_{way}" for path, way in pairs)
