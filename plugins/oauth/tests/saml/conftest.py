"""A SAML identity provider for the tests, made with pysaml2 (which needs Debian's xmlsec1)."""

import shutil
import warnings
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

ACS = "http://localhost:3080/oauth/saml/callback"
OURS = "https://chat.example.com"
ENTITY = "https://idp.example.com/metadata"
ENTRY = "https://idp.example.com/sso?realm=a&b=c"

SP_METADATA = f"""<?xml version="1.0"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{OURS}">
  <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:AssertionConsumerService index="0" Location="{ACS}"
      Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>"""


def make_key(folder: Path, name: str) -> tuple[Path, Path]:
    """A key and its certificate, as files."""
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
    paths = folder / f"{name}.key", folder / f"{name}.crt"
    paths[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return paths


@dataclass(slots=True)
class IdentityProvider:
    """The provider. ``certificate``: the file with its certificate."""

    server: Any
    certificate: Path

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
        ``options`` are those of pysaml2's ``create_authn_response``."""
        request, relay_state = self.request(location)
        document = self.respond(name_id, in_response_to=request.get("ID"), **options)
        if change is not None:
            document = change(document)
        return {"SAMLResponse": b64encode(document.encode()).decode(), "RelayState": relay_state}

    def respond(self, name_id: str, **options: Any) -> str:
        """A response as XML."""
        from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NameID
        from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

        given: dict[str, Any] = {
            "identity": {"email": "ada@example.com", "username": "ada"},
            "in_response_to": None,
            "destination": ACS,
            "sp_entity_id": OURS,
            "name_id": NameID(format=NAMEID_FORMAT_EMAILADDRESS, text=name_id),
            "sign_assertion": True,
            "sign_response": False,
            "sign_alg": SIG_RSA_SHA256,
            "digest_alg": DIGEST_SHA256,
            "authn": {"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"},
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(self.server.create_authn_response(**{**given, **options}))


def make_provider(folder: Path, name: str, entity: str = ENTITY, minutes: int = 5) -> Any:
    """An identity provider with a key of its own."""
    key, certificate = make_key(folder, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from saml2 import BINDING_HTTP_REDIRECT
        from saml2.config import IdPConfig
        from saml2.server import Server

        config = IdPConfig().load(
            {
                "entityid": entity,
                "key_file": str(key),
                "cert_file": str(certificate),
                "xmlsec_binary": shutil.which("xmlsec1"),
                "metadata": {"inline": [SP_METADATA]},
                "service": {
                    "idp": {
                        "endpoints": {"single_sign_on_service": [(ENTRY, BINDING_HTTP_REDIRECT)]},
                        "policy": {
                            "default": {
                                "lifetime": {"minutes": minutes},
                                "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
                                "entity_categories": [],
                            }
                        },
                    }
                },
            }
        )
        return IdentityProvider(Server(config=config), certificate)


MakeProvider = Callable[..., IdentityProvider]


@pytest.fixture(scope="session")
def make_idp(tmp_path_factory: pytest.TempPathFactory) -> MakeProvider:
    """``make_idp("name", entity=…, minutes=…)``: another provider."""
    if shutil.which("xmlsec1") is None:
        pytest.skip("xmlsec1 is not installed: apt-get install xmlsec1")
    pytest.importorskip("saml2", reason="pysaml2 is not installed")
    folder = tmp_path_factory.mktemp("saml")

    def make(name: str, **options: Any) -> IdentityProvider:
        found: IdentityProvider = make_provider(folder, name, **options)
        return found

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
            answer = await stranger.post("/oauth/saml/callback", data=form)
        if answer.status_code != 303 or "resume=" not in answer.headers["location"]:
            return answer
        response: httpx2.Response = await found.browser.get(answer.headers["location"])
        return response

    return send
