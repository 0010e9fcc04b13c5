"""Authentication by ``Authorization``: the owner of an API key, or of an access token of an OpenID
issuer (contracts api-keys §3, agents-api §1)."""

import re
from typing import TYPE_CHECKING

from locutory import ApiKey, Forbidden, HTTPError, Policy, Principal, Request, Routes
from locutory_agentsapi.owner import Owners
from locutory_agentsapi.service import Keys
from locutory_contracts.accounts import Account

if TYPE_CHECKING:
    from locutory_agentsapi.access_tokens import AccessTokens

GROUP = "REMOTE_AGENTS"
_BEARER = "Bearer "
_TOKEN = re.compile(r"(?i)bearer\s+(\S+)\s*")


def refused(message: str, code: str) -> HTTPError:
    """A 401 as OpenAI's clients know it."""
    error = {"message": message, "type": "invalid_request_error", "code": code}
    return HTTPError(401, {"error": error})


class KeyAuthenticator:
    """Entry "api-key" of `AUTHENTICATORS`.

    Args:
        enabled: the deployment accepts API keys.
        tokens: it accepts access tokens, and tries them first.
    """

    def __init__(
        self,
        keys: Keys,
        owners: Owners,
        policy: Policy,
        routes: Routes,
        *,
        enabled: bool,
        tokens: "AccessTokens | None" = None,
    ) -> None:
        self._keys = keys
        self._owners = owners
        self._policy = policy
        self._routes = routes
        self._enabled = enabled
        self._tokens = tokens
        self._scopes: frozenset[str] | None = None

    async def authenticate(self, request: Request) -> Principal:
        """The owner, with the scopes of the key; an access token has all. 401 without a good
        bearer, 403 when the owner's role may not use remote agents (any more)."""
        account, scopes = await self._by_token(request), None
        if account is None:
            account, scopes = await self._by_key(request)
        principal = Principal(
            id=str(account["_id"]),
            role=account.get("role") or "USER",
            tenant=account.get("tenantId"),
            scopes=self.scopes() if scopes is None else scopes,
            account=account,
        )
        if not await self._policy.allows(principal, GROUP, "USE"):
            raise Forbidden("Forbidden: Insufficient permissions")
        return principal

    async def _by_token(self, request: Request) -> Account | None:
        """The owner of an access token; ``None`` where a key may do instead."""
        if self._tokens is None:
            if self._enabled:
                return None
            raise HTTPError(401, {"error": "Authentication required"})
        found = _TOKEN.fullmatch(request.headers.get("authorization", ""))
        user = None if found is None else await self._tokens.owner(found[1])
        account = None if user is None else await self._owners.active(user)
        if account is None and not self._enabled:
            raise HTTPError(401, {"error": "Unauthorized" if found else "Bearer token required"})
        return account

    async def _by_key(self, request: Request) -> tuple[Account, frozenset[str] | None]:
        """The owner of a key, and its scopes."""
        key = await self._keys.use(_bearer(request))
        if key is None:
            raise refused("Invalid API key", "invalid_api_key")
        account = await self._owners.active(str(key.user))
        if account is None:
            raise refused("User not found for this API key", "invalid_api_key")
        return account, key.scopes

    def scopes(self) -> frozenset[str]:
        """Every scope that a route of this server asks for."""
        if self._scopes is None:
            accesses = [route.access for _, route in self._routes.all()]
            self._scopes = frozenset(item.scope for item in accesses if isinstance(item, ApiKey))
        return self._scopes


def _bearer(request: Request) -> str:
    header = request.headers.get("authorization", "")
    if not header.startswith(_BEARER):
        text = "Missing or invalid Authorization header. Expected: Bearer <api_key>"
        raise refused(text, "missing_api_key")
    key = header.removeprefix(_BEARER)
    if not key.strip():
        raise refused("API key is required", "missing_api_key")
    return key
