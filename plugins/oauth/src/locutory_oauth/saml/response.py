"""Requests to a SAML identity provider, and the checking of its responses.

python3-saml does the cryptography and most checks. It is lenient where a standard leaves
room, so what follows demands more (each with an attack in the tests): the response answers
our request, for our address and our name, once, and its signature has the plain shape that
leaves no room for a second, unsigned assertion.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from lxml import etree  # type: ignore[import-untyped]
from onelogin.saml2.authn_request import OneLogin_Saml2_Authn_Request  # type: ignore[import-untyped]
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Names  # type: ignore[import-untyped]
from onelogin.saml2.response import OneLogin_Saml2_Response  # type: ignore[import-untyped]
from onelogin.saml2.settings import OneLogin_Saml2_Settings  # type: ignore[import-untyped]
from onelogin.saml2.utils import OneLogin_Saml2_Utils  # type: ignore[import-untyped]
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML  # type: ignore[import-untyped]

from locutory_oauth.identity import Refused

LARGEST = 256 * 1024
"""The maximum characters of an encoded response."""

LONGEST_REASON = 200

_SIGNATURES = frozenset(
    f"http://www.w3.org/2001/04/xmldsig-more#{name}"
    for name in (
        "rsa-sha256",
        "rsa-sha384",
        "rsa-sha512",
        "ecdsa-sha256",
        "ecdsa-sha384",
        "ecdsa-sha512",
    )
)
_DIGESTS = frozenset(
    {
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2001/04/xmldsig-more#sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    }
)
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_CANONICAL = frozenset({_EXCLUSIVE, _EXCLUSIVE + "WithComments"})
_TRANSFORMS = _CANONICAL | {"http://www.w3.org/2000/09/xmldsig#enveloped-signature"}


@dataclass(frozen=True, slots=True)
class Party:
    """The two sides. ``entity``: the provider's name, ``None`` when only its key is known."""

    entry_point: str
    entity: str | None
    certificates: tuple[str, ...]
    own_entity: str
    callback: str
    sign_response: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """The content of a valid response. ``id`` must not be accepted again for ``seconds``.
    ``lasts``: the name is the same at the next sign-in. ``attributes``: the values by name."""

    id: str
    seconds: float
    name_id: str
    lasts: bool
    attributes: Mapping[str, Sequence[str]]


class SamlExchange:
    """Makes requests and reads responses. Blocking: run it in a thread."""

    def __init__(self, party: Party) -> None:
        self._party = party
        parts = urlsplit(party.callback)
        self._request_data: dict[str, Any] = {
            "https": "on" if parts.scheme == "https" else "off",
            "http_host": parts.netloc,
            "script_name": parts.path,
            "get_data": {},
            "post_data": {},
        }

    def _settings(self, entity: str, quoted: Callable[[str], str] = str) -> OneLogin_Saml2_Settings:
        party = self._party
        return OneLogin_Saml2_Settings(
            {
                "strict": True,
                "debug": False,
                "sp": {
                    "entityId": quoted(party.own_entity),
                    "assertionConsumerService": {
                        "url": quoted(party.callback),
                        "binding": Names.BINDING_HTTP_POST,
                    },
                    # What LibreChat asks for: with another format the provider would call
                    # people by other names, and nobody would find their account.
                    "NameIDFormat": Names.NAMEID_EMAIL_ADDRESS,
                },
                "idp": {
                    "entityId": entity,
                    "singleSignOnService": {
                        "url": quoted(party.entry_point),
                        "binding": Names.BINDING_HTTP_REDIRECT,
                    },
                    "x509certMulti": {"signing": list(party.certificates)},
                },
                "security": {
                    "authnRequestsSigned": False,
                    "requestedAuthnContext": False,
                    "rejectDeprecatedAlgorithm": True,
                    "wantAssertionsSigned": not party.sign_response,
                    "wantMessagesSigned": party.sign_response,
                    "wantAttributeStatement": False,
                    "allowRepeatAttributeName": True,
                },
            },
            sp_validation_only=False,
        )

    def request(self, relay_state: str) -> tuple[str, str]:
        """The address to send a browser to, and the id of the request in it."""
        # The library puts these texts into XML as they are.
        entity = self._party.entity or self._party.entry_point
        made = OneLogin_Saml2_Authn_Request(self._settings(escape(entity), escape))
        query = {"SAMLRequest": made.get_request(), "RelayState": relay_state}
        url = OneLogin_Saml2_Utils.redirect(self._party.entry_point, query, self._request_data)
        return str(url), str(made.get_id())

    def read(self, encoded: str, request_id: str) -> Assertion:
        """The assertion of a response to our request; `Refused` for anything else."""
        if len(encoded) > LARGEST:
            raise Refused("saml", "the response is too long")
        try:
            return self._read(encoded, request_id)
        except Refused:
            raise
        except Exception as error:  # the libraries raise dozens of kinds for hostile XML
            reason = str(error)[:LONGEST_REASON]
            raise Refused("saml", f"the response is not acceptable: {reason}") from error

    def _read(self, encoded: str, request_id: str) -> Assertion:
        document = OneLogin_Saml2_XML.to_etree(OneLogin_Saml2_Utils.b64decode(encoded))
        _check_shape(document)
        entity = self._party.entity or _issuer(document)
        response = OneLogin_Saml2_Response(self._settings(entity), encoded)
        response.is_valid(self._request_data, request_id, raise_exceptions=True)
        # From here on the assertion is the provider's own words.
        if self._party.own_entity not in response.get_audiences():
            raise Refused("saml", "the assertion is not meant for this server")
        if response.get_in_response_to() != request_id:
            raise Refused("saml", "the response does not answer our request")
        self._check_confirmation(response.get_xml_document(), request_id)
        expires = response.get_assertion_not_on_or_after()
        if expires is None:
            raise Refused("saml", "the assertion does not say how long it is good")
        return Assertion(
            id=str(response.get_assertion_id()),
            seconds=max(1.0, expires - OneLogin_Saml2_Utils.now() + Names.ALLOWED_CLOCK_DRIFT),
            name_id=str(response.get_nameid() or "").strip(),
            lasts=response.get_nameid_format() != Names.NAMEID_TRANSIENT,
            attributes=_attributes(response),
        )

    def _check_confirmation(self, document: etree._Element, request_id: str) -> None:
        """The signed part itself must answer our request at our address."""
        for data in OneLogin_Saml2_XML.query(
            document,
            "/samlp:Response/saml:Assertion/saml:Subject/saml:SubjectConfirmation"
            f"[@Method='{Names.CM_BEARER}']/saml:SubjectConfirmationData",
        ):
            ours = data.get("Recipient") == self._party.callback
            if ours and data.get("InResponseTo") == request_id and data.get("NotOnOrAfter"):
                return
        raise Refused("saml", "the assertion does not answer our request at our address")


def _check_shape(document: etree._Element) -> None:
    """One assertion, directly below the response; each signature directly below what it
    signs, with one reference to just that, and by known methods."""
    query = OneLogin_Saml2_XML.query
    assertions = query(document, "//saml:Assertion")
    if len(assertions) != 1 or assertions[0].getparent() is not document:
        raise Refused("saml", "the response must hold one assertion")
    if document.tag != f"{{{Names.NS_SAMLP}}}Response":
        raise Refused("saml", "this is not a response")
    ids = [node.get("ID") for node in query(document, "//*[@ID]")]
    if len(ids) != len(set(ids)):
        raise Refused("saml", "two elements have the same id")
    for signature in query(document, "//ds:Signature"):
        signed = signature.getparent()
        references = query(signature, ".//ds:Reference")
        direct = query(signature, "./ds:SignedInfo/ds:Reference")
        if signed not in (document, assertions[0]) or len(references) != 1 or len(direct) != 1:
            raise Refused("saml", "a signature is out of place")
        if not signed.get("ID") or direct[0].get("URI") != f"#{signed.get('ID')}":
            raise Refused("saml", "a signature signs something else")
        _check_methods(signature)
        if query(signature, "./ds:Object"):
            raise Refused("saml", "a signature holds something else")


def _check_methods(signature: etree._Element) -> None:
    for path, allowed in (
        ("./ds:SignedInfo/ds:SignatureMethod", _SIGNATURES),
        ("./ds:SignedInfo/ds:CanonicalizationMethod", _CANONICAL),
        (".//ds:DigestMethod", _DIGESTS),
        (".//ds:Transform", _TRANSFORMS),
    ):
        used = [node.get("Algorithm") for node in OneLogin_Saml2_XML.query(signature, path)]
        if not used or not set(used) <= allowed:
            raise Refused("saml", "a signature uses a method that is not allowed")


def _issuer(document: etree._Element) -> str:
    """The name that the provider gives itself; its certificate decides whether it may."""
    nodes = OneLogin_Saml2_XML.query(document, "/samlp:Response/saml:Assertion/saml:Issuer")
    name = OneLogin_Saml2_XML.element_text(nodes[0]) if len(nodes) == 1 else None
    if not name:
        raise Refused("saml", "the assertion does not name its issuer")
    return str(name)


def _attributes(response: OneLogin_Saml2_Response) -> dict[str, list[str]]:
    """The values of attributes by name and by friendly name."""
    found: dict[str, list[str]] = {}
    named: Mapping[str, Any]
    for named in (response.get_friendlyname_attributes(), response.get_attributes()):
        for name, values in named.items():
            texts = [value for value in values if isinstance(value, str) and value.strip()]
            if texts:
                found[name] = texts
    return found
