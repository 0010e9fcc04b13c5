"""A SAML identity provider for the tests, made with the libraries of the plugin itself."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import httpx2
import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree  # type: ignore[import-untyped]

ACS = "http://localhost:3080/oauth/saml/callback"
OURS = "https://chat.example.com"
ENTITY = "https://idp.example.com/metadata"
ENTRY = "https://idp.example.com/sso?realm=a&b=c"

SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"


def make_key(folder: Path, name: str) -> tuple[bytes, Path]:
    """A key, and the file of its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem, path


def instant(minutes: int = 0) -> str:
    """The time in some minutes, as SAML writes it."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def add(parent: Any, tag: str, text: str | None = None, **attributes: str | None) -> Any:
    """A new last child, in the parent's namespace unless the tag names another. Attributes
    that are ``None`` are left out."""
    name = tag if tag.startswith("{") else f"{{{etree.QName(parent).namespace}}}{tag}"
    given = {key: value for key, value in attributes.items() if value is not None}
    child = etree.SubElement(parent, name, given)
    child.text = text
    return child


@dataclass(slots=True)
class IdentityProvider:
    """The provider. ``certificate``: the file with its certificate; ``minutes``: how long its
    assertions are good."""

    key: bytes
    certificate: Path
    entity: str
    minutes: int

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {
            "SAML_ENTRY_POINT": ENTRY,
            "SAML_ISSUER": OURS,
            "SAML_CERT": str(self.certificate),
            "SAML_SESSION_SECRET": "secret-of-the-session",
            **more,
        }

    @staticmethod
    def request(location: str) -> tuple[ElementTree.Element, str]:
        """The request in an address, and its RelayState."""
        query = dict(parse_qsl(urlsplit(location).query))
        assert query["realm"] == "a"
        document = zlib.decompress(b64decode(query["SAMLRequest"]), -15)
        return ElementTree.fromstring(document), query["RelayState"]  # noqa: S314

    def answer(
        self,
        location: str,
        name_id: str = "ada@example.com",
        *,
        change: Callable[[str], str] | None = None,
        **options: Any,
    ) -> dict[str, str]:
        """The form that the browser posts for a request. ``change`` edits the signed XML;
        ``options`` are those of `respond`."""
        request, relay_state = self.request(location)
        document = self.respond(name_id, in_response_to=request.get("ID"), **options)
        if change is not None:
            document = change(document)
        return {"SAMLResponse": b64encode(document.encode()).decode(), "RelayState": relay_state}

    def respond(
        self,
        name_id: str,
        *,
        name_format: str | None = None,
        identity: Mapping[str, str | Sequence[str]] = MappingProxyType(
            {"email": "ada@example.com", "username": "ada"}
        ),
        in_response_to: str | None = None,
        destination: str = ACS,
        sp_entity_id: str = OURS,
        sign_assertion: bool = True,
        sign_response: bool = False,
        sign_alg: str = "RSA_SHA256",
        digest_alg: str = "SHA256",
    ) -> str:
        """A response as XML. The algorithms are named as `xmlsec.Transform` names them;
        ``name_format``: of the name, else that of addresses."""
        response = etree.Element(
            f"{{{SAMLP}}}Response",
            {"ID": f"_{uuid4().hex}", "Version": "2.0", "IssueInstant": instant()},
            nsmap={"samlp": SAMLP, "saml": SAML},
        )
        response.set("Destination", destination)
        if in_response_to is not None:
            response.set("InResponseTo", in_response_to)
        add(response, f"{{{SAML}}}Issuer", self.entity)
        add(add(response, "Status"), "StatusCode", Value=SUCCESS)
        assertion = self._assertion(response, name_id, name_format or EMAIL, sp_entity_id)
        statement = add(assertion, "AttributeStatement")
        for name, values in identity.items():
            attribute = add(statement, "Attribute", Name=name, NameFormat=BASIC)
            for value in [values] if isinstance(values, str) else values:
                add(attribute, "AttributeValue", value)
        if sign_assertion:
            self._sign(assertion, sign_alg, digest_alg)
        if sign_response:
            self._sign(response, sign_alg, digest_alg)
        return str(etree.tostring(response), "utf-8")

    def _assertion(self, response: Any, name_id: str, name_format: str, audience: str) -> Any:
        """An assertion below the response, without attributes."""
        ends = instant(self.minutes)
        assertion = add(
            response,
            f"{{{SAML}}}Assertion",
            ID=f"_{uuid4().hex}",
            Version="2.0",
            IssueInstant=instant(),
        )
        add(assertion, "Issuer", self.entity)
        subject = add(assertion, "Subject")
        add(subject, "NameID", name_id, Format=name_format)
        add(
            add(subject, "SubjectConfirmation", Method=BEARER),
            "SubjectConfirmationData",
            NotOnOrAfter=ends,
            Recipient=response.get("Destination"),
            InResponseTo=response.get("InResponseTo"),
        )
        conditions = add(assertion, "Conditions", NotBefore=instant(), NotOnOrAfter=ends)
        add(add(conditions, "AudienceRestriction"), "Audience", audience)
        statement = add(
            assertion, "AuthnStatement", AuthnInstant=instant(), SessionIndex=uuid4().hex
        )
        add(add(statement, "AuthnContext"), "AuthnContextClassRef", PASSWORD)
        return assertion

    def _sign(self, signed: Any, sign_alg: str, digest_alg: str) -> None:
        """Put a signature with our certificate behind the issuer."""
        named: Any = xmlsec  # its types lack some of its names
        exclusive = named.Transform.EXCL_C14N
        signature = xmlsec.template.create(
            signed, exclusive, getattr(named.Transform, sign_alg), ns="ds"
        )
        signed.find(f"{{{SAML}}}Issuer").addnext(signature)
        reference = xmlsec.template.add_reference(
            signature, getattr(named.Transform, digest_alg), uri=f"#{signed.get('ID')}"
        )
        xmlsec.template.add_transform(reference, named.Transform.ENVELOPED)
        xmlsec.template.add_transform(reference, exclusive)
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
        xmlsec.tree.add_ids(signed, ["ID"])
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(self.key, named.KeyFormat.PEM)
        context.key.load_cert_from_file(str(self.certificate), named.KeyFormat.PEM)
        context.sign(signature)


MakeProvider = Callable[..., IdentityProvider]


@pytest.fixture(scope="session")
def make_idp(tmp_path_factory: pytest.TempPathFactory) -> MakeProvider:
    """``make_idp("name", entity=…, minutes=…)``: a provider with a key of its own."""
    folder = tmp_path_factory.mktemp("saml")

    def make(name: str, entity: str = ENTITY, minutes: int = 5) -> IdentityProvider:
        return IdentityProvider(*make_key(folder, name), entity, minutes)

    return make


@pytest.fixture(scope="session")
def idp(make_idp: MakeProvider) -> IdentityProvider:
    """The provider that the server knows."""
    return make_idp("idp")


@pytest.fixture
def post() -> Any:
    """Post a form from the provider's site, as a browser does: without our cookies, which
    it sends again when it follows the answer."""

    async def send(found: Any, form: dict[str, str]) -> httpx2.Response:
        async with found.server.connect() as stranger:
            answer: httpx2.Response = await stranger.post("/oauth/saml/callback", data=form)
        if answer.status_code != 303 or "resume=" not in answer.headers["location"]:
            return answer
        response: httpx2.Response = await found.browser.get(answer.headers["location"])
        return response

    return send
