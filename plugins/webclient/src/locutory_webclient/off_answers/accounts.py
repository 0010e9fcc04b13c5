"""Account and role while the plugins that own them are off, from the kernel's data."""

from collections.abc import Mapping

from starlette.responses import Response

from locutory import ADMIN_ROLE, JSON, HTTPError, PermissionGroup, Request
from locutory_contracts.accounts import PROFILE_FIELDS

_USER_ROLE = "USER"


class OffAccounts:
    """``GET /api/user`` and ``GET /api/roles/{role_name}``."""

    def __init__(self, groups: Mapping[str, PermissionGroup]) -> None:
        self._groups = groups

    async def user(self, request: Request) -> Response:
        """The account that the authenticator loaded."""
        caller = request.caller
        known = {
            name: caller.account[name]
            for name in ("_id", *PROFILE_FIELDS)
            if name in caller.account
        }
        return JSON({**known, "_id": caller.id, "id": caller.id, "role": caller.role})

    async def role(self, request: Request) -> Response:
        """The defaults that enabled plugins declare, by which the kernel then decides."""
        name = request.path_params["role_name"]
        caller = request.caller
        if name not in (_USER_ROLE, caller.role) and caller.role != ADMIN_ROLE:
            raise HTTPError(403, {"message": "Unauthorized"})
        if name not in (_USER_ROLE, ADMIN_ROLE):
            raise HTTPError(404, {"message": "Role not found"})
        permissions = {
            group.name: {
                action: default.admin if name == ADMIN_ROLE else default.user
                for action, default in group.actions.items()
            }
            for group in self._groups.values()
        }
        return JSON({"name": name, "description": "", "permissions": permissions})
