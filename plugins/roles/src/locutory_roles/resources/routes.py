"""``/api/permissions`` (contract roles §4)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bson import ObjectId
from pydantic import ValidationError
from pymongo.errors import ConnectionFailure, PyMongoError
from starlette.responses import Response

from locutory import (
    JSON,
    HTTPError,
    Policy,
    Principal,
    Request,
    Route,
    RouteGroup,
    SignedIn,
    refusal,
)
from locutory_contracts.access import SHARE
from locutory_resources import object_id
from locutory_roles.resources.access_roles import AccessRoleStore
from locutory_roles.resources.grant_listing import GrantListing
from locutory_roles.resources.principal_search import NO_TEXT, PrincipalQuery, PrincipalSearch
from locutory_roles.resources.resource_types import ResourceType, ResourceTypeRegistry
from locutory_roles.resources.service import Access
from locutory_roles.resources.sharing import OwnerIsFixed, ShareChange, Sharing

if TYPE_CHECKING:
    import structlog.stdlib

_NOT_CHANGED = "Failed to update permissions"
_OWNER_FIXED = {
    "error": "Bad Request",
    "message": "Shared link owner permissions cannot be changed",
}


@dataclass(frozen=True, slots=True)
class Changeable:
    """A resource whose entries the caller may change."""

    kind: ResourceType
    resource: ObjectId


class ResourceRoutes:
    """Handlers of ``/api/permissions``."""

    def __init__(
        self,
        resource_types: ResourceTypeRegistry,
        access: Access,
        access_roles: AccessRoleStore,
        grant_listing: GrantListing,
        sharing: Sharing,
        principal_search: PrincipalSearch,
        policy: Policy,
        log: "structlog.stdlib.BoundLogger",
    ) -> None:
        self._resource_types = resource_types
        self._access = access
        self._access_roles = access_roles
        self._grant_listing = grant_listing
        self._sharing = sharing
        self._principal_search = principal_search
        self._policy = policy
        self._log = log

    def all(self) -> list[Route]:
        """The routes of contract roles §1, rows 10 to 15."""
        resources = RouteGroup("/api/permissions", access=SignedIn())
        one = RouteGroup(
            "/api/permissions/{resource_type}/{resource_id}",
            access=SignedIn(),
            responses={
                403: {
                    "error": "Forbidden",
                    "message": "Insufficient permissions to access this agent",
                },
                404: {"error": "Not Found", "message": "mcpServer not found"},
            },
            failure={
                "error": "Internal Server Error",
                "message": "Failed to check resource access permissions",
            },
        )
        return [
            resources.get(
                "/search-principals",
                self.search,
                "Find people, groups and roles to share with",
                checks=(self._principal_search.check,),
                query=PrincipalQuery,
                invalid=refusal("error", {"q": NO_TEXT}),
                responses={
                    200: "Principals, best matches first",
                    400: {"error": "Query must be at least 2 characters long"},
                    403: {
                        "error": "Forbidden",
                        "message": "Insufficient permissions to search for users",
                    },
                },
                failure={"error": "Failed to search principals"},
                contract="roles §4.4",
            ),
            resources.get(
                "/{resource_type}/roles",
                self.roles,
                "Access roles that can be granted on a type of resource",
                responses={
                    200: [
                        {
                            "accessRoleId": "agent_viewer",
                            "name": "com_ui_role_viewer",
                            "description": "com_ui_role_viewer_desc",
                            "permBits": 1,
                        }
                    ],
                    400: {"error": "Failed to get roles", "details": "Invalid resourceType: x"},
                },
                failure={"error": "Failed to get roles", "details": "Internal error"},
                contract="roles §4.5",
            ),
            one.get(
                "",
                self.read,
                "Who was given a resource",
                responses={
                    200: {
                        "resourceType": "agent",
                        "resourceId": "65a000000000000000000000",
                        "principals": [],
                        "public": False,
                    },
                    400: {"error": "Bad Request", "message": "Unsupported resource type: x"},
                },
                contract="roles §4.6",
            ),
            one.put(
                "",
                self.change,
                "Grant and revoke access to a resource",
                checks=(self._changeable,),
                body=ShareChange,
                invalid=_invalid,
                responses={
                    200: {
                        "message": "Permissions updated successfully",
                        "results": {"principals": [], "public": False},
                    }
                },
                contract="roles §4.7",
            ),
            resources.get(
                "/{resource_type}/effective/all",
                self.all_effective,
                "The caller's rights on every resource of a type",
                responses={200: {"65a000000000000000000000": 15}},
                failure={
                    "error": "Failed to get all effective permissions",
                    "details": "Internal error",
                },
                contract="roles §4.8",
            ),
            resources.get(
                "/{resource_type}/{resource_id}/effective",
                self.effective,
                "The caller's rights on a resource",
                responses={200: {"permissionBits": 15}},
                failure={
                    "error": "Failed to get effective permissions",
                    "details": "Internal error",
                },
                contract="roles §4.8",
            ),
        ]

    async def search(self, request: Request) -> Response:
        """Principals whose name, e-mail, username or description contains ``q``."""
        return JSON(await self._principal_search.search(request))

    async def roles(self, request: Request) -> Response:
        """The stored access roles of a type, fewest rights first."""
        kind = self._known(request, "Failed to get roles")
        found = await self._access_roles.of_kind(kind.name, request.caller.tenant)
        names = ("accessRoleId", "name", "description", "permBits")
        return JSON(
            [{name: role[name] for name in names if name in role} for role in found.values()]
        )

    async def read(self, request: Request) -> Response:
        """The grants of the resource; needs SHARE on it, or the type's capability."""
        kind, _ = await self._shareable(request)
        resource_id = request.path_params["resource_id"]
        resource = object_id(resource_id)
        if resource is None:  # a capability opens everything, but there is nothing to open
            raise _missing(kind)
        tenant = request.caller.tenant
        return JSON(await self._grant_listing.of(kind, resource_id, resource, tenant))

    async def _changeable(self, request: Request) -> None:
        """The gates before the body is looked at, in the order of the contract."""
        kind, opened = await self._shareable(request)
        if not opened:
            await self._require(request.caller, kind, "SHARE", "")
        resource_id = request.path_params["resource_id"]
        resource = object_id(resource_id)
        if resource is None:
            raise _not_changed(f"Invalid resource ID: {resource_id[:100]}")
        request.keep(Changeable(kind, resource))

    async def change(self, request: Request) -> Response:
        """Grant and revoke."""
        caller, change = request.caller, request.valid(ShareChange)
        found = request.valid(Changeable)
        kind, resource = found.kind, found.resource
        if change.concerns_everybody:
            await self._require(caller, kind, "SHARE_PUBLIC", " publicly")
        try:
            results = await self._sharing.change(request, kind, resource, change)
        except OwnerIsFixed:
            return JSON(_OWNER_FIXED, 400)
        except ConnectionFailure:
            raise  # not the caller's fault, and worth another try
        except PyMongoError:
            # The contract answers 400, not 500, when saving fails.
            self._log.exception("access.change_failed", kind=kind.name, resource=str(resource))
            raise _not_changed("The permissions could not be saved") from None
        return JSON({"message": "Permissions updated successfully", "results": results})

    async def all_effective(self, request: Request) -> Response:
        """Rights by entries on everything that the caller can at least view."""
        kind = self._known(request, "Failed to get all effective permissions")
        return JSON(dict(await self._access.reachable(request.caller, kind.name)))

    async def effective(self, request: Request) -> Response:
        """Rights by entries; 0 for a resource that is unknown."""
        kind = self._known(request, "Failed to get effective permissions")
        resource_id = request.path_params["resource_id"]
        bits = await self._access.bits(request.caller, kind.name, resource_id)
        return JSON({"permissionBits": bits})

    def _known(self, request: Request, error: str) -> ResourceType:
        name = request.path_params["resource_type"]
        kind = self._resource_types.find(name)
        if kind is None:
            valid = ", ".join(known.name for known in self._resource_types.all())
            details = f"Invalid resourceType: {name[:100]}. Valid types: {valid}"
            raise HTTPError(400, {"error": error, "details": details})
        return kind

    async def _shareable(self, request: Request) -> tuple[ResourceType, bool]:
        """The type, and ``True`` when a capability opens it; refuses callers without SHARE. A
        missing resource is refused like a forbidden one, except for the types of which the contract
        wants a 404."""
        name = request.path_params["resource_type"]
        kind = self._resource_types.find(name)
        if kind is None:
            message = f"Unsupported resource type: {name[:100]}"
            raise HTTPError(400, {"error": "Bad Request", "message": message})
        caller = request.caller
        if await self._access.bypass(caller, kind):
            return kind, True
        resource_id = request.path_params["resource_id"]
        if not ObjectId.is_valid(resource_id) or not await kind.exists(resource_id):
            if kind.missing_is_404:
                raise _missing(kind)
            raise _refused(kind)
        decision = await self._access.by_entries(caller, kind.name, resource_id, SHARE)
        if not decision:
            self._log.debug("access.refused", user=caller.id, reason=decision.reason)
            raise _refused(kind)
        return kind, False

    async def _require(self, caller: Principal, kind: ResourceType, action: str, how: str) -> None:
        decision = await self._policy.allows(caller, kind.permission, action)
        if not decision:
            self._log.debug("access.refused", user=caller.id, reason=decision.reason)
            message = f"You do not have permission to share {kind.name} resources{how}"
            raise HTTPError(403, {"error": "Forbidden", "message": message})


def _invalid(error: ValidationError) -> HTTPError:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return _not_changed(f"{where}: {first['msg']}" if where else first["msg"])


def _missing(kind: ResourceType) -> HTTPError:
    return HTTPError(404, {"error": "Not Found", "message": f"{kind.name} not found"})


def _refused(kind: ResourceType) -> HTTPError:
    message = f"Insufficient permissions to access this {kind.name}"
    return HTTPError(403, {"error": "Forbidden", "message": message})


def _not_changed(details: str) -> HTTPError:
    return HTTPError(400, {"error": _NOT_CHANGED, "details": details})
