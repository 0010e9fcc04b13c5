"""Every permission that there is: LibreChat's, and those that enabled plugins declare."""

from collections.abc import Collection, Mapping
from typing import Any

from locutory import PermissionGroup
from locutory_roles.defaults import USER_ROLE, Permissions, default_permissions

Declared = dict[str, tuple[str, ...]]
"""Permission type → its permissions, in the order of their declaration."""


def declared_permissions(groups: Mapping[str, PermissionGroup]) -> Declared:
    """``groups`` are those of enabled plugins; of two words for one type the plugin's goes on."""
    return {
        kind: tuple(actions) for kind, actions in default_permissions(USER_ROLE, groups).items()
    }


def _plain(word: str) -> str:
    return word.replace("-", "_").upper()


def find_type(declared: Declared, word: str) -> str | None:
    """A type by its name in paths and commands: ``remote-agents``, ``POLLS``."""
    return next((kind for kind in declared if _plain(kind) == _plain(word)), None)


def find_permission(declared: Declared, text: str) -> tuple[str, str]:
    """Type and permission of ``POLLS.CREATE``; ``ValueError`` names the existing ones."""
    word, _, action = text.partition(".")
    kind = find_type(declared, word)
    if kind is None:
        raise ValueError(f"no enabled plugin declares {word!r}; there are {', '.join(declared)}")
    found = next((name for name in declared[kind] if _plain(name) == _plain(action)), None)
    if found is None:
        known = ", ".join(f"{kind}.{name}" for name in declared[kind])
        raise ValueError(f"there is no permission {text!r}; there are {known}")
    return kind, found


def readable(
    declared: Declared, wanted: Mapping[str, Mapping[str, bool]]
) -> tuple[Permissions, list[str]]:
    """The known part of a mapping of types to permissions, and sentences about the rest."""
    found: Permissions = {}
    unknown: list[str] = []
    for word, actions in wanted.items():
        for name, value in actions.items():
            try:
                kind, action = find_permission(declared, f"{word}.{name}")
            except ValueError as error:
                unknown.append(str(error))
            else:
                found.setdefault(kind, {})[action] = value
    return found, unknown


def unknown_names(kind: str, known: Collection[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """An issue in zod's form about the unknown names in a body; empty when there are none."""
    names = [name for name in given if name not in known]
    if not names:
        return {}
    return {
        "code": "unrecognized_keys",
        "keys": names,
        "path": [],
        "message": f"{kind} has no {', '.join(names)[:200]}; it has {', '.join(known)}",
    }
