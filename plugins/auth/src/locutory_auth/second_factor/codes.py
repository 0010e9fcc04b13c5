"""Codes of authenticator apps and backup codes, as LibreChat makes them (contract auth §8)."""

import base64
import hashlib
import re
import secrets
import time
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

STEP_SECONDS = 30
DIGITS = 6
WINDOW = 1
"""Steps before and after the present one that count too: clocks differ."""

BACKUP_CODES = 10
_SECRET = re.compile(r"[A-Z2-7]{16,128}=*")
_SECRET_BYTES = 20  # as long as the hash; RFC 4226 wants 16 at least
_SALTED = re.compile(r"sha256:([0-9a-f]{32}):([0-9a-f]{64})")
_CODE = re.compile(r"[0-9]{6}")


def new_secret() -> str:
    """Twenty random bytes in base 32: 32 characters."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """``True`` when the text has the form of a secret. Text that was decrypted with another key has
    not."""
    if not _SECRET.fullmatch(text):
        return False
    try:
        return bool(_key(text))
    except ValueError:
        return False


def matching_step(secret: str, code: str) -> int | None:
    """The step since 1970 that a code is of, the latest of those around now; ``None`` when it
    is of none."""
    if not _CODE.fullmatch(code):
        return None
    present = int(time.time()) // STEP_SECONDS
    # Secrets of LibreChat up to v0.8.8 have 80 bits, which libraries find short.
    app = HOTP(_key(secret), DIGITS, SHA1(), enforce_key_length=False)  # noqa: S303
    found = None
    for step in range(present - WINDOW, present + WINDOW + 1):
        if secrets.compare_digest(app.generate(step), code.encode()):
            found = step
    return found


def _key(secret: str) -> bytes:
    text = secret.rstrip("=")
    return base64.b32decode(text + "=" * (-len(text) % 8))


def otpauth_url(title: str, email: str, secret: str) -> str:
    """The content of the QR code."""
    issuer = quote("".join(title.split()), safe="")
    return f"otpauth://totp/{issuer}:{quote(email, safe='@+')}?secret={secret}&issuer={issuer}"


def new_backup_codes() -> tuple[list[str], list[dict[str, Any]]]:
    """Backup codes to show once, and their stored form."""
    codes = [secrets.token_hex(4) for _ in range(BACKUP_CODES)]
    stored = [{"codeHash": backup_hash(code), "used": False, "usedAt": None} for code in codes]
    return codes, stored


def backup_hash(code: str) -> str:
    """SHA-256 in hex of a backup code; blanks around it do not count."""
    return hashlib.sha256(code.strip().encode()).hexdigest()


def fits_backup(code: str, stored: Any) -> bool:
    """``True`` when this is the code of a stored hash. Besides `backup_hash` there is the form of
    LibreChat v0.8.9, ``sha256:<salt>:<hash>``: the hash of salt and code, both as text."""
    if not isinstance(stored, str) or not stored.isascii():
        return False
    salted = _SALTED.fullmatch(stored)
    salt, wanted = salted.groups() if salted else ("", stored)
    return secrets.compare_digest(backup_hash(salt + code.strip()), wanted)
