"""The client's side of OpenID Connect: authorization request, code, refresh, user info."""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_oauth.http_client import HttpClient, Unreachable, json_object
from locutory_oauth.identity import Refused, Start, TokenSet
from locutory_oauth.oauth2 import TokenEndpoint, authorization_url, code_of
from locutory_oauth.openid.discovery import TENANT, Discovery
from locutory_oauth.openid.verification import TokenExpired, Verification

OFFLINE = "offline_access"
_ON_BEHALF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN = re.compile(r"[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration of this server with a provider.

    ``secret`` is called at each use (Apple's is signed each time), ``None`` makes a public client.
    ``auth_method`` overrides the discovery document; ``extra`` are further parameters of the
    authorization request, "" for one that must not be sent; ``userinfo``: query that endpoint too.
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
    """Talks to one provider."""

    def __init__(
        self,
        registration: Registration,
        discovery: Discovery,
        verification: Verification,
        http: HttpClient,
    ) -> None:
        self.registration = registration
        self.discovery = discovery
        self.verification = verification
        self._http = http
        self._endpoint = TokenEndpoint(
            http, registration.client_id, registration.secret, registration.auth_method
        )

    async def start(self, state: str) -> Start:
        """The authorization request, with a nonce, and a PKCE challenge where that is asked
        for or announced."""
        ours, metadata = self.registration, await self.discovery.metadata()
        memory = {"nonce": secrets.token_urlsafe(32)}
        if ours.pkce or metadata.pkce:
            memory["verifier"] = secrets.token_urlsafe(48)
        more = {"nonce": memory["nonce"], **ours.extra}
        if OFFLINE in ours.scope.split() and metadata.offline_needs_consent:
            more.setdefault("prompt", "consent")
        url = authorization_url(
            metadata.authorization_endpoint,
            client_id=ours.client_id,
            redirect_uri=ours.redirect_uri,
            scope=ours.scope,
            state=state,
            verifier=memory.get("verifier"),
            more={name: value for name, value in more.items() if value},
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
        form = {
            "grant_type": "authorization_code",
            "code": code_of(answer),
            "redirect_uri": self.registration.redirect_uri,
        }
        if "verifier" in memory:
            form["code_verifier"] = memory["verifier"]
        found = await self._endpoint.ask(metadata.token_endpoint, form, metadata.auth_methods)
        tokens = await self._tokens(found, memory["nonce"])
        if not tokens.id:
            raise Refused("tokens", "the provider gave no id token; is openid in the scopes?")
        return tokens

    async def refresh(self, token: str, audience: str | None = None) -> TokenSet:
        """New tokens for a refresh token. Without an id token in the response, or with an expired
        one, ``id`` is "" and ``claims`` are empty; the old refresh token is kept when there is no
        new one. No scope is requested: that means the granted ones (RFC 6749 §6), and a provider
        refuses others."""
        metadata = await self.discovery.metadata()
        form = {"grant_type": "refresh_token", "refresh_token": token}
        if audience:
            form["audience"] = audience
        found = await self._endpoint.ask(metadata.token_endpoint, form, metadata.auth_methods)
        try:
            return await self._tokens(found, None)
        except TokenExpired:  # the first one once more
            return await self._tokens({**found, "id_token": None}, None)

    async def _tokens(self, answer: Mapping[str, Any], nonce: str | None) -> TokenSet:
        access, identity = answer["access_token"], answer.get("id_token")
        claims: Mapping[str, Any] = {}
        if isinstance(identity, str) and identity:
            claims = await self.verification.id_token(
                identity,
                client_id=self.registration.client_id,
                nonce=nonce,
                access_token=access,
            )
        refresh, scope = answer.get("refresh_token"), answer.get("scope")
        return TokenSet(
            access=access,
            id=identity if isinstance(identity, str) else "",
            refresh=refresh if isinstance(refresh, str) and refresh else None,
            claims=claims,
            scope=scope if isinstance(scope, str) else None,
        )

    async def revoke(self, token: str) -> None:
        """Revoke a refresh token (RFC 7009); does nothing for a provider without a revocation
        endpoint."""
        metadata = await self.discovery.metadata()
        if metadata.revocation_endpoint is None:
            return
        await self._endpoint.revoke(metadata.revocation_endpoint, token, metadata.auth_methods)

    async def on_behalf(self, assertion: str, scope: str) -> tuple[str, float]:
        """Exchange an access token for one of another scope (Entra's on-behalf-of flow); return the
        token, and the seconds for which it is valid."""
        metadata = await self.discovery.metadata()
        form = {
            "grant_type": _ON_BEHALF,
            "assertion": assertion,
            "scope": scope,
            "requested_token_use": "on_behalf_of",
        }
        answer = await self._endpoint.ask(metadata.token_endpoint, form, metadata.auth_methods)
        seconds = answer.get("expires_in")
        good = float(seconds) if isinstance(seconds, int) and seconds > 0 else 3600.0
        return answer["access_token"], good

    async def userinfo(self, access_token: str, subject: str) -> Mapping[str, Any]:
        """The claims of the user info endpoint about ``subject``; empty without an endpoint. Where
        the provider signs it, that is checked. `Refused` when it speaks of somebody else, or
        cannot be believed."""
        metadata = await self.discovery.metadata()
        if metadata.userinfo_endpoint is None or not self.registration.userinfo:
            return {}
        what = "the user info"
        headers = {
            "authorization": f"Bearer {access_token}",
            "accept": "application/json, application/jwt",
        }
        response = await self._http.answer(metadata.userinfo_endpoint, what, headers)
        if response.status_code != 200:
            text = f"{what} answers with status {response.status_code}"
            raise Unreachable(text, status=response.status_code)
        found: Mapping[str, Any] | None = json_object(response.content)
        if found is None:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            token = response.content.strip().decode("ascii", "replace")
            if kind != "application/jwt" and not _TOKEN.fullmatch(token):
                raise Unreachable(f"{what} is neither a JSON object nor a signed one")
            found = await self.verification.userinfo(token, self.registration.client_id)
        sub = found.get("sub")
        if not isinstance(sub, str) or not hmac.compare_digest(sub.encode(), subject.encode()):
            raise Refused("subject", "the user info is about somebody else")
        return found
