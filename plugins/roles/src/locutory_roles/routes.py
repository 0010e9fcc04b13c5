"""``/api/roles`` (contract roles §2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, RootModel, StrictBool, create_model
from starlette.responses import Response

from locutory import JSON, Capability, HTTPError, Policy, Request, Route, SignedIn
from locutory_contracts.issues import json_type, wrong_type
from locutory_roles.defaults import USER_ROLE
from locutory_roles.permissions.declared import Declared, find_type, unknown_names
from locutory_roles.store import RoleStore

if TYPE_CHECKING:
    import structlog.stdlib

_SHARING = ("USE", "CREATE", "SHARE", "SHARE_PUBLIC")


@dataclass(frozen=True, slots=True)
class Kind:
    """One permission type that has a route: its path segment, group, permissions, message."""

    segment: str
    group: str
    permissions: tuple[str, ...]
    refusal: str

    def model(self) -> type[BaseModel]:
        """The body for the documentation: any subset of the booleans."""
        fields: dict[str, Any] = dict.fromkeys(self.permissions, (StrictBool | None, None))
        words = self.group.title().replace("_", "")
        return create_model(f"{words}Permissions", __config__=ConfigDict(extra="ignore"), **fields)


KINDS = (
    Kind("prompts", "PROMPTS", _SHARING, "Invalid prompt permissions."),
    Kind("agents", "AGENTS", _SHARING, "Invalid agent permissions."),
    Kind(
        "memories",
        "MEMORIES",
        ("USE", "CREATE", "UPDATE", "READ", "OPT_OUT"),
        "Invalid memory permissions.",
    ),
    Kind(
        "people-picker",
        "PEOPLE_PICKER",
        ("VIEW_USERS", "VIEW_GROUPS", "VIEW_ROLES"),
        "Invalid people picker permissions.",
    ),
    Kind(
        "mcp-servers",
        "MCP_SERVERS",
        (*_SHARING, "CONFIGURE_OBO"),
        "Invalid MCP servers permissions.",
    ),
    Kind("marketplace", "MARKETPLACE", ("USE",), "Invalid marketplace permissions."),
    Kind("remote-agents", "REMOTE_AGENTS", _SHARING, "Invalid remote agents permissions."),
    Kind("skills", "SKILLS", _SHARING, "Invalid skill permissions."),
)


class AnyPermissions(RootModel[dict[str, StrictBool]]):
    """The body for a type without a model of its own: permissions and whether they hold."""


def issues(kind: Kind, payload: Any, *, strict: bool = False) -> list[dict[str, Any]]:
    """What is wrong with a body; empty when it is fine. Unknown keys are ignored, unless
    ``strict``."""
    if not isinstance(payload, dict):
        return [wrong_type("object", json_type(payload))]
    found = [
        wrong_type("boolean", json_type(payload[name]), [name])
        for name in kind.permissions
        if name in payload and not isinstance(payload[name], bool)
    ]
    unknown = unknown_names(kind.group, kind.permissions, payload) if strict else {}
    return [*found, unknown] if unknown else found


class RoleRoutes:
    """Handlers of ``/api/roles``."""

    def __init__(
        self,
        roles: RoleStore,
        policy: Policy,
        declared: Callable[[], Declared],
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._declared = declared
        self._roles = roles
        self._policy = policy
        self._log = log

    def all(self) -> list[Route]:
        """The routes of contract roles §1, rows 1 to 9, and one for every other type."""
        refused = {"message": "Unauthorized"}
        unknown = {"message": "Role not found"}
        reading = Route(
            path="/api/roles/{role_name}",
            endpoint=self.read,
            access=SignedIn(),
            summary="A role and its permissions",
            responses={
                200: {
                    "name": "USER",
                    "description": "",
                    "permissions": {"BOOKMARKS": {"USE": True}},
                },
                403: refused,
                404: unknown,
            },
            failure={"message": "Failed to retrieve role"},
            contract="roles §2.1",
        )

        def changing(
            segment: str,
            endpoint: Callable[[Request], Awaitable[Response]],
            words: str,
            body: type[BaseModel],
            refusal: str,
        ) -> Route:
            return Route(
                path=f"/api/roles/{{role_name}}/{segment}",
                endpoint=endpoint,
                methods=("PUT",),
                access=Capability("manage:roles"),
                summary=f"Change {words} of a role",
                body_schema=body,
                responses={
                    200: "The changed role",
                    400: {"message": refusal},
                    403: {"message": "Forbidden"},
                    404: unknown,
                },
                failure={"message": "Internal Server Error"},
                contract="roles §2.2",
            )

        return [
            reading,
            *(
                changing(
                    kind.segment,
                    self._change(kind),
                    f"the permissions {kind.group}",
                    kind.model(),
                    kind.refusal,
                )
                for kind in KINDS
            ),
            changing(
                "{permission_type}",
                self.change_any,
                "the permissions of any type that a plugin declares",
                AnyPermissions,
                "Invalid POLLS permissions.",
            ),
        ]

    async def read(self, request: Request) -> Response:
        """A role: one's own and ``USER`` freely, others with ``read:roles``."""
        name = request.path_params["role_name"]
        caller = request.caller
        if name not in (USER_ROLE, caller.role):
            try:
                decision = await self._policy.holds(caller, "read:roles")
            except Exception:
                self._log.exception("roles.capability_unknown", role=name)
                raise HTTPError(403, {"message": "Unauthorized"}) from None
            if not decision:
                raise HTTPError(403, {"message": "Unauthorized"})
        role = await self._roles.find(name, caller.tenant)
        if role is None:
            raise HTTPError(404, {"message": "Role not found"})
        return JSON(role.body)

    async def change_any(self, request: Request) -> Response:
        """Change a type that LibreChat has no route for: of a plugin, or one of its others."""
        declared = self._declared()
        group = find_type(declared, request.path_params["permission_type"])
        if group is None:
            raise HTTPError(404, {"message": "Permission type not found"})
        kind = Kind("", group, declared[group], f"Invalid {group} permissions.")
        return await self._write(request, kind, strict=True)

    def _change(self, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
        async def change(request: Request) -> Response:
            return await self._write(request, kind)

        return change

    async def _write(self, request: Request, kind: Kind, *, strict: bool = False) -> Response:
        payload = request.payload
        wrong = issues(kind, payload, strict=strict)
        if wrong:
            return JSON({"message": kind.refusal, "error": wrong}, 400)
        given = {name: payload[name] for name in kind.permissions if name in payload}
        name = request.path_params["role_name"]
        try:
            document = await self._roles.change(name, request.caller.tenant, {kind.group: given})
        except Exception:
            # The contract answers 400, not 500, when saving fails.
            self._log.exception("roles.change_failed", role=name, type=kind.group)
            return JSON({"message": kind.refusal}, 400)
        if document is None:
            raise HTTPError(404, {"message": "Role not found"})
        self._log.info(
            "roles.changed", role=name, type=kind.group, by=request.caller.id, changes=given
        )
        return JSON(document)
