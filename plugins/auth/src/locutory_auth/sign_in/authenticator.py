"""The sender of a request: the bearer of an access token (contract kernel §6, §9), or of the cookie
of a session where a browser sends nothing else (`<img>` of shared links, share §5)."""

from locutory import SYSTEM_TENANT, HTTPError, Principal, Request, Unauthorized, now
from locutory_auth.accounts.stored import StoredAccounts, deletion_in_progress
from locutory_auth.bans.gate import BanGate
from locutory_auth.sessions.cookies import PROVIDER, REFRESH, read
from locutory_auth.sessions.rotation import Sessions
from locutory_auth.sessions.tokens import AccessClaims, Tokens, bearer_of
from locutory_auth.sign_in.external import ExternalSessions


class AccountCheck:
    """Lets somebody in whose credentials are good, if the account is."""

    def __init__(self, accounts: StoredAccounts, bans: BanGate) -> None:
        self._accounts = accounts
        self._bans = bans

    async def check(self, request: Request, claims: AccessClaims) -> Principal:
        """Check the account of a request. Raises a 401 when it is deleted or its session ended, a
        403 for the tenant that represents the system itself, and for banned users on the paths
        where bans count."""
        known = await self._accounts.load(claims.user)
        if known is None or known.revoked.covers(claims.issued, claims.session):
            raise Unauthorized
        if known.being_deleted:
            raise deletion_in_progress()
        if known.principal.tenant == SYSTEM_TENANT:
            raise HTTPError(
                403, {"error": "System tenant is not allowed for request-scoped routes"}
            )
        await self._bans.check_path(request, known.banned)
        return known.principal


class SessionAuthenticator:
    """Entry "session" of `AUTHENTICATORS`."""

    def __init__(
        self, tokens: Tokens, account_check: AccountCheck, external: ExternalSessions
    ) -> None:
        self._tokens = tokens
        self._account_check = account_check
        self._external = external

    async def authenticate(self, request: Request) -> Principal:
        """The account of the access token in ``Authorization``. Raises a 401 with the contract's
        message without a valid one, and the refusals of `AccountCheck`."""
        return await self._account_check.check(request, await self.claims(request))

    async def claims(self, request: Request) -> AccessClaims:
        """The claims of the access token of a request, even if it is revoked. A token of a provider
        that keeps the session takes precedence."""
        token = bearer_of(request.headers.get("authorization", ""))
        if token is None:
            raise Unauthorized("No auth token")
        try:
            session = await self._external.authenticate(request)
        except Unauthorized as refusal:
            try:
                return self._tokens.read_access(token)
            except Unauthorized:
                raise refusal from None
        if session is None:
            return self._tokens.read_access(token)
        return AccessClaims(session.user_id, session.began, session.id)


class CookieAuthenticator:
    """Entry "cookie" of `AUTHENTICATORS`: for reading the content of a page. Only for routes that
    change nothing, because any site can make a browser send a cookie."""

    def __init__(
        self,
        tokens: Tokens,
        sessions: Sessions,
        external: ExternalSessions,
        account_check: AccountCheck,
    ) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._external = external
        self._account_check = account_check

    async def authenticate(self, request: Request) -> Principal:
        """The account whose session the cookies prove, one of ours or of a provider; 401
        without a live one."""
        return await self._account_check.check(request, await self._claims(request))

    async def _claims(self, request: Request) -> AccessClaims:
        session = self._external.session(request)
        if session is not None:
            return AccessClaims(session.user_id, session.began, session.id)
        # The refresh token is looked at, not used: it is neither replaced nor, if it is an old
        # one, taken for stolen.
        token = read(request, REFRESH)
        ours = read(request, PROVIDER) in (None, "librechat")
        claims = self._tokens.read_refresh(token) if token is not None and ours else None
        if token is None or claims is None or not await self._sessions.holds(token, claims):
            raise Unauthorized
        return AccessClaims(str(claims.user), now(), str(claims.session))
