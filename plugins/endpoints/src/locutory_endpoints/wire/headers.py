"""Values that an operator writes with placeholders (endpoints §7).

``${NAME}`` is the environment and is filled in once, when the configuration is read, and
only there: nothing that a user typed ever passes through `expand`. ``{{LIBRECHAT_…}}`` are
the caller and the turn; they are filled in per request in one pass, so that a user's own
text is never taken for a placeholder.
"""

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from locutory import Environment, Principal, iso

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_PLACEHOLDER = re.compile(r"\{\{\s*(LIBRECHAT_[A-Z_]+)\s*\}\}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")

SECRETS_OF_THE_SERVER = frozenset(
    [
        "CREDS_KEY",
        "CREDS_IV",
        "JWT_SECRET",
        "JWT_REFRESH_SECRET",
        "MONGO_URI",
        "REDIS_URI",
        "REDIS_PASSWORD",
        "MEILI_MASTER_KEY",
        "OPENID_SESSION_SECRET",
        "METRICS_SECRET",
        "SAML_SESSION_SECRET",
    ]
)
"""Variables that never leave the server, whatever the configuration."""

_USER_FIELDS = {
    f"LIBRECHAT_USER_{field.upper()}": field
    for field in [
        "id",
        "name",
        "username",
        "email",
        "provider",
        "role",
        "googleId",
        "facebookId",
        "openidId",
        "samlId",
        "ldapId",
        "githubId",
        "discordId",
        "appleId",
        "emailVerified",
        "twoFactorEnabled",
        "termsAccepted",
        "termsAcceptedAt",
    ]
}
_BODY_FIELDS = {
    "LIBRECHAT_BODY_CONVERSATIONID": "conversationId",
    "LIBRECHAT_BODY_PARENTMESSAGEID": "parentMessageId",
    "LIBRECHAT_BODY_MESSAGEID": "messageId",
}
_NOT_HERE = re.compile(
    r"LIBRECHAT_OPENID_(?:(?:ACCESS_|ID_)?TOKEN|USER_ID|USER_EMAIL|USER_NAME|EXPIRES_AT)"
    r"|LIBRECHAT_GRAPH_ACCESS_TOKEN"
)
"""Names that LibreChat knows, and that have no value here."""


def expand(template: str, environment: Environment) -> str:
    """Fill in ``${NAME}``; an unset or reserved variable stays as it is written."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        found = environment.get(name, "")
        return found if found and name not in SECRETS_OF_THE_SERVER else match[0]

    return _VARIABLE.sub(value, template.strip())


def unset_variable(text: str) -> str | None:
    """The name of the first variable that `expand` could not fill in."""
    match = _VARIABLE.search(text)
    return None if match is None else match[1]


def personal(headers: Mapping[str, str]) -> bool:
    """``True`` when these headers depend on the caller."""
    return any(_PLACEHOLDER.search(value) for value in headers.values())


def _user_value(principal: Principal, field: str) -> str:
    if field == "id":
        return principal.id
    value = principal.account.get(field)
    if value is None:
        return principal.role if field == "role" else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return iso(value) if isinstance(value, datetime) else str(value)


def _safe(value: str) -> str:
    """A header value: control characters are dropped, other alphabets become ``b64:…``."""
    value = _UNPRINTABLE.sub("", value)
    if value.isascii() or all(ord(char) <= 0xFF for char in value):
        return value
    return "b64:" + base64.b64encode(value.encode()).decode("ascii")


def fill(
    headers: Mapping[str, str], principal: Principal, turn: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Headers with the placeholders for caller and turn filled in. Those without a value become
    empty; a header that consists of nothing else is left out when there is no ``turn`` (model
    lists). An unknown name stays as it is written, so that its author can find it."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in _USER_FIELDS:
            return _safe(_user_value(principal, _USER_FIELDS[name]))
        if name in _BODY_FIELDS:
            return _safe((turn or {}).get(_BODY_FIELDS[name], ""))
        return "" if _NOT_HERE.fullmatch(name) else match[0]

    filled = {name: _PLACEHOLDER.sub(value, template) for name, template in headers.items()}
    if turn is None:
        return {name: text for name, text in filled.items() if text or not headers[name]}
    return filled


def to_wire(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Raw header pairs; every value is made safe to send."""
    return [
        (name.encode("ascii", "ignore"), _safe(str(value)).encode("latin-1"))
        for name, value in headers.items()
    ]
