"""Facebook."""

import hmac

from locutory_oauth.config import SocialSettings
from locutory_oauth.identity import text
from locutory_oauth.openid.claims import at_path
from locutory_oauth.social.code_flow import CodeFlow, Profile, bearer, joined

SITE = "https://www.facebook.com"
GRAPH = "https://graph.facebook.com"
VERSION = "v23.0"


class Facebook(CodeFlow):
    """Sign-in with Facebook, which returns only verified addresses. The scope ``email`` is
    requested beside ``public_profile``: without it Facebook returns no address, and nobody can sign
    in."""

    provider = "facebook"
    scope = "public_profile email"

    def locate(self, settings: SocialSettings, address: str | None) -> tuple[str, str]:
        """The addresses of Facebook for authorization and for tokens."""
        self._graph = f"{address or GRAPH}/{VERSION}"
        return f"{address or SITE}/{VERSION}/dialog/oauth", f"{self._graph}/oauth/access_token"

    async def profile(self, access_token: str) -> Profile:
        """The profile of the Facebook user of a token."""
        # Shows Facebook that the token was not stolen from the browser.
        secret = self.registration.client_secret.encode()
        proof = hmac.digest(secret, access_token.encode(), "sha256").hex()
        user = await self.http.object(
            f"{self._graph}/me",
            headers=bearer(access_token),
            params={
                "fields": "id,name,first_name,last_name,email,picture.type(large)",
                "appsecret_proof": proof,
            },
        )
        email = text(user.get("email"))
        return Profile(
            id=text(user.get("id")),
            email=email,
            email_verified=bool(email),
            username=text(user.get("name")),
            name=joined(user.get("first_name"), user.get("last_name")),
            picture=text(at_path(user, "picture.data.url")) or None,
        )
