"""The record of the secrets that belong to a database (collections §3.7)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from pymongo.errors import DuplicateKeyError

from locutory_credentials.ciphers import Credentials
from locutory_credentials.secrets import HEX_DIGITS, fingerprint

log = structlog.get_logger("locutory.secrets")

COLLECTION = "librechatCredentialMetadata"


def _accepted(
    credentials: Credentials, environment: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """The acceptable fingerprints of each secret, the one to write first. LibreChat hashes the text
    of the environment, so the letter case of a hexadecimal key matters."""
    texts = {
        "CREDS_KEY": credentials.creds_key.hex(),
        "CREDS_IV": credentials.creds_iv.hex(),
        "JWT_SECRET": credentials.jwt_secret,
        "JWT_REFRESH_SECRET": credentials.jwt_refresh_secret,
    }
    found = {}
    for name, text in texts.items():
        spellings = [environment.get(name, "").strip() or text, text]
        if name in HEX_DIGITS:
            spellings.append(text.upper())
        else:
            spellings[0] = text
        found[name] = tuple(fingerprint(spelling) for spelling in spellings)
    return found


async def record_fingerprints(
    collection: Any,
    credentials: Credentials,
    environment: Mapping[str, str],
    *,
    database_is_new: bool,
) -> list[str]:
    """Record which secrets belong to a database, as LibreChat does.

    ``collection`` is `COLLECTION` of that database. ``database_is_new``: nothing is stored in it
    yet; only then is a missing record written. An existing record is never changed. Returns the
    names of secrets that differ from the record, each also logged as a warning: values encrypted
    with the former secrets cannot be read.
    """
    expected = _accepted(credentials, environment)
    record = await collection.find_one({"_id": "primary"})
    if record is None:
        if not database_is_new:
            return []
        written = {name: accepted[0] for name, accepted in expected.items()}
        try:
            await collection.insert_one(
                {"_id": "primary", "fingerprints": written, "createdAt": datetime.now(UTC)}
            )
        except DuplicateKeyError:
            record = await collection.find_one({"_id": "primary"})
    stored = (record or {}).get("fingerprints")
    if not isinstance(stored, dict):
        return []
    differing = [
        name
        for name, accepted in expected.items()
        if name in stored and stored[name] not in accepted
    ]
    for name in differing:
        log.warning(
            "secrets.changed",
            name=name,
            advice="this database was made with another value; restore that one",
        )
    return differing
