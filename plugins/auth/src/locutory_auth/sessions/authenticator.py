"""Who sends a request: the bearer of an access token (contract kernel §6, §9)."""

from locutory import HTTPError, Principal, Request, Unauthorized
from locutory_auth.accounts.stored import StoredAccounts, closing
from locutory_auth.bans.gate import BanGate
from locutory_auth.sessions.outside import Outside
from locutory_auth.sessions.tokens import AccessClaims, Tokens, bearer_of

SYSTEM_TENANT = "__SYSTEM__"


class SessionAuthenticator:
    """Entry "session" of `AUTHENTICATORS`."""

    def __init__(
        self, tokens: Tokens, accounts: StoredAccounts, bans: BanGate, outside: Outside
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._bans = bans
        self._outside = outside

    async def authenticate(self, request: Request) -> Principal:
        """The account of the access token in ``Authorization``; 401 with the contract's
        message without a good one, 403 for the tenant that stands for the system itself, and
        for those who are banned on the paths where that counts."""
        claims = await self.claims(request)
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

    async def claims(self, request: Request) -> AccessClaims:
        """What the access token of a request says, whether or not it still counts. A token of
        a provider that keeps the session goes first."""
        token = bearer_of(request.headers.get("authorization", ""))
        if token is None:
            raise Unauthorized("No auth token")
        try:
            session = await self._outside.authenticate(request)
        except Unauthorized as refusal:
            try:
                return self._tokens.read_access(token)
            except Unauthorized:
                raise refusal from None
        if session is None:
            return self._tokens.read_access(token)
        return AccessClaims(session.user_id, session.began, session.id)
