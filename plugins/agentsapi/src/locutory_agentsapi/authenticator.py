"""Who sends a request: the owner of the API key in ``Authorization`` (contract api-keys §3)."""

from collections.abc import Callable, Mapping

from locutory import (
    POLICY,
    ApiKey,
    Forbidden,
    HTTPError,
    PermissionGroup,
    Principal,
    Request,
    Services,
)
from locutory.access import DefaultPolicy, Policy
from locutory_agentsapi.owner import Owners
from locutory_agentsapi.service import Keys

GROUP = "REMOTE_AGENTS"
_BEARER = "Bearer "


def refused(message: str, code: str) -> HTTPError:
    """A 401 as OpenAI's clients know it."""
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return HTTPError(401, {"error": error})


class KeyAuthenticator:
    """Entry "api-key" of `AUTHENTICATORS`.

    Args:
        enabled: the deployment accepts API keys.
    """

    def __init__(
        self,
        keys: Keys,
        owners: Owners,
        services: Services,
        groups: Callable[[], Mapping[str, PermissionGroup]],
        *,
        enabled: bool,
    ) -> None:
        self._keys = keys
        self._owners = owners
        self._services = services
        self._groups = groups
        self._enabled = enabled
        self._scopes: frozenset[str] | None = None

    async def authenticate(self, request: Request) -> Principal:
        """The owner of the key, with the scopes of the key. 401 without a good one, 403 when
        the owner's role may not use remote agents (any more)."""
        if not self._enabled:
            raise HTTPError(401, {"error": "Authentication required"})
        key = await self._keys.use(_bearer(request))
        if key is None:
            raise refused("Invalid API key", "invalid_api_key")
        account = await self._owners.active(str(key.user))
        if account is None:
            raise refused("User not found for this API key", "invalid_api_key")
        principal = Principal(
            id=str(account["_id"]),
            role=account.get("role") or "USER",
            tenant=account.get("tenantId"),
            scopes=self.scopes(request) if key.scopes is None else key.scopes,
            account=account,
        )
        if not await self._policy.allows(principal, GROUP, "USE"):
            raise Forbidden("Forbidden: Insufficient permissions")
        return principal

    def scopes(self, request: Request) -> frozenset[str]:
        """Every scope that a route of this server asks for."""
        if self._scopes is None:
            accesses = [route.access for _, route in request.kernel.routes.all()]
            self._scopes = frozenset(item.scope for item in accesses if isinstance(item, ApiKey))
        return self._scopes

    @property
    def _policy(self) -> Policy:
        return self._services.find(POLICY) or DefaultPolicy(self._groups())


def _bearer(request: Request) -> str:
    header = request.headers.get("authorization", "")
    if not header.startswith(_BEARER):
        text = "Missing or invalid Authorization header. Expected: Bearer <api_key>"
        raise refused(text, "missing_api_key")
    key = header.removeprefix(_BEARER)
    if not key.strip():
        raise refused("API key is required", "missing_api_key")
    return key
