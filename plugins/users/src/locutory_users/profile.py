"""The account as its owner sees it (contract user §3)."""

from typing import Any

from locutory import Principal
from locutory_contracts.accounts import PROFILE_FIELDS


def profile(principal: Principal) -> dict[str, Any]:
    """The body of ``GET /api/user``: these members and no other, those that are stored.
    Takes the account that authentication loaded, so it costs no read."""
    account = principal.account
    shown: dict[str, Any] = {"_id": principal.id, "id": principal.id}
    for member in PROFILE_FIELDS:
        if member in account:
            shown[member] = account[member]
    return shown
