"""The banner of the moment (contract user §12)."""

from typing import Any

from locutory import Database, Principal, Raw, now
from locutory_webclient.documents import Banner

_CANDIDATES = 100


class Banners:
    """Reads banners; they are made by LibreChat's command-line scripts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, principal: Principal | None) -> Raw | None:
        """The first banner in force, when it is public or the caller is signed in."""
        moment = now()
        conditions: dict[str, Any] = {"type": "banner", "displayFrom": {"$lte": moment}}
        if principal is not None and principal.tenant is not None:
            conditions["tenantId"] = principal.tenant
        # The end is compared here: "absent, null or later" would need an $or.
        found = self._database[Banner].find(conditions).sort("_id", 1).limit(_CANDIDATES)
        async for banner in found:
            until = banner.get("displayTo")
            if until is None or until >= moment:
                shown = principal is not None or banner.get("isPublic") is True
                return banner if shown else None
        return None
