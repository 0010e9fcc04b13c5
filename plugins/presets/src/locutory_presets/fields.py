"""The members of a preset that a body may set, and their types (contract presets, collection)."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field, PlainValidator, create_model

from locutory_presets.documents import Preset

LONGEST_ID = 256
_DEEPEST = 50
"""Maximum levels of a list; a database accepts 100 at most."""

_OURS = frozenset(("id", "revision_id", "presetId", "user", "tenantId", "createdAt", "updatedAt"))


class Unfit(ValueError):
    """A value of a wrong type; the text is a sentence for the caller."""


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Unfit(f"{name} must be a string")


def _number(name: str, value: Any) -> int | float | None:
    """A number, also one in a text field of a form, which may be empty. Larger ones than the
    database keeps whole become floats, as in LibreChat."""
    if value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Unfit(f"{name} must be a number") from None
        if value.is_integer():
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{name} must be a number")
    try:
        if not math.isfinite(value):
            raise Unfit(f"{name} must be a number")
        return value if abs(value) < 2**53 else float(value)
    except OverflowError:
        raise Unfit(f"{name} is too large") from None


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Unfit(f"{name} must be true or false")


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unfit(f"{name} must be a list of strings")
    return value


def _tools(name: str, value: Any) -> list[str]:
    """Names of tools; the ``pluginKey`` of an object. Other values are left out."""
    if not isinstance(value, list):
        raise Unfit(f"{name} must be a list")
    keys = [item.get("pluginKey") if isinstance(item, dict) else item for item in value]
    return [key for key in keys if isinstance(key, str)]


def _anything(name: str, value: Any) -> list[Any]:
    """Any list that a database can keep."""
    if not isinstance(value, list):
        raise Unfit(f"{name} must be a list")
    level: list[Any] = value
    for _ in range(_DEEPEST):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return value
    raise Unfit(f"{name} is nested too deeply")


_Reader = Callable[[str, Any], Any]


def _reader(name: str, annotation: Any) -> _Reader:
    if name == "tools":
        return _tools
    kind = annotation.__args__[0]  # every field may be null: ``kind | None``
    return {str: _text, float: _number, bool: _flag, list[str]: _texts, list[Any]: _anything}[kind]


READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        name: _reader(name, field.annotation)
        for name, field in Preset.model_fields.items()
        if name not in _OURS
    }
)
"""Field that a body may set → how its value is read."""


def _read(name: str, read: _Reader, kind: Any) -> PlainValidator:
    """Reads a member, which may be null, as it is stored; documented as ``kind``."""

    def reading(value: Any) -> Any:
        return None if value is None else read(name, value)

    return PlainValidator(reading, json_schema_input_type=kind)


def _id(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        raise Unfit(f"{name} must be a string")
    if len(value) > LONGEST_ID:
        raise Unfit(f"{name} is longer than {LONGEST_ID} characters")
    return value or None


PresetId = Annotated[str | None, _read("presetId", _id, str | None)]
NewPresetId = Annotated[str | None, _read("newPresetId", _id, str | None)]
DefaultPreset = Annotated[bool | None, _read("defaultPreset", _flag, bool | None)]

if TYPE_CHECKING:
    _Settings = BaseModel
else:
    _Settings = create_model(
        "Settings",
        **{
            name: (Annotated[Any, _read(name, read, Preset.model_fields[name].annotation)], None)
            for name, read in READERS.items()
            if name != "defaultPreset"
        },
    )


class PresetFields(_Settings):
    """A preset: the members below, and the settings of a model as conversations have them."""

    preset_id: PresetId = Field(None, alias="presetId", description="Missing: a new preset")
    default_preset: DefaultPreset = Field(
        None, alias="defaultPreset", description="Make it the only default, or no longer one"
    )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were given, as they are stored."""
        return {name: getattr(self, name) for name in self.model_fields_set & READERS.keys()}
