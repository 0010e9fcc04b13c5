"""Roles as old versions of LibreChat stored them: permission types at the top level of the
document, where today's have them under ``permissions``."""

import re
from collections.abc import Mapping
from typing import Any

from locutory import Raw
from locutory_roles.defaults import Permissions

_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")
OLD_SHARE = "SHARED_GLOBAL"


def old_types(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The permission types at the top level."""
    return {
        key: value
        for key, value in document.items()
        if _TYPE.fullmatch(key) and isinstance(value, Mapping)
    }


def moved(document: Mapping[str, Any]) -> Permissions:
    """The permissions at the top level, merged with those of the same type in ``permissions``: a
    permission that one of them refuses is refused."""
    stored = document.get("permissions")
    found: Permissions = {}
    for kind, actions in old_types(document).items():
        before = stored.get(kind) if isinstance(stored, Mapping) else None
        known = before if isinstance(before, Mapping) else {}
        found[kind] = {
            name: value and known.get(name) is not False
            for name, value in renamed(actions).items()
            if isinstance(value, bool)
        }
    return found


def renamed(actions: Mapping[str, Any]) -> dict[str, Any]:
    """Permissions of one type, with ``SHARED_GLOBAL`` renamed to ``SHARE``."""
    found = {name: value for name, value in actions.items() if name != OLD_SHARE}
    if OLD_SHARE in actions and found.get("SHARE") is None:
        found["SHARE"] = actions[OLD_SHARE] is True
    return found


def today(document: Raw) -> Raw:
    """A stored role in today's form."""
    old = old_types(document)
    if not old:
        return document
    stored = document.get("permissions")
    permissions: dict[str, Any] = dict(stored) if isinstance(stored, Mapping) else {}
    for kind, actions in moved(document).items():
        before = permissions.get(kind)
        permissions[kind] = {**(before if isinstance(before, Mapping) else {}), **actions}
    return {**{k: v for k, v in document.items() if k not in old}, "permissions": permissions}
