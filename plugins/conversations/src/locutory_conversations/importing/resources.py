"""Resources of tool servers in imported messages: programs that the client would run, which a
file must not bring in."""

import re
from collections.abc import Mapping
from typing import Any

_MARKER = re.compile(r"\\ui\{\w+(?:,\w+)*\}")
_MARKED = frozenset(("text", "value", "think", "output"))


def without_resources(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without such attachments and, when it is an answer, the markers of them."""
    fields = dict(message)
    if message.get("isCreatedByUser") is not True:
        for name in ("text", "content"):
            if name in fields:
                fields[name] = _unmarked(name, fields[name])
    if "attachments" in fields:
        fields["attachments"] = [
            attachment
            for attachment in fields["attachments"]
            if not (isinstance(attachment, dict) and attachment.get("type") == "ui_resources")
        ]
    return fields


def _unmarked(name: str, value: Any) -> Any:
    """It nests at most as deep as can be stored."""
    if isinstance(value, list):
        return [_unmarked(name, part) for part in value]
    if isinstance(value, dict):
        return {inner: _unmarked(inner, part) for inner, part in value.items()}
    if isinstance(value, str) and name in _MARKED:
        return _MARKER.sub("", value)
    return value
