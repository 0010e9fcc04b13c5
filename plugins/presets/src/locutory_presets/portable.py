"""Presets as records of an export."""

from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any
from uuid import uuid4

from bson.errors import InvalidDocument

from locutory.bodies import drop_operators
from locutory.database import Raw
from locutory_contracts.portability import Record
from locutory_presets.fields import READERS, default_of, preset_id, settings_of
from locutory_presets.service import Presets, Taken

KIND = "preset"


class PortablePresets:
    """Records ``{kind, presetId, title, …}`` (`locutory_contracts.portability.Portable`)."""

    rank = 30

    def __init__(self, presets: Presets) -> None:
        self._presets = presets

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every preset of a user."""
        async for row in self._presets.stream(user):
            kept = {name: row[name] for name in READERS if name in row}
            yield {"kind": KIND, "presetId": row["presetId"], **kept}

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one preset. It gets a new id when somebody else has its old one; a
        default that the user has chosen stays."""
        given = preset_id(record)
        settings, default = drop_operators(settings_of(record)), default_of(record)
        if given is not None and await self._presets.has(user, given):
            return False
        if default and await self._presets.has_default(user):
            default = False
        try:
            document = await self._save(user, given, settings, default)
        except (InvalidDocument, OverflowError) as error:
            raise ValueError("A preset holds what cannot be stored") from error
        if given is not None:
            ids[given] = document["presetId"]
        return True

    async def _save(
        self, user: str, given: str | None, settings: Mapping[str, Any], default: bool | None
    ) -> Raw:
        try:
            return await self._presets.save(user, given, settings, default=default)
        except Taken:
            return await self._presets.save(user, str(uuid4()), settings, default=default)
