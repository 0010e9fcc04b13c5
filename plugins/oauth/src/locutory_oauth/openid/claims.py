"""From claims to an identity (contract oauth §5.2)."""

import re
from collections.abc import Mapping
from typing import Any

from locutory_contracts.sign_in import Identity
from locutory_oauth.config import OpenIdSettings
from locutory_oauth.identity import is_true, text

Claims = Mapping[str, Any]

_STEP = re.compile(r"""\[(?:"([^"]*)"|'([^']*)'|(\d+))\]|([^.\[\]]+)""")


def at_path(claims: Any, path: str) -> Any:
    """The value at ``realm_access.roles`` or ``a["b.c"].d[0]``; a claim whose name is the
    whole path wins (names may be addresses). ``None`` when there is nothing."""
    if isinstance(claims, Mapping) and path in claims:
        return claims[path]
    for match in _STEP.finditer(path):
        step = next(group for group in match.groups() if group is not None)
        if isinstance(claims, Mapping):
            claims = claims.get(step)
        elif isinstance(claims, list) and step.isdecimal() and int(step) < len(claims):
            claims = claims[int(step)]
        else:
            return None
    return claims


def email_of(settings: OpenIdSettings, claims: Claims) -> str:
    """The configured claim when it is text, else email, preferred_username, upn; or ""."""
    configured = (settings.openid_email_claim or "").strip()
    names = ("email", "preferred_username", "upn")
    for name in (configured, *names) if configured else names:
        found = claims.get(name)
        if isinstance(found, str) and found.strip():
            return text(found)
    return ""


def _username(settings: OpenIdSettings, claims: Claims) -> str:
    names = ("preferred_username", "username", "email")
    chosen = settings.openid_username_claim
    for name in (chosen,) if chosen else names:
        found = claims.get(name)
        if isinstance(found, list):
            found = "_".join(text(part) for part in found)
        if text(found):
            return text(found)
    return ""


def _name(settings: OpenIdSettings, claims: Claims) -> str:
    if settings.openid_name_claim:
        return text(claims.get(settings.openid_name_claim))
    parts = [text(claims.get("given_name")), text(claims.get("family_name"))]
    full = " ".join(part for part in parts if part)
    return full or text(claims.get("username")) or text(claims.get("email"))


def identity_of(
    settings: OpenIdSettings, claims: Claims, issuer: str, *, configured: bool = True
) -> Identity:
    """Who the claims speak of. ``claims``: of the verified id token, overlaid by the user
    info; ``configured``: the issuer is the deployment's own. The address counts as verified only if it is the one that ``email_verified`` is
    about: people may choose their preferred_username themselves."""
    email = email_of(settings, claims)
    vouched = is_true(claims.get("email_verified")) and email == text(claims.get("email"))
    fields = {
        "username": _username(settings, claims),
        "name": _name(settings, claims),
        "idOnTheSource": text(claims.get("oid")),
    }
    return Identity(
        provider="openid",
        key="openidId",
        subject=str(claims["sub"]),
        issuer=issuer,
        email=email,
        email_verified=vouched and bool(email),
        fields={name: value for name, value in fields.items() if value},
        issuer_configured=configured,
    )
