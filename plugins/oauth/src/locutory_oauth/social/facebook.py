"""Facebook."""

import hmac

from locutory_oauth.config import SocialSettings
from locutory_oauth.http_client import HttpClient
from locutory_oauth.identity import text
from locutory_oauth.openid.claims import at_path
from locutory_oauth.social.code_flow import CodeFlow, Profile, Registration, bearer, joined

SITE = "https://www.facebook.com"
GRAPH = "https://graph.facebook.com"
VERSION = "v23.0"


class Facebook(CodeFlow):
    """Facebook tells only addresses that it has verified. The scope ``email`` is asked for
    beside ``public_profile``: without it Facebook tells none, and nobody can sign in."""

    provider = "facebook"

    def __init__(
        self,
        settings: SocialSettings,
        domain: str,
        http: HttpClient,
        *,
        may_register: bool,
        address: str | None = None,
    ) -> None:
        self._graph = f"{address or GRAPH}/{VERSION}"
        secret = settings.facebook_client_secret
        super().__init__(
            Registration(
                client_id=settings.facebook_client_id or "",
                client_secret=secret.get_secret_value() if secret else "",
                redirect_uri=domain + settings.facebook_callback_url,
                scope="public_profile email",
                authorize_url=f"{address or SITE}/{VERSION}/dialog/oauth",
                token_url=f"{self._graph}/oauth/access_token",
            ),
            http,
            may_register=may_register,
        )

    async def profile(self, access_token: str) -> Profile:
        """See `CodeFlow`."""
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
