"""``/api/roles`` (contract roles §2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, RootModel, StrictBool, ValidationError, create_model
from starlette.responses import Response

from locutory import JSON, Capability, HTTPError, Policy, Request, Route, RouteGroup, SignedIn
from locutory_contracts.issues import json_type, wrong_type
from locutory_roles.defaults import USER_ROLE
from locutory_roles.permissions.declared import Declared, find_type, unknown_names
from locutory_roles.store import RoleStore

if TYPE_CHECKING:
    import structlog.stdlib

_SHARING = ("USE", "CREATE", "SHARE", "SHARE_PUBLIC")


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default from a schema, since a member that is not sent is not changed."""
    del schema["default"]


@dataclass(frozen=True)
class Kind:
    """One permission type that has a route: its path segment, group, permissions, message."""

    segment: str
    group: str
    permissions: tuple[str, ...]
    refusal: str

    @cached_property
    def model(self) -> type[BaseModel]:
        """The body: any subset of the booleans. Unknown keys are ignored."""
        switch = Field(None, json_schema_extra=_without_default)
        fields: dict[str, Any] = dict.fromkeys(self.permissions, (StrictBool, switch))
        words = self.group.title().replace("_", "")
        return create_model(f"{words}Permissions", **fields)

    def invalid(self, error: ValidationError) -> HTTPError:
        """The error response for a wrong body, in zod's words."""
        return self.refused(issues_of(error))

    def refused(self, issues: list[dict[str, Any]]) -> HTTPError:
        """The answer for a body that is not taken."""
        return HTTPError(400, {"message": self.refusal, "error": issues})


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
    """The body for a type without a model of its own: permission → ``True`` or ``False``."""


def issues_of(error: ValidationError) -> list[dict[str, Any]]:
    """Everything that is wrong with a body of permissions."""
    return [
        wrong_type("boolean" if found["loc"] else "object", json_type(found["input"]), found["loc"])
        for found in error.errors(include_url=False)
    ]


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
        roles = RouteGroup("/api/roles/{role_name}", responses={404: {"message": "Role not found"}})
        changing = roles.but(
            access=Capability("manage:roles"),
            failure={"message": "Internal Server Error"},
            contract="roles §2.2",
        )
        return [
            roles.get(
                "",
                self.read,
                "A role and its permissions",
                access=SignedIn(),
                responses={
                    200: {
                        "name": "USER",
                        "description": "",
                        "permissions": {"BOOKMARKS": {"USE": True}},
                    },
                    403: {"message": "Unauthorized"},
                },
                failure={"message": "Failed to retrieve role"},
                contract="roles §2.1",
            ),
            *(
                changing.put(
                    f"/{kind.segment}",
                    self._change(kind),
                    f"Change the permissions {kind.group} of a role",
                    body=kind.model,
                    invalid=kind.invalid,
                    responses={200: "The changed role", 403: {"message": "Forbidden"}},
                )
                for kind in KINDS
            ),
            changing.put(
                "/{permission_type}",
                self.change_any,
                "Change the permissions of any type that a plugin declares of a role",
                # What may be in it depends on the type in the path.
                body_schema=AnyPermissions,
                responses={
                    200: "The changed role",
                    400: {"message": "Invalid POLLS permissions."},
                    403: {"message": "Forbidden"},
                },
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
        try:
            given = kind.model.model_validate(request.payload)
        except ValidationError as error:
            raise kind.invalid(error) from None
        unknown = unknown_names(kind.group, kind.permissions, request.payload)
        if unknown:
            raise kind.refused([unknown])
        return await self._write(request, kind, given)

    def _change(self, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
        async def change(request: Request) -> Response:
            return await self._write(request, kind, request.valid(kind.model))

        return change

    async def _write(self, request: Request, kind: Kind, body: BaseModel) -> Response:
        given = body.model_dump(exclude_unset=True)
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
