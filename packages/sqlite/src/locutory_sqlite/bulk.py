"""Bulk writes: as many requests in one transaction as there is time for, then the next ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from bson.errors import InvalidBSON, InvalidDocument
from pymongo.errors import WriteError

from locutory_sqlite.connection import Connection, TooLong, clock
from locutory_sqlite.engine import Engine
from locutory_sqlite.filters import Filter
from locutory_sqlite.mutations import Change, Mutations
from locutory_sqlite.writing import Writing

Result = dict[str, Any]

_COUNTS = ("nInserted", "nMatched", "nModified", "nRemoved", "nUpserted")
_AT_ONCE = 50
"""Documents that a request changes in the midst of others; one with more has turns of its own."""


@dataclass(slots=True)
class Insert:
    """One document, encoded."""

    raw: bytes


@dataclass(slots=True)
class Modify:
    """An update, or without a ``change`` a removal."""

    query: Filter
    change: Change | None
    many: bool
    upsert: bool = False


Request = Insert | Modify


class Bulk:
    """One bulk write; one request that is refused undoes only itself."""

    def __init__(
        self, engine: Engine, mutations: Mutations, requests: Sequence[Request], *, ordered: bool
    ) -> None:
        self._engine = engine
        self._mutations = mutations
        self._requests = requests
        self._ordered = ordered
        self._total: Result = {
            "writeErrors": [], "writeConcernErrors": [], "upserted": [],
            **dict.fromkeys(_COUNTS, 0),
        }  # fmt: skip

    async def run(self) -> Result:
        """The details, as the driver shows them."""
        return await self._engine.finish(self._run())

    async def _run(self) -> Result:
        at = 0
        while at < len(self._requests) and not self._stopped():
            outcomes = await self._engine.write(partial(self._portion, at))
            for outcome in outcomes or [await self._by_itself(self._requests[at])]:
                self._count(at, outcome)
                at += 1
        return self._total

    def _stopped(self) -> bool:
        return self._ordered and bool(self._total["writeErrors"])

    def _count(self, number: int, outcome: "Result | WriteError") -> None:
        total = self._total
        if isinstance(outcome, WriteError):
            details = dict(outcome.details or {})
            total["writeErrors"].append({**details, "index": number, "code": outcome.code})
            return
        for name in _COUNTS:
            total[name] += outcome.get(name, 0)
        if "upserted" in outcome:
            total["upserted"].append({"index": number, "_id": outcome["upserted"]})

    def _portion(self, at: int, writer: Connection) -> "list[Result | WriteError]":
        """The results of some of the requests from ``at`` on; none if the first takes long."""
        begun = clock()
        found: list[Result | WriteError] = []
        writing: Writing | None = None
        for request in islice(self._requests, at, None):
            if found and (writing or writer).portion_ends(begun):
                break
            try:
                if isinstance(request, Insert):
                    writing = writing or self._mutations.search.writing(writer)
                    try:
                        writing.insert(request.raw)
                    except InvalidBSON as error:  # of the caller, not of the file
                        raise InvalidDocument(str(error)) from error
                    found.append({"nInserted": 1})
                else:
                    if writing is not None:
                        writing.flush()  # it may be about what the others have written
                    found.append(self._modify(request, writer))
            except TooLong:
                break
            except WriteError as error:
                found.append(error)
                if self._ordered:
                    break
        if writing is not None:
            writing.flush()
        return found

    def _modify(self, request: Modify, writer: Connection) -> Result:
        mutations, change = self._mutations, request.change
        rows = mutations.search.rows(writer, request.query, [], many=request.many)
        if len(rows) > _AT_ONCE:
            raise TooLong
        if change is not None and len(rows) < 2:
            row = rows[0] if rows else None
            return _details(mutations.apply(request.query, change, request.upsert, writer, row))
        modified = 0
        if rows:
            writing = mutations.search.writing(writer)
            try:
                for row in rows:
                    if change is None:
                        writing.delete(row)
                    else:
                        modified += mutations.change(change, writing, row) != row[1]
            finally:
                writing.flush()
        if change is None:
            return {"nRemoved": len(rows)}
        return {"nMatched": len(rows), "nModified": modified}

    async def _by_itself(self, request: Request) -> "Result | WriteError":
        """A request that takes long."""
        assert isinstance(request, Modify)  # noqa: S101 - an insertion does not
        query, change = request.query, request.change
        if change is None:
            return {"nRemoved": await self._mutations.delete(query, many=request.many)}
        try:
            done = await self._mutations.update(
                query, change, many=request.many, upsert=request.upsert, order=[]
            )
        except WriteError as error:
            return error
        return _details(done)


def _details(done: Result) -> Result:
    """The result of an update in the words of a bulk write."""
    if "upserted" in done:
        return {"nUpserted": 1, "upserted": done["upserted"]}
    return {"nMatched": done["n"], "nModified": done["nModified"]}
