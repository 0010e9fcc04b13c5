"""Records about a Meilisearch, of the servers that share it, in the database."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError

from locutory import Database
from locutory_search.backend import DeletionTarget, now_ms
from locutory_search.documents import SearchRecord
from locutory_search.entries import Entry, Kind

KEPT = timedelta(hours=1)
"""The time for which a deletion keeps out late copies of the deleted records."""

_CHUNK = 500
_FOR_EVER = 2**53
_DUPLICATE = 11000
_POSITIONS = "meilisearch"


class Records:
    """Positions, deletions, ends, additions (`SearchRecord`)."""

    def __init__(self, database: Database, address: str) -> None:
        self._database = database
        self._address = blake2b(address.encode(), digest_size=8).hexdigest()

    async def position(self, kind: Kind) -> str | None:
        """The position up to which the feed was read for this Meilisearch, or ``None``."""
        found = await self._rows.find_one({"_id": _POSITIONS, "address": self._address})
        return None if found is None else found.get(kind)

    async def move(self, kind: Kind, position: str | None, following: str) -> bool:
        """Go on there; false, and nothing is done, when the position is another one by now:
        everything is to be sent again, or another server was faster."""
        key = {"_id": _POSITIONS, "address": self._address}
        moved = await self._rows.update_one({**key, kind: position}, {"$set": {kind: following}})
        if moved.matched_count or position is not None:
            return bool(moved.matched_count)
        # Nothing is known of this Meilisearch; of another one it does not count any more.
        await self._rows.delete_one({"_id": _POSITIONS, "address": {"$ne": self._address}})
        try:
            await self._rows.insert_one({**key, kind: following})
        except DuplicateKeyError:
            return False
        return True

    async def forget_positions(self) -> None:
        """Begin again."""
        await self._rows.delete_one({"_id": _POSITIONS})

    async def note_gone(self, target: DeletionTarget, user: str, ids: Sequence[str]) -> None:
        """Remember a deletion for a while."""
        before = _FOR_EVER if target == "user" else now_ms()
        forget = datetime.now(UTC) + KEPT
        keys = [_gone(target, user, own) for own in (ids or ("",))]
        await self._replace(
            {"_id": key, "what": "gone", "before": before, "forgetAt": forget} for key in keys
        )

    async def gone(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of ``entries`` that were deleted after they were read."""
        keys: dict[str, list[Entry]] = {}
        for entry in entries:
            for key in (
                _gone("user", entry.user, ""),
                _gone("conversation", entry.user, entry.conversation_id),
                _gone("message", entry.user, entry.id),
            ):
                keys.setdefault(key, []).append(entry)
        found = await self._rows.find({"_id": {"$in": list(keys)}}, {"before": 1}).to_list()
        late = {
            (entry.kind, entry.id): entry
            for row in found
            for entry in keys[row["_id"]]
            if entry.stamp <= row["before"]
        }
        return list(late.values())

    async def note_added(self, user: str, conversation_ids: Sequence[str]) -> None:
        """Remember conversations that are to be indexed."""
        for start in range(0, len(conversation_ids), _CHUNK):
            ids = conversation_ids[start : start + _CHUNK]
            keys = [_gone("conversation", user, own) for own in ids]
            await self._rows.delete_many({"_id": {"$in": keys}})
            await self._replace(
                {"_id": f"add:{user}:{own}", "what": "add", "user": user, "id": own} for own in ids
            )

    async def additions(self, limit: int) -> list[Mapping[str, Any]]:
        """Some of those conversations."""
        found: list[Mapping[str, Any]]
        found = await self._rows.find({"what": "add"}).limit(limit).to_list()
        return found

    async def is_added(self, row: Mapping[str, Any]) -> None:
        """One of them is indexed."""
        await self._rows.delete_one({"_id": row["_id"]})

    async def note_ends(self, entries: Iterable[Entry]) -> None:
        """Remember when documents end."""
        rows = [
            {
                "_id": f"end:{entry.kind}:{entry.id}",
                "what": "end",
                "kind": entry.kind,
                "id": entry.id,
                "user": entry.user,
                "endsAt": datetime.fromtimestamp(entry.expires / 1000, UTC),
            }
            for entry in entries
            if entry.expires is not None
        ]
        if rows:
            await self._replace(rows)

    async def ended(self, limit: int) -> list[Mapping[str, Any]]:
        """Some documents that have ended."""
        key = {"what": "end", "endsAt": {"$lte": datetime.now(UTC)}}
        found: list[Mapping[str, Any]] = await self._rows.find(key).limit(limit).to_list()
        return found

    async def forget_ends(self, kind: Kind, ids: Sequence[str]) -> None:
        """They are not in the index any more."""
        for start in range(0, len(ids), _CHUNK):
            keys = [f"end:{kind}:{own}" for own in ids[start : start + _CHUNK]]
            await self._rows.delete_many({"_id": {"$in": keys}})

    async def forget_user(self, user: str) -> None:
        """Whatever names a user."""
        await self._rows.delete_many({"user": user})

    @property
    def _rows(self) -> Any:
        return self._database[SearchRecord]

    async def _replace(self, rows: Iterable[dict[str, Any]]) -> None:
        by_key = {row["_id"]: row for row in rows}
        keys = list(by_key)
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            await self._rows.delete_many({"_id": {"$in": chunk}})
            try:
                await self._rows.insert_many([by_key[key] for key in chunk], ordered=False)
            except BulkWriteError as error:  # another server writes the same
                if any(e["code"] != _DUPLICATE for e in error.details["writeErrors"]):
                    raise


def _gone(target: str, user: str, own: str) -> str:
    key = f"{target}\0{user}\0{own}".encode("utf-8", "replace")
    return "gone:" + blake2b(key, digest_size=16).hexdigest()
