"""The client's side of OpenID Connect: authorization request, code, refresh, user info."""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from locutory_oauth.identity import Denied, Refused, Start, TokenSet
from locutory_oauth.openid.discovery import TENANT, Discovery, Metadata
from locutory_oauth.openid.verification import Verification
from locutory_oauth.outbound import Outbound, Unreachable, reason_of

_ON_BEHALF = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Registration:
    """How this server is known to a provider.

    ``secret`` is asked for at each use (Apple's is signed anew), ``None`` makes a public
    client. ``auth_method`` overrides what discovery says; ``extra`` are further parameters of
    the authorization request; ``userinfo``: ask that endpoint too.
    """

    client_id: str
    redirect_uri: str
    scope: str
    secret: Callable[[], str] | None = field(default=None, repr=False)
    pkce: bool = False
    auth_method: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    userinfo: bool = True


class OpenIdClient:
    """Talks to one provider. Keeps nothing between calls."""

    def __init__(
        self,
        registration: Registration,
        discovery: Discovery,
        verification: Verification,
        outbound: Outbound,
    ) -> None:
        self.registration = registration
        self.discovery = discovery
        self.verification = verification
        self._outbound = outbound

    def _session(self, metadata: Metadata) -> AsyncOAuth2Client:
        ours = self.registration
        secret = None if ours.secret is None else ours.secret()
        offered = metadata.auth_methods
        method = "none"
        if secret is not None:
            # The standard's default is basic; of two that are offered LibreChat takes post.
            method = "client_secret_post" if "client_secret_post" in offered else ""
            method = ours.auth_method or method or "client_secret_basic"
        return AsyncOAuth2Client(
            client_id=ours.client_id,
            client_secret=secret,
            token_endpoint_auth_method=method,
            scope=ours.scope,
            redirect_uri=ours.redirect_uri,
            code_challenge_method="S256",
            **self._outbound.options(),
        )

    async def start(self, state: str) -> Start:
        """The authorization request, with a nonce, and a PKCE challenge where that is asked
        for or announced."""
        metadata = await self.discovery.metadata()
        memory = {"nonce": secrets.token_urlsafe(32)}
        if self.registration.pkce or metadata.pkce:
            memory["verifier"] = secrets.token_urlsafe(48)
        async with self._session(metadata) as session:
            url, _ = session.create_authorization_url(
                metadata.authorization_endpoint,
                state=state,
                nonce=memory["nonce"],
                code_verifier=memory.get("verifier"),
                **self.registration.extra,
            )
        return Start(url, memory)

    async def redeem(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> TokenSet:
        """The tokens for an authorization answer, the id token verified.

        An answer that names another issuer is refused before its code goes anywhere (mix-up
        attack, RFC 9207).
        """
        metadata = await self.discovery.metadata()
        named = answer.get("iss")
        if named is None and metadata.names_itself:
            raise Refused("mix_up", "the answer does not name its issuer")
        if named is not None and named != metadata.issuer and TENANT not in metadata.issuer:
            raise Refused("mix_up", "the answer comes from another issuer")
        if "error" in answer:
            raise Denied("denied", "the provider did not agree")
        code = answer.get("code")
        if not code:
            raise Refused("answer", "the answer holds no code")
        options = {"code_verifier": memory["verifier"]} if "verifier" in memory else {}
        return await self._tokens(
            metadata,
            lambda session: session.fetch_token(
                metadata.token_endpoint, grant_type="authorization_code", code=code, **options
            ),
            memory["nonce"],
        )

    async def refresh(self, token: str, audience: str | None = None) -> TokenSet:
        """New tokens for a refresh token. Without an id token in the answer ``id`` is "" and
        ``claims`` are empty; the old refresh token stays when there is no new one."""
        metadata = await self.discovery.metadata()
        options = {"audience": audience} if audience else {}
        return await self._tokens(
            metadata,
            lambda session: session.refresh_token(
                metadata.token_endpoint, refresh_token=token, **options
            ),
            None,
        )

    async def _tokens(
        self, metadata: Metadata, ask: Callable[[AsyncOAuth2Client], Any], nonce: str | None
    ) -> TokenSet:
        answer = await self._ask(metadata, ask)
        access, identity = answer.get("access_token"), answer.get("id_token")
        if not isinstance(access, str) or not access:
            raise Refused("tokens", "the provider gave no access token")
        claims: Mapping[str, Any] = {}
        if isinstance(identity, str) and identity:
            claims = await self.verification.id_token(
                identity,
                client_id=self.registration.client_id,
                nonce=nonce,
                access_token=access,
            )
        elif nonce is not None:
            raise Refused("tokens", "the provider gave no id token; is openid in the scopes?")
        refresh = answer.get("refresh_token")
        return TokenSet(
            access=access,
            id=identity if isinstance(identity, str) else "",
            refresh=refresh if isinstance(refresh, str) and refresh else None,
            claims=claims,
        )

    async def _ask(
        self, metadata: Metadata, ask: Callable[[AsyncOAuth2Client], Any]
    ) -> Mapping[str, Any]:
        try:
            async with self._session(metadata) as session:
                answer: Mapping[str, Any] = await ask(session)
                return answer
        except OAuthError as error:
            raise Refused("grant", f"the provider refuses: {error.error}") from error
        except httpx2.HTTPError as error:
            raise Unreachable(f"the token endpoint: {reason_of(error)}") from error
        except ValueError as error:
            raise Unreachable("the token endpoint does not answer with JSON") from error

    async def revoke(self, token: str) -> None:
        """Tell the provider that a refresh token is used no more (RFC 7009); nothing where it
        does not take that."""
        metadata = await self.discovery.metadata()
        if metadata.revocation_endpoint is None:
            return
        try:
            async with self._session(metadata) as session:
                answer = await session.revoke_token(
                    metadata.revocation_endpoint, token=token, token_type_hint="refresh_token"
                )
        except (OAuthError, httpx2.HTTPError, ValueError) as error:
            raise Unreachable(f"the revocation endpoint: {reason_of(error)}") from error
        if answer.status_code >= 400:
            raise Unreachable(f"the revocation endpoint answers {answer.status_code}")

    async def on_behalf(self, assertion: str, scope: str) -> tuple[str, float]:
        """Exchange an access token for one of another scope (Entra's on-behalf-of flow); the
        token, and how many seconds it is good for."""
        metadata = await self.discovery.metadata()
        answer = await self._ask(
            metadata,
            lambda session: session.fetch_token(
                metadata.token_endpoint,
                grant_type=_ON_BEHALF,
                assertion=assertion,
                scope=scope,
                requested_token_use="on_behalf_of",
            ),
        )
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token:
            raise Refused("grant", "the exchange gave no access token")
        return token, float(seconds) if isinstance(seconds, int) and seconds > 0 else 3600.0

    async def userinfo(self, access_token: str, subject: str) -> Mapping[str, Any]:
        """What the user info endpoint says about ``subject``; empty without an endpoint.
        `Refused` when it speaks of somebody else."""
        metadata = await self.discovery.metadata()
        if metadata.userinfo_endpoint is None or not self.registration.userinfo:
            return {}
        found = await self._outbound.object(
            metadata.userinfo_endpoint, headers={"authorization": f"Bearer {access_token}"}
        )
        told = found.get("sub")
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), subject.encode()):
            raise Refused("subject", "the user info is about somebody else")
        return found
