"""Rows as they are sent, with the text of the version in use."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from locutory import encode
from locutory_prompts.listing.entries import Entry
from locutory_prompts.service import FIRST_ID, Prompts, chunks

_OVERHEAD = 500  # bytes of a remembered row beside its text
_MANY = 500  # versions to read at once


class Rows:
    """Makes rows, and remembers them within ``most`` bytes. A row stays right as long as its
    group is unchanged, because the text of a version never changes."""

    def __init__(self, prompts: Prompts, most: int) -> None:
        self._prompts = prompts
        self._most = most
        self._used = 0
        self._rows: OrderedDict[ObjectId, tuple[Entry, bytes]] = OrderedDict()

    async def encoded(self, entries: Sequence[Entry]) -> dict[ObjectId, bytes]:
        """The rows as JSON, without ``isPublic``."""
        found: dict[ObjectId, bytes] = {}
        missing = []
        for entry in entries:
            known = self._rows.get(entry.id)
            if known is not None and (known[0] is entry or known[0].row == entry.row):
                self._rows.move_to_end(entry.id)
                found[entry.id] = known[1]
            else:
                missing.append(entry)
        texts = await self._texts([entry.production for entry in missing if entry.production])
        for entry in missing:
            prompt = None if entry.production is None else texts.get(entry.production)
            found[entry.id] = row = encode({**entry.row, "productionPrompt": prompt})
            if prompt is not None:
                self._keep(entry, row)
        return found

    async def _texts(self, versions: Sequence[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
        stored, text = self._prompts.prompts, {"prompt": 1}
        found: dict[ObjectId, dict[str, Any]] = {}
        most = len(versions) > _MANY
        if most and await stored.estimated_document_count() <= 3 * len(versions):
            # Most of what there is: read through once, which is four times as fast.
            wanted = set(versions)
            async for prompt in stored.find({"_id": {"$gt": FIRST_ID}}, text):
                if prompt["_id"] in wanted:
                    found[prompt["_id"]] = prompt
            return found
        for chunk in chunks(versions):
            read = stored.find({"_id": {"$in": chunk}}, text)
            found.update({prompt["_id"]: prompt for prompt in await read.to_list()})
        return found

    def _keep(self, entry: Entry, row: bytes) -> None:
        self._drop(entry.id)
        size = len(row) + _OVERHEAD
        if size > self._most // 10:
            return
        self._rows[entry.id] = (entry, row)
        self._used += size
        while self._used > self._most:
            self._drop(next(iter(self._rows)))

    def _drop(self, group: ObjectId) -> None:
        known = self._rows.pop(group, None)
        if known is not None:
            self._used -= len(known[1]) + _OVERHEAD


def join(entries: Sequence[Entry], rows: dict[ObjectId, bytes], public: set[str]) -> bytes:
    """A JSON array of rows; those of ``public`` say so."""
    parts = []
    for entry in entries:
        row = rows[entry.id]
        if str(entry.id) in public:
            row = row[:-1] + b',"isPublic":true}'
        parts.append(row)
    return b"[" + b",".join(parts) + b"]"
