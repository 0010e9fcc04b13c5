"""Google, by OpenID Connect."""

from collections.abc import Mapping

from locutory_oauth.identity import SignInResult, Start, is_true, text
from locutory_oauth.openid.client import OpenIdClient
from locutory_oauth.social.code_flow import Profile, joined, sign_in_result

ISSUER = "https://accounts.google.com"


class Google:
    """Sign-in with Google. The ``sub`` of the id token is the id that LibreChat stores as
    ``googleId``."""

    def __init__(self, client: OpenIdClient, *, may_register: bool) -> None:
        self._client = client
        self._may_register = may_register

    async def start(self, state: str) -> Start:
        """Begin a sign-in (`locutory_oauth.identity.Provider`)."""
        return await self._client.start(state)

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> SignInResult:
        """Finish a sign-in: redeem the code, and read claims and user info
        (`locutory_oauth.identity.Provider`)."""
        tokens = await self._client.redeem(answer, memory)
        subject = str(tokens.claims["sub"])
        claims = {**tokens.claims, **await self._client.userinfo(tokens.access, subject)}
        profile = Profile(
            id=subject,
            email=text(claims.get("email")),
            email_verified=is_true(claims.get("email_verified")),
            username=text(claims.get("given_name")),
            name=joined(claims.get("given_name"), claims.get("family_name")),
            picture=text(claims.get("picture")) or None,
        )
        return sign_in_result("google", profile, may_register=self._may_register)
