"""Who sends a request: the bearer of an access token (contract kernel §6, §9)."""

from locutory import HTTPError, Principal, Request, Unauthorized
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.bans.gate import BanGate
from locutory_auth.sessions.tokens import AccessClaims, Tokens, bearer_of

SYSTEM_TENANT = "__SYSTEM__"


class SessionAuthenticator:
    """Entry "session" of `AUTHENTICATORS`."""

    def __init__(self, tokens: Tokens, accounts: StoredAccounts, bans: BanGate) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._bans = bans

    async def authenticate(self, request: Request) -> Principal:
        """The account of the access token in ``Authorization``; 401 with the contract's
        message without a good one, 403 for the tenant that stands for the system itself, and
        for those who are banned on the paths where that counts."""
        claims = self.claims(request)
        known = await self._accounts.load(claims.user)
        if known is None or known.revoked.covers(claims.issued, claims.session):
            raise Unauthorized
        if known.closing:
            raise closing()
        if known.principal.tenant == SYSTEM_TENANT:
            raise HTTPError(
                403, {"error": "System tenant is not allowed for request-scoped routes"}
            )
        await self._bans.check_path(request, known.banned)
        return known.principal

    def claims(self, request: Request) -> AccessClaims:
        """What the access token of a request says, whether or not it still counts."""
        token = bearer_of(request.headers.get("authorization", ""))
        if token is None:
            raise Unauthorized("No auth token")
        return self._tokens.read_access(token)


def closing() -> Unauthorized:
    """The answer to the owner of an account that is being deleted."""
    return Unauthorized("Account deletion is in progress", "ACCOUNT_DELETION_IN_PROGRESS")
