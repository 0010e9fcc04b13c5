"""The authorization code flow of OAuth 2, for providers without OpenID Connect."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import SecretStr

from locutory_contracts.sign_in import Identity
from locutory_oauth.config import SocialSettings
from locutory_oauth.http_client import HttpClient
from locutory_oauth.identity import Picture, Refused, SignInResult, Start, text
from locutory_oauth.oauth2 import POST, TokenEndpoint, authorization_url, code_of
from locutory_oauth.values import first_address


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration of this server with a provider, and the provider's addresses."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    scope: str
    authorize_url: str
    token_url: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile; every provider has its own names for these fields."""

    id: str
    email: str
    email_verified: bool
    username: str
    name: str
    picture: str | None = None


def sign_in_result(provider: str, profile: Profile, *, may_register: bool) -> SignInResult:
    """The result of a sign-in with this profile (contract oauth §4). Without an id it is
    refused."""
    if not profile.id:
        raise Refused("profile", "the provider tells no id")
    return SignInResult(
        identity=Identity(
            provider=provider,
            key=f"{provider}Id",
            subject=profile.id,
            email=first_address(profile.email),
            email_verified=profile.email_verified,
            fields={
                name: value
                for name, value in (("username", profile.username), ("name", profile.name))
                if value
            },
        ),
        may_register=may_register,
        picture=Picture(profile.picture) if profile.picture else None,
    )


class CodeFlow:
    """Base of the providers: state, PKCE and code are handled here, profiles below."""

    provider: ClassVar[str]
    """The name of the provider, with which its settings begin."""
    scope: ClassVar[str]

    def __init__(
        self,
        settings: SocialSettings,
        domain: str,
        http: HttpClient,
        *,
        may_register: bool,
        address: str | None = None,
    ) -> None:
        secret: SecretStr | None = getattr(settings, f"{self.provider}_client_secret")
        authorize_url, token_url = self.locate(settings, address)
        self.registration = registration = Registration(
            client_id=getattr(settings, f"{self.provider}_client_id") or "",
            client_secret=secret.get_secret_value() if secret else "",
            redirect_uri=domain + getattr(settings, f"{self.provider}_callback_url"),
            scope=self.scope,
            authorize_url=authorize_url,
            token_url=token_url,
        )
        self.http = http
        self._may_register = may_register
        self._endpoint = TokenEndpoint(
            http, registration.client_id, lambda: registration.client_secret, POST
        )

    def locate(self, settings: SocialSettings, address: str | None) -> tuple[str, str]:
        """The addresses for authorization and for tokens; ``address`` replaces the provider's own.
        Stores what `profile` needs."""
        raise NotImplementedError

    async def profile(self, access_token: str) -> Profile:
        """The profile of the user whom a token belongs to, requested from the provider."""
        raise NotImplementedError

    async def start(self, state: str) -> Start:
        """Begin a sign-in with PKCE (`locutory_oauth.identity.Provider`)."""
        verifier = secrets.token_urlsafe(48)
        ours = self.registration
        url = authorization_url(
            ours.authorize_url,
            client_id=ours.client_id,
            redirect_uri=ours.redirect_uri,
            scope=ours.scope,
            state=state,
            verifier=verifier,
        )
        return Start(url, {"verifier": verifier})

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> SignInResult:
        """Finish a sign-in: redeem the code, and read the profile
        (`locutory_oauth.identity.Provider`)."""
        form = {
            "grant_type": "authorization_code",
            "code": code_of(answer),
            "redirect_uri": self.registration.redirect_uri,
            "code_verifier": memory["verifier"],
        }
        token = await self._endpoint.ask(self.registration.token_url, form)
        access = token["access_token"]
        profile = await self.profile(access)
        return sign_in_result(self.provider, profile, may_register=self._may_register)


def bearer(access_token: str, **more: str) -> dict[str, str]:
    """Headers with an access token."""
    return {"authorization": f"Bearer {access_token}", **more}


def joined(*parts: Any) -> str:
    """Names as one text."""
    return " ".join(filter(None, map(text, parts)))
