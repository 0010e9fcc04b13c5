"""The authorization code flow of OAuth 2, for providers without OpenID Connect."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from locutory_contracts.sign_in import Identity
from locutory_oauth.identity import Arrival, Denied, Picture, Refused, Start, text
from locutory_oauth.outbound import Outbound, Unreachable, reason_of


@dataclass(frozen=True, slots=True)
class Registration:
    """How this server is known to a provider, and the provider's addresses."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    scope: str
    authorize_url: str
    token_url: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What every provider tells in its own words."""

    id: str
    email: str
    email_verified: bool
    username: str
    name: str
    picture: str | None = None


def arrival(provider: str, profile: Profile, *, may_register: bool) -> Arrival:
    """A profile as an arrival (contract oauth §4). Without an id or address it is refused."""
    if not profile.id:
        raise Refused("profile", "the provider tells no id")
    if not profile.email:
        raise Refused("profile", "the provider tells no e-mail address")
    return Arrival(
        identity=Identity(
            provider=provider,
            key=f"{provider}Id",
            subject=profile.id,
            email=profile.email,
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

    provider: str
    auth_method = "client_secret_post"

    def __init__(
        self, registration: Registration, outbound: Outbound, *, may_register: bool
    ) -> None:
        self.registration = registration
        self.outbound = outbound
        self._may_register = may_register

    async def profile(self, access_token: str) -> Profile:
        """Ask the provider who this is."""
        raise NotImplementedError

    def _session(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id=self.registration.client_id,
            client_secret=self.registration.client_secret,
            token_endpoint_auth_method=self.auth_method,
            scope=self.registration.scope,
            redirect_uri=self.registration.redirect_uri,
            code_challenge_method="S256",
            **self.outbound.options(),
        )

    async def start(self, state: str) -> Start:
        """See `locutory_oauth.identity.Provider`."""
        verifier = secrets.token_urlsafe(48)
        async with self._session() as session:
            url, _ = session.create_authorization_url(
                self.registration.authorize_url, state=state, code_verifier=verifier
            )
        return Start(url, {"verifier": verifier})

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> Arrival:
        """See `locutory_oauth.identity.Provider`."""
        if "error" in answer:
            raise Denied("denied", "the provider did not agree")
        code = answer.get("code")
        if not code:
            raise Refused("answer", "the answer holds no code")
        try:
            async with self._session() as session:
                token = await session.fetch_token(
                    self.registration.token_url,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=memory["verifier"],
                )
        except OAuthError as error:
            raise Refused("grant", f"the provider refuses: {error.error}") from error
        except httpx2.HTTPError as error:
            raise Unreachable(f"the token endpoint: {reason_of(error)}") from error
        except ValueError as error:
            raise Unreachable("the token endpoint does not answer with JSON") from error
        access = token.get("access_token")
        if not isinstance(access, str) or not access:
            raise Refused("tokens", "the provider gave no access token")
        profile = await self.profile(access)
        return arrival(self.provider, profile, may_register=self._may_register)


def bearer(access_token: str, **more: str) -> dict[str, str]:
    """Headers with an access token."""
    return {"authorization": f"Bearer {access_token}", **more}


def joined(*parts: Any) -> str:
    """Names as one text."""
    return " ".join(filter(None, map(text, parts)))
