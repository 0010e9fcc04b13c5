"""LemonLDAP::NG of Debian as an OpenID and SAML provider, with a configuration of its own.

Its people are those of its demonstration: everybody's password is the name.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.identity.browser import OURS
from tests.identity.processes import free_port, wait_for, write_key

APPLICATION = Path("/usr/share/lemonldap-ng/portal/htdocs/index.psgi")
ENTITY = "https://chat.example.com"
SECRET = "secret+of/the=client"

_INI = """[all]
logLevel = warn
logger = Lemonldap::NG::Common::Logger::Std
userLogger = Lemonldap::NG::Common::Logger::Std
[configuration]
type = File
dirName = {folder}/conf
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'conf', 'cache_root' => '{folder}/cache', 'cache_depth' => 1 }}
[portal]
templateDir = /usr/share/lemonldap-ng/portal/templates
staticPrefix = /static
languages = en
"""
_METADATA = f"""<?xml version="1.0"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}">
  <md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:AssertionConsumerService index="0" isDefault="true"
      Location="{OURS}/oauth/saml/callback"
      Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>"""


_MODULES = ("Lemonldap::NG::Portal::Issuer::OpenIDConnect", "Lemonldap::NG::Portal::Issuer::SAML")
_CAPTCHA = "Lemonldap::NG::Portal::Captcha::SecurityImage"  # always loaded


@cache
def missing_modules() -> str:
    """What of it cannot be loaded; "" when it is installed with all that it needs."""
    if shutil.which("plackup") is None or not APPLICATION.exists():
        return "plackup or LemonLDAP::NG"
    command = ["perl", *(f"-M{name}" for name in (*_MODULES, _CAPTCHA)), "-e1"]
    tried = subprocess.run(command, capture_output=True, check=False)
    return "" if tried.returncode == 0 else "modules of LemonLDAP::NG"


@dataclass(frozen=True, slots=True)
class LemonLdap:
    """The provider."""

    address: str
    certificate: Path

    def openid(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it by OpenID Connect."""
        return {
            "OPENID_CLIENT_ID": "locutory",
            "OPENID_CLIENT_SECRET": SECRET,
            "OPENID_ISSUER": self.address,
            "OPENID_SCOPE": "openid profile email",
            "OPENID_SESSION_SECRET": "secret-of-the-session",
            **more,
        }

    def saml(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it by SAML."""
        return {
            "SAML_ENTRY_POINT": f"{self.address}/saml/singleSignOn",
            "SAML_ISSUER": ENTITY,
            "SAML_CERT": str(self.certificate),
            "SAML_SESSION_SECRET": "secret-of-the-session",
            **more,
        }


def _configuration(
    folder: Path,
    address: str,
    key: str,
    certificate: str,
    claims: dict[str, str],
    rp: dict[str, Any],
) -> dict[str, Any]:
    storage = {"Directory": f"{folder}/sessions", "LockDirectory": f"{folder}/sessions"}
    basic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
    host = address.removeprefix("http://")
    return {
        "cfgNum": 1,
        "cfgDate": 1,
        "cfgVersion": "2.16.1",
        "portal": f"{address}/",
        "domain": host.partition(":")[0],
        "cookieName": "lemonldap",
        "securedCookie": 0,
        "httpOnly": 1,
        "key": "key-of-the-tests",
        "authentication": "Demo",
        "userDB": "Same",
        "passwordDB": "Demo",
        "globalStorage": "Apache::Session::File",
        "globalStorageOptions": storage,
        "persistentStorage": "Apache::Session::File",
        "persistentStorageOptions": storage,
        "localSessionStorage": "",
        "portalDisplayRegister": 0,
        "portalDisplayResetPassword": 0,
        "demoExportedVars": {"cn": "cn", "mail": "mail", "uid": "uid"},
        "locationRules": {host: {"default": "accept"}},
        "exportedHeaders": {},
        "applicationList": {},
        "issuerDBOpenIDConnectActivation": 1,
        "oidcServiceMetaDataIssuer": address,
        "oidcServicePrivateKeySig": key,
        "oidcServicePublicKeySig": certificate,
        "oidcServiceKeyIdSig": "k1",
        "oidcServiceAllowAuthorizationCodeFlow": 1,
        "oidcRPMetaDataOptions": {
            "chat": {
                "oidcRPMetaDataOptionsClientID": "locutory",
                "oidcRPMetaDataOptionsClientSecret": SECRET,
                "oidcRPMetaDataOptionsRedirectUris": f"{OURS}/oauth/openid/callback",
                "oidcRPMetaDataOptionsIDTokenSignAlg": "RS256",
                "oidcRPMetaDataOptionsBypassConsent": 1,
                "oidcRPMetaDataOptionsUserIDAttr": "uid",
                **rp,
            }
        },
        "oidcRPMetaDataExportedVars": {"chat": claims},
        "issuerDBSAMLActivation": 1,
        "samlServicePrivateKeySig": key,
        "samlServicePublicKeySig": certificate,
        "samlServiceUseCertificateInResponse": 0,
        "samlServiceSignatureMethod": "RSA_SHA256",
        "samlSPMetaDataXML": {"chat": {"samlSPMetaDataXML": _METADATA}},
        "samlSPMetaDataExportedAttributes": {
            "chat": {name: f"1;{name};{basic};{name}" for name in claims.values()}
        },
        "samlSPMetaDataOptions": {
            "chat": {
                "samlSPMetaDataOptionsSignSSOMessage": 1,
                "samlSPMetaDataOptionsCheckSSOMessageSignature": 0,
            }
        },
    }


def start_lemonldap(running: Any, folder: Path, claims: dict[str, str], **client: Any) -> LemonLdap:
    """Start it.

    Args:
        claims: of OpenID, by name, from attributes of the demonstration; the same attributes
            are told by SAML.
        client: options of our server at it.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    key, certificate = write_key(folder)
    for name in ("conf", "cache", "sessions"):
        (folder / name).mkdir()
    rp = {f"oidcRPMetaDataOptions{name}": value for name, value in client.items()}
    configuration = _configuration(
        folder, address, key.read_text(), certificate.read_text(), claims, rp
    )
    (folder / "conf" / "lmConf-1.json").write_text(json.dumps(configuration))
    (folder / "lemonldap-ng.ini").write_text(_INI.format(folder=folder))
    with (folder / "lemonldap.log").open("w") as log:
        process = running(
            [
                "plackup",
                "-s",
                "HTTP::Server::PSGI",
                "--host",
                "127.0.0.1",
                "-E",
                "deployment",
                "--port",
                str(port),
                str(APPLICATION),
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "LLNG_DEFAULTCONFFILE": str(folder / "lemonldap-ng.ini"),
            },
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    wait_for(port, process, "LemonLDAP::NG")
    return LemonLdap(address, certificate)
