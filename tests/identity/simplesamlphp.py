"""SimpleSAMLphp of Debian as an identity provider, with a configuration of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.identity.browser import OURS
from tests.identity.processes import free_port, wait_for, write_key

WWW = Path("/usr/share/simplesamlphp/www")
ENTITY = "https://chat.example.com"

_CONFIG = """<?php
$config = [
    'baseurlpath' => '{address}/',
    'certdir' => '{folder}/',
    'loggingdir' => '{folder}/',
    'datadir' => '{folder}/',
    'tempdir' => '{folder}/temporary',
    'metadatadir' => '{folder}/metadata/',
    'technicalcontact_email' => 'nobody@x.example',
    'secretsalt' => 'salt-of-the-tests',
    'auth.adminpassword' => 'password-of-the-tests',
    'admin.checkforupdates' => false,
    'timezone' => 'UTC',
    'logging.handler' => 'file',
    'enable.saml20-idp' => true,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'session.phpsession.savepath' => '{folder}/sessions',
    'store.type' => 'phpsession',
    'metadata.sources' => [['type' => 'flatfile']],
    'authproc.idp' => [],
];
"""
_HOSTED = """<?php
$metadata['{address}/idp'] = [
    'host' => '__DEFAULT__',
    'privatekey' => 'provider.key',
    'certificate' => 'provider.crt',
    'auth' => 'people',
];
"""
_REMOTE = """<?php
$metadata['{entity}'] = ['AssertionConsumerService' => '{ours}/oauth/saml/callback'{more}];
"""


@dataclass(frozen=True, slots=True)
class SimpleSaml:
    """The provider. ``password`` is everybody's."""

    address: str
    certificate: Path
    password: str

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {
            "SAML_ENTRY_POINT": f"{self.address}/saml2/idp/SSOService.php",
            "SAML_ISSUER": ENTITY,
            "SAML_CERT": str(self.certificate),
            "SAML_SESSION_SECRET": "secret-of-the-session",
            "SAML_EMAIL_CLAIM": "mail",
            "SAML_USERNAME_CLAIM": "uid",
            **more,
        }


def _php(value: Any) -> str:
    """A value as PHP writes it."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    if isinstance(value, Mapping):
        return f"[{', '.join(f'{_php(key)} => {_php(each)}' for key, each in value.items())}]"
    return f"[{', '.join(map(_php, value))}]"


def start_simplesaml(
    running: Any,
    folder: Path,
    people: Mapping[str, Mapping[str, Sequence[str]]],
    **metadata: Any,
) -> SimpleSaml:
    """Start it. ``people``: attributes by user name; ``metadata``: what it knows of our server
    besides name and address."""
    port = free_port()
    found = SimpleSaml(f"http://127.0.0.1:{port}", write_key(folder)[1], "password-of-everybody")
    for name in ("metadata", "sessions", "temporary"):
        (folder / name).mkdir()
    names = {"address": found.address, "folder": folder, "entity": ENTITY, "ours": OURS}
    more = "".join(f", {_php(key)} => {_php(value)}" for key, value in metadata.items())
    sources = {f"{name}:{found.password}": attributes for name, attributes in people.items()}
    users = ", ".join(f"{_php(key)} => {_php(value)}" for key, value in sources.items())
    for path, text in (
        ("config.php", _CONFIG.format(**names)),
        ("metadata/saml20-idp-hosted.php", _HOSTED.format(**names)),
        ("metadata/saml20-sp-remote.php", _REMOTE.format(**names, more=more)),
        (
            "authsources.php",
            f"<?php $config = ['people' => ['exampleauth:UserPass', {users}],"
            " 'admin' => ['core:AdminPassword']];",
        ),
    ):
        (folder / path).write_text(text)
    with (folder / "php.log").open("w") as log:
        process = running(
            ["php", "-S", f"127.0.0.1:{port}", "-t", str(WWW)],
            env={"PATH": "/usr/bin:/bin", "SIMPLESAMLPHP_CONFIG_DIR": str(folder)},
            stdout=log,
            stderr=log,
        )
    wait_for(port, process, "SimpleSAMLphp")
    return found
