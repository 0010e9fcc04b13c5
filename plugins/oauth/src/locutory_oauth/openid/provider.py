"""Sign-in with OpenID Connect (contract oauth §5)."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import structlog

from locutory_oauth.config import OpenIdSettings
from locutory_oauth.http_client import Unreachable
from locutory_oauth.identity import Picture, Refused, SignInResult, Start, text
from locutory_oauth.openid.claims import identity_of
from locutory_oauth.openid.client import OpenIdClient
from locutory_oauth.openid.discovery import TENANT, normal_issuer
from locutory_oauth.openid.entra import Graph
from locutory_oauth.openid.roles import Roles, Sources


class OpenIdProvider:
    """The generic provider."""

    def __init__(
        self,
        settings: OpenIdSettings,
        client: OpenIdClient,
        roles: Roles,
        graph: Graph,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._settings = settings
        self._client = client
        self._roles = roles
        self._graph = graph
        self._log = log

    async def start(self, state: str) -> Start:
        """Begin a sign-in (`locutory_oauth.identity.Provider`)."""
        return await self._client.start(state)

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> SignInResult:
        """Finish a sign-in: redeem the code, and read identity and roles from claims and user info
        (`locutory_oauth.identity.Provider`)."""
        tokens = await self._client.redeem(answer, memory)
        bearer, answered = await self._userinfo(tokens.access, tokens.claims["sub"])
        userinfo = {**tokens.claims, **answered}
        groups: list[Any] = []

        async def overage() -> Any:
            if not groups:
                groups.append(await self._graph.overage(tokens.access))
            return groups[0]

        rules = await self._roles.read(Sources(tokens.claims, tokens.access, userinfo, overage))
        issuer = self.issuer(tokens.claims)
        announced = (await self._client.discovery.metadata()).issuer
        own = (self._client.discovery.issuer, normal_issuer(announced))
        return SignInResult(
            identity=identity_of(
                self._settings,
                userinfo,
                issuer,
                configured=issuer in own,
            ),
            may_register=True,
            claim_names=userinfo.keys(),
            picture=await self._picture(userinfo, bearer),
            rules=rules,
            tokens=tokens,
        )

    def issuer(self, claims: Mapping[str, Any]) -> str:
        """The issuer as it is stored with an account."""
        return normal_issuer(text(claims.get("iss"))) or self._client.discovery.issuer

    async def _userinfo(self, token: str, subject: str) -> tuple[str, Mapping[str, Any]]:
        """The token that the provider's own services accept, and the claims of the user info."""
        try:
            if self._settings.openid_on_behalf_flow_for_userinfo_required:
                scope = self._settings.openid_on_behalf_flow_userinfo_scope
                token = await self._graph.exchanged(token, scope)
            return token, await self._client.userinfo(token, subject)
        except (Unreachable, Refused) as failure:
            if isinstance(failure, Refused) and failure.code in ("subject", "userinfo"):
                raise
            # The id token says enough to go on; a rule that needs more will fail by itself.
            self._log.warning("openid.userinfo_missing", reason=str(failure))
            return token, {}

    async def _picture(self, claims: Mapping[str, Any], bearer: str) -> Picture | None:
        url = claims.get("picture")
        if not isinstance(url, str) or not url:
            return None
        name = hashlib.sha256(str(claims["sub"]).encode()).hexdigest() + ".png"
        headers = {}
        if _origin(url) in await self._trusted_origins():
            headers = {"authorization": f"Bearer {bearer}"}
        return Picture(url=url, name=name, stored=True, headers=headers)

    async def _trusted_origins(self) -> set[str]:
        """Origins that may see the access token: the issuer's, and those of the operator."""
        metadata = await self._client.discovery.metadata()
        given = re.split(r"[\s,]+", " ".join(self._settings.openid_avatar_authorized_origins))
        issuer = "" if TENANT in metadata.issuer else metadata.issuer
        return {_origin(url) for url in (issuer, metadata.userinfo_endpoint, *given) if url} - {""}


def _origin(url: str) -> str:
    """``https://host[:port]``, or "" for anything else."""
    try:
        parts = urlsplit(url)
        default = {"https": 443, "http": 80}.get(parts.scheme)
        if default is None or not parts.hostname or "@" in parts.netloc:
            return ""
        return f"{parts.scheme}://{parts.hostname}:{parts.port or default}"
    except ValueError:
        return ""
