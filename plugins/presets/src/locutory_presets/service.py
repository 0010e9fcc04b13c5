"""Presets of users: read, saved, deleted (contract presets)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Collection, Database, Raw, encode, now
from locutory_presets.config import PresetsConfig
from locutory_presets.documents import Preset
from locutory_presets.fields import Unfit

_LAST = 10_000
"""``order`` of a preset that has none."""

_DEFAULT = {"defaultPreset": "", "order": ""}


class Taken(Exception):
    """The id belongs to another preset: one of the caller's, or somebody else's."""


class Presets:
    """The collection ``presets``. ``user`` is the owner's id; the presets of others are
    never found."""

    def __init__(self, database: Database, config: PresetsConfig) -> None:
        self._database = database
        self._config = config
        self._choosing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def _presets(self) -> Collection:
        return self._database[Preset]

    async def of(self, user: str) -> list[Raw]:
        """Every preset of a user, whole: by ``order``, then the one changed last."""
        rows = await self._presets.find({"user": user}, batch_size=1000).to_list()
        rows.sort(key=_changed, reverse=True)
        rows.sort(key=_order)
        defaults = [row for row in rows if row.get("defaultPreset") is True]
        if len(defaults) > 1:
            # A crash between two writes, or LibreChat's own race. The client opens new
            # chats with the first, so that one stays.
            await self._clear(user, {"$ne": defaults[0]["_id"]})
            for row in defaults[1:]:
                row.pop("defaultPreset")
                row.pop("order", None)
            rows.sort(key=_order)
        return rows

    async def stream(self, user: str) -> AsyncIterator[Raw]:
        """Every preset of a user, in no particular order."""
        async for row in self._presets.find({"user": user}):
            yield row

    async def has(self, user: str, preset_id: str) -> bool:
        """``True`` when the user has this preset."""
        key = {"presetId": preset_id, "user": user}
        return await self._presets.find_one(key, {"_id": 1}) is not None

    async def has_default(self, user: str) -> bool:
        """``True`` when the user has chosen a default."""
        key = {"user": user, "defaultPreset": True}
        return await self._presets.find_one(key, {"_id": 1}) is not None

    async def save(
        self,
        user: str,
        preset_id: str | None,
        settings: Mapping[str, Any],
        *,
        default: bool | None = None,
        new_id: str | None = None,
        tenant: str | None = None,
        dates: Mapping[str, datetime] = MappingProxyType({}),
    ) -> Raw:
        """Upsert a preset and return the whole document; ``preset_id=None`` creates an id.
        ``default``: make it the only default, or no longer one. ``dates``: ``createdAt`` of a new
        one, ``updatedAt``. Raises `Taken` when an id is taken, `Unfit` when the preset is too large
        or there are too many."""
        if len(encode(settings)) > self._config.largest_bytes:
            raise Unfit(f"A preset must not be larger than {self._config.largest_bytes} bytes")
        if preset_id is None or not await self.has(user, preset_id):
            count = await self._presets.count_documents({"user": user}, limit=self._config.most)
            if count >= self._config.most:
                raise Unfit(f"There are {count} presets already, which is as many as may be")
        key = {"presetId": preset_id or str(uuid4()), "user": user}
        moment = now()
        changes: dict[str, Any] = {**settings, "updatedAt": dates.get("updatedAt", moment)}
        if new_id is not None:
            changes["presetId"] = new_id
        if default is not None:
            changes.pop("order", None)
        if default:
            changes |= {"defaultPreset": True, "order": 0}
        made = {
            "createdAt": dates.get("createdAt", moment),
            "title": "New Chat",
            "endpoint": None,
            "isArchived": False,
            "tags": [],
            "__v": 0,
        }
        if tenant:
            made["tenantId"] = tenant
        update: dict[str, Any] = {
            "$set": changes,
            "$setOnInsert": {name: value for name, value in made.items() if name not in changes},
        }
        if default is False:
            update["$unset"] = _DEFAULT
        if default is not True:
            return await self._write(key, update)
        # Set first, then cleared in all others: whatever runs at the same time, also on
        # another server, at most one default is left. The lock leaves exactly one.
        async with self._alone(user):
            document = await self._write(key, update)
            await self._clear(user, {"$ne": document["_id"]})
        return document

    async def delete(self, user: str, preset_id: str | None = None) -> int:
        """Delete one preset, or (``None``) all of a user; return their number."""
        key = {"user": user} if preset_id is None else {"presetId": preset_id, "user": user}
        return (await self._presets.delete_many(key)).deleted_count

    def _alone(self, user: str) -> asyncio.Lock:
        lock = self._choosing.get(user)
        if lock is None:
            lock = self._choosing[user] = asyncio.Lock()
        return lock

    async def _clear(self, user: str, which: Mapping[str, ObjectId]) -> None:
        """Take the default away from some presets; their ``updatedAt`` stays."""
        key = {"user": user, "defaultPreset": True, "_id": which}
        await self._presets.update_many(key, {"$unset": _DEFAULT})

    async def _write(self, key: Mapping[str, str], update: Mapping[str, Any]) -> Raw:
        inserted = key
        if "presetId" in update["$set"]:  # a rename: an insert takes the new id at once
            renamed = {**key, "presetId": update["$set"]["presetId"]}
            if await self._presets.find_one(dict(key), {"_id": 1}) is None:
                inserted = renamed
            key = renamed
        for _ in range(2):  # of two inserts at once, the one that loses updates
            try:
                await self._presets.update_one(dict(inserted), update, upsert=True)
                break
            except DuplicateKeyError:
                continue
        else:
            raise Taken
        document = await self._presets.find_one(dict(key))
        if document is None:  # deleted between the two
            document = {"_id": ObjectId(), **update["$setOnInsert"], **update["$set"], **key}
        return document


def _changed(row: Raw) -> float:
    moment = row.get("updatedAt")
    return moment.timestamp() if isinstance(moment, datetime) else 0


def _order(row: Raw) -> float:
    order = row.get("order")
    usable = isinstance(order, int | float) and not isinstance(order, bool) and order == order
    return float(order) if usable else _LAST  # type: ignore[arg-type]
