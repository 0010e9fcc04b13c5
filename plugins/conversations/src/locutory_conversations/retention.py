"""The expiry and visibility of conversations (contract convos §2.1 and §3)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from locutory import now

SHORTEST_HOURS = 1.0
LONGEST_HOURS = 8760.0


class Retention:
    """The operator's retention rule. ``hours`` is the environment's value; the section
    ``interface`` of the configuration file wins over it."""

    def __init__(self, hours: float, interface: Any) -> None:
        self.configure(hours, interface)

    def configure(self, hours: float, interface: Any) -> None:
        """Take new values."""
        section: Mapping[str, Any] = interface if isinstance(interface, Mapping) else {}
        given = section.get("temporaryChatRetention")
        if isinstance(given, int | float) and not isinstance(given, bool) and given == given:
            hours = float(given)
        self.everything = section.get("retentionMode") == "all"
        self.life = timedelta(hours=min(max(hours, SHORTEST_HOURS), LONGEST_HOURS))

    def changes(self, temporary: bool | None) -> dict[str, Any]:
        """Fields to set on each save. Empty when the save leaves retention alone."""
        if self.everything:
            fields: dict[str, Any] = {"expiredAt": now() + self.life}
            if temporary is not None:
                fields["isTemporary"] = temporary
            return fields
        if temporary is None:
            return {}
        expires = now() + self.life if temporary else None
        return {"isTemporary": temporary, "expiredAt": expires}


def visible(moment: datetime) -> list[dict[str, Any]]:
    """The alternatives (for ``$or``) under which lists show a document at ``moment``.
    Documents of old databases have no ``isTemporary``: there any expiry means temporary."""
    return [
        {"isTemporary": False, "expiredAt": None},
        {"isTemporary": False, "expiredAt": {"$gt": moment}},
        {"isTemporary": None, "expiredAt": None},
    ]


LISTED_COLUMNS = dict.fromkeys(("chatProjectId", "isArchived", "isTemporary", "expiredAt"), 1)
"""Projection of the fields that `is_listed` reads, and the project."""


def is_visible(row: Mapping[str, Any], moment: datetime) -> bool:
    """``True`` when the retention rule allows to show this conversation at ``moment``
    (`visible`)."""
    temporary, expires = row.get("isTemporary"), row.get("expiredAt")
    if temporary is True:
        return False
    return expires is None or (temporary is False and expires > moment)


def is_listed(row: Mapping[str, Any], moment: datetime) -> bool:
    """``True`` when lists show this conversation at ``moment``: it is not archived, and visible."""
    return row.get("isArchived") is not True and is_visible(row, moment)
