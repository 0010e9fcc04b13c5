"""Reading ``SAML_CERT``: PEM text, bare base64, or the path of a file."""

import base64
import re
from pathlib import Path

from cryptography import x509

from locutory import Problem, StartupError

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


def read_certificates(value: str) -> list[str]:
    """The provider's certificates as bare base64; a file or PEM text may hold several, the
    old one and the new. `StartupError` when there is none."""
    text = value.strip().replace("\\n", "\n")
    if "-----BEGIN" not in text and _is_file(text):
        try:
            text = Path(text).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise _problem("the file cannot be read") from None
    found = _PEM.findall(text) or ([text] if _BASE64.fullmatch(text) else [])
    certificates = ["".join(body.split()) for body in found]
    if not certificates:
        raise _problem("is neither a certificate nor the path of a file with one")
    for certificate in certificates:
        try:
            x509.load_der_x509_certificate(base64.b64decode(certificate, validate=True))
        except ValueError:
            raise _problem("does not hold a certificate") from None
    return certificates


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name for a file, so it may be the certificate
        return False


def _problem(text: str) -> StartupError:
    fix = "give the identity provider's X.509 certificate as PEM, as base64, or as a path"
    return StartupError(Problem("SAML_CERT", text, fix, "oauth"))
