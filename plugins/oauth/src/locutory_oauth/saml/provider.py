"""Sign-in with SAML (contract oauth §6)."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from locutory import Cache
from locutory_contracts.sign_in import Identity
from locutory_oauth.identity import Picture, Refused, SignInResult, Start
from locutory_oauth.saml.response import Assertion, SamlExchange
from locutory_oauth.saml.settings import SamlSettings
from locutory_oauth.values import first_address, first_text, joined_text

_EMAIL = ("email", "mail", "urn:oid:0.9.2342.19200300.100.1.3")
"""The attributes that may contain an address; LibreChat reads these too."""

_NAME = (
    "displayName",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "cn",
    "urn:oid:2.5.4.3",
)
"""The attributes in which directories have the displayed name."""

_SEEN = "oauth:saml-assertion"


class SamlProvider:
    """The identity provider of ``SAML_ENTRY_POINT``."""

    def __init__(self, settings: SamlSettings, exchange: SamlExchange, cache: Cache) -> None:
        self._settings = settings
        self._exchange = exchange
        self._cache = cache

    async def start(self, state: str) -> Start:
        """Begin a sign-in (`locutory_oauth.identity.Provider`); the state is sent as RelayState."""
        url, request_id = await asyncio.to_thread(self._exchange.request, state)
        return Start(url, {"request": request_id})

    async def finish(self, answer: Mapping[str, str], memory: Mapping[str, str]) -> SignInResult:
        """Finish a sign-in: read the assertion, and refuse one that was used before
        (`locutory_oauth.identity.Provider`)."""
        encoded = answer.get("SAMLResponse", "")
        assertion = await asyncio.to_thread(self._exchange.read, encoded, memory["request"])
        if not assertion.name_id:
            raise Refused("saml", "the assertion does not say who this is")
        if not await self._cache.add(_SEEN, assertion.id, 1, assertion.seconds):
            raise Refused("replay", "the assertion was used before")
        return self._result(assertion)

    def _result(self, assertion: Assertion) -> SignInResult:
        settings, attributes = self._settings, assertion.attributes

        def values(configured: str | None, *usual: str) -> list[Sequence[str]]:
            return [attributes.get(name, ()) for name in (configured, *usual) if name]

        email = first_address(*values(settings.saml_email_claim, *_EMAIL))
        usernames = values(settings.saml_username_claim, "username")
        username = next(filter(None, map(joined_text, usernames)), "")
        given = first_text(*values(settings.saml_given_name_claim, "given_name"))
        family = first_text(*values(settings.saml_family_name_claim, "family_name"))
        name = first_text(
            *values(settings.saml_name_claim),
            f"{given} {family}" if given and family else None,
            *values(None, *_NAME),
            given,
            family,
            username,
            email,
        )
        fields = {"username": username or given or email, "name": name}
        picture = first_text(*values(settings.saml_picture_claim, "picture"))
        subject = assertion.name_id if assertion.lasts else ""
        file = hashlib.sha256((subject or email).encode()).hexdigest() + ".png"
        return SignInResult(
            identity=Identity(
                provider="saml",
                key="samlId",
                subject=subject,
                email=email,
                email_verified=True,
                fields={name: value for name, value in fields.items() if value},
            ),
            may_register=True,
            claim_names=attributes.keys(),
            picture=Picture(picture, file, stored=True) if picture else None,
        )
