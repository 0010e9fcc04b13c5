"""Apple, by its kind of OpenID Connect."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from locutory import Problem, StartupError
from locutory_oauth.config import SocialSettings
from locutory_oauth.identity import SignInResult, Start, is_true, text
from locutory_oauth.openid.client import OpenIdClient
from locutory_oauth.social.code_flow import Profile, joined, sign_in_result

ISSUER = "https://appleid.apple.com"
SECRET_SECONDS = 300


class ClientSecret:
    """Apple's client secret is a token that the team's key signs."""

    def __init__(self, settings: SocialSettings, audience: str = ISSUER) -> None:
        path = Path(settings.apple_private_key_path or "")
        try:
            self._key = ECKey.import_key(path.read_text("utf-8"))
        except (OSError, JoseError, ValueError) as error:
            problem = Problem(
                "APPLE_PRIVATE_KEY_PATH",
                f"the key cannot be read: {type(error).__name__}",
                "name the .p8 file that Apple gave you",
                "oauth",
            )
            raise StartupError(problem) from None
        self._settings = settings
        self._audience = audience

    def __call__(self) -> str:
        """A fresh secret."""
        moment = int(time.time())
        return jwt.encode(
            {"alg": "ES256", "kid": self._settings.apple_key_id},
            {
                "iss": self._settings.apple_team_id,
                "sub": self._settings.apple_client_id,
                "aud": self._audience,
                "iat": moment,
                "exp": moment + SECRET_SECONDS,
            },
            self._key,
        )


class Apple:
    """Apple posts its response, and sends the name only the first time, beside the tokens."""

    def __init__(self, client: OpenIdClient, *, may_register: bool) -> None:
        self._client = client
        self._may_register = may_register

    async def start(self, state: str) -> Start:
        """Begin a sign-in (`locutory_oauth.identity.Provider`)."""
        return await self._client.start(state)

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> SignInResult:
        """Finish a sign-in; Apple sends the name only in the form of the first one
        (`locutory_oauth.identity.Provider`)."""
        tokens = await self._client.redeem(answer, memory)
        claims = tokens.claims
        subject, email = str(claims["sub"]), text(claims.get("email"))
        profile = Profile(
            id=subject,
            email=email,
            email_verified=is_true(claims.get("email_verified")),
            username=email.partition("@")[0].lower() if email else f"user_{subject}",
            name=_name(claims.get("name")) or _name(_posted(answer.get("user", ""))),
        )
        return sign_in_result("apple", profile, may_register=self._may_register)


def _posted(user: str) -> Any:
    """The name in the posted member ``user``, which anybody could have written: it is only
    shown."""
    try:
        told = orjson.loads(user) if user else {}
    except orjson.JSONDecodeError:
        return {}
    return told.get("name") if isinstance(told, dict) else {}


def _name(name: Any) -> str:
    if not isinstance(name, Mapping):
        return ""
    return joined(name.get("firstName"), name.get("lastName"))
