"""The account data of this plugin: the presets of a user."""

from collections.abc import AsyncIterator, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from bson.errors import InvalidDocument
from pydantic import ValidationError

from locutory import Raw, drop_operators, now, wording
from locutory_contracts.account_data import AccountData, Record
from locutory_presets.fields import READERS, PresetFields
from locutory_presets.service import Presets, Taken

_DATES = ("createdAt", "updatedAt")  # the list is in the order of the second


class PresetData(AccountData):
    """Records ``{kind, presetId, title, …, createdAt, updatedAt}``."""

    kind = "preset"
    rank = 30

    def __init__(self, presets: Presets) -> None:
        self._presets = presets

    async def export(self, user: str) -> AsyncIterator[Record]:
        """Every preset of a user."""
        async for row in self._presets.stream(user):
            kept = {name: row[name] for name in (*READERS, *_DATES) if name in row}
            yield {"kind": self.kind, "presetId": row["presetId"], **kept}

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one preset. It gets a new id when somebody else has its old one, the same
        one whenever it is restored; a default that the user has chosen stays."""
        try:
            fields = PresetFields.model_validate(record)
        except ValidationError as error:
            raise ValueError(wording(error)) from None
        given, default = fields.preset_id, fields.default_preset
        settings = drop_operators(fields.settings)
        dates = {name: _moment(record[name]) for name in _DATES if record.get(name) is not None}
        if given is not None:
            for known in (given, _derived(user, given)):
                if await self._presets.has(user, known):
                    ids[given] = known
                    return False
        if default and await self._presets.has_default(user):
            default = False
        try:
            document = await self._save(user, given, settings, default, dates)
        except (InvalidDocument, OverflowError) as error:
            raise ValueError("A preset holds what cannot be stored") from error
        if given is not None:
            ids[given] = document["presetId"]
        return True

    async def erase(self, user: str) -> None:
        """Delete every preset of the user."""
        await self._presets.delete(user)

    async def _save(
        self,
        user: str,
        given: str | None,
        settings: Mapping[str, Any],
        default: bool | None,
        dates: Mapping[str, datetime],
    ) -> Raw:
        try:
            return await self._presets.save(user, given, settings, default=default, dates=dates)
        except Taken:
            own = _derived(user, given or "")
            return await self._presets.save(user, own, settings, default=default, dates=dates)


def _derived(user: str, given: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"locutory:preset:{user}:{given}"))


def _moment(value: Any) -> datetime:
    """A date of a record, which is not in the future; `ValueError`."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        # What no calendar holds in UTC is an OverflowError, what is no date an AttributeError.
        return min(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC), now())
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ValueError("A date of a preset is none") from None
