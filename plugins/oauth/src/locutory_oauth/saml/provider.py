"""Sign-in with SAML (contract oauth §6)."""

import asyncio
import hashlib
from collections.abc import Mapping

from locutory import Cache
from locutory_contracts.sign_in import Identity
from locutory_oauth.config import SamlSettings
from locutory_oauth.identity import Arrival, Picture, Refused, Start, text
from locutory_oauth.saml.response import SamlExchange

_SEEN = "oauth:saml-assertion"


class SamlProvider:
    """The identity provider of ``SAML_ENTRY_POINT``."""

    def __init__(self, settings: SamlSettings, exchange: SamlExchange, cache: Cache) -> None:
        self._settings = settings
        self._exchange = exchange
        self._cache = cache

    async def start(self, state: str) -> Start:
        """See `locutory_oauth.identity.Provider`; the state travels as RelayState."""
        url, request_id = await asyncio.to_thread(self._exchange.request, state)
        return Start(url, {"request": request_id})

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> Arrival:
        """See `locutory_oauth.identity.Provider`."""
        encoded = answer.get("SAMLResponse", "")
        assertion = await asyncio.to_thread(self._exchange.read, encoded, memory["request"])
        if not assertion.name_id:
            raise Refused("saml", "the assertion does not say who this is")
        if not await self._cache.add(_SEEN, assertion.id, 1, assertion.seconds):
            raise Refused("replay", "the assertion was used before")
        return self._arrival(assertion.name_id, assertion.attributes)

    def _arrival(self, name_id: str, attributes: Mapping[str, str]) -> Arrival:
        settings = self._settings

        def claim(configured: str | None, usual: str) -> str:
            return text(attributes.get(configured or usual) or attributes.get(usual))

        email = claim(settings.saml_email_claim, "email")
        username = claim(settings.saml_username_claim, "username")
        given = claim(settings.saml_given_name_claim, "given_name")
        family = claim(settings.saml_family_name_claim, "family_name")
        if settings.saml_name_claim:
            name = text(attributes.get(settings.saml_name_claim))
        else:
            name = " ".join(part for part in (given, family) if part) or username or email
        fields = {"username": username or given or email, "name": name}
        picture = claim(settings.saml_picture_claim, "picture")
        file = hashlib.sha256(name_id.encode()).hexdigest() + ".png"
        return Arrival(
            identity=Identity(
                provider="saml",
                key="samlId",
                subject=name_id,
                email=email,
                email_verified=True,
                fields={name: value for name, value in fields.items() if value},
            ),
            may_register=True,
            picture=Picture(picture, file, stored=True) if picture else None,
        )
