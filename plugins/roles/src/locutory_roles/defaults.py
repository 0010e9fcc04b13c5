"""The default permission matrix of the two system roles (contract roles §3)."""

from collections.abc import Collection, Mapping
from typing import Any

from locutory import ADMIN_ROLE, PermissionGroup

USER_ROLE = "USER"
SYSTEM_ROLES = (ADMIN_ROLE, USER_ROLE)

Permissions = dict[str, dict[str, bool]]
"""Permission type → permission → allowed, as stored in a role."""

_SHARING = ("USE", "CREATE", "SHARE", "SHARE_PUBLIC")

# LibreChat's types with the defaults of USER; ADMIN holds all. They are all here, and not
# only those of enabled plugins, because LibreChat's client takes a missing type for "not
# allowed", and because LibreChat on the same database expects them.
_BASELINE: tuple[tuple[str, tuple[str, ...], frozenset[str]], ...] = (
    ("BOOKMARKS", ("USE",), frozenset({"USE"})),
    ("PROMPTS", _SHARING, frozenset({"USE", "CREATE"})),
    (
        "MEMORIES",
        ("USE", "CREATE", "UPDATE", "READ", "OPT_OUT"),
        frozenset({"USE", "CREATE", "UPDATE", "READ", "OPT_OUT"}),
    ),
    ("AGENTS", _SHARING, frozenset({"USE", "CREATE"})),
    ("MULTI_CONVO", ("USE",), frozenset({"USE"})),
    ("TEMPORARY_CHAT", ("USE",), frozenset({"USE"})),
    ("RUN_CODE", ("USE",), frozenset({"USE"})),
    ("WEB_SEARCH", ("USE",), frozenset({"USE"})),
    ("PEOPLE_PICKER", ("VIEW_USERS", "VIEW_GROUPS", "VIEW_ROLES"), frozenset()),
    ("MARKETPLACE", ("USE",), frozenset()),
    ("FILE_SEARCH", ("USE",), frozenset({"USE"})),
    ("FILE_CITATIONS", ("USE",), frozenset({"USE"})),
    ("MCP_SERVERS", (*_SHARING, "CONFIGURE_OBO"), frozenset({"USE"})),
    ("REMOTE_AGENTS", _SHARING, frozenset()),
    ("SKILLS", _SHARING, frozenset({"USE", "CREATE"})),
    (
        "SHARED_LINKS",
        ("CREATE", "SHARE", "SHARE_PUBLIC"),
        frozenset({"CREATE", "SHARE", "SHARE_PUBLIC"}),
    ),
)


def shown_permissions(stored: Mapping[str, Any], served: Collection[str]) -> dict[str, Any]:
    """The permissions of a role as clients receive them: those that no plugin serves are all off,
    so that clients hide the feature. The stored ones are kept for the time when a plugin serves
    them."""
    return {
        kind: actions
        if kind in served or not isinstance(actions, Mapping)
        else dict.fromkeys(actions, False)
        for kind, actions in stored.items()
    }


def default_permissions(role: str, groups: Mapping[str, PermissionGroup]) -> Permissions:
    """The permissions of a new ``ADMIN`` or ``USER``: LibreChat's table, then the plugins'
    declarations."""
    admin = role == ADMIN_ROLE
    found: Permissions = {
        name: {action: admin or action in allowed for action in actions}
        for name, actions, allowed in _BASELINE
    }
    for group in groups.values():
        actions = found.setdefault(group.name, {})
        for action, default in group.actions.items():
            actions[action] = default.admin if admin else default.user
    return found
