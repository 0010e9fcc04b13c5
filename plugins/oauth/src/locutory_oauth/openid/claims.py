"""From claims to an identity (contract oauth §5.2)."""

import re
from collections.abc import Mapping
from typing import Any

from locutory_contracts.sign_in import Identity
from locutory_oauth.config import OpenIdSettings
from locutory_oauth.identity import is_true, text
from locutory_oauth.values import first_address, first_text, joined_text

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


def _configured(claims: Claims, path: str | None) -> Any:
    path = (path or "").strip()
    return at_path(claims, path) if path else None


def email_of(settings: OpenIdSettings, claims: Claims) -> str:
    """The first e-mail address in the configured claim, email, preferred_username and upn;
    or ""."""
    usual = (claims.get(name) for name in ("email", "preferred_username", "upn"))
    return first_address(_configured(claims, settings.openid_email_claim), *usual)


def _username(settings: OpenIdSettings, claims: Claims) -> str:
    usual = (claims.get(name) for name in ("preferred_username", "username"))
    found = map(joined_text, (_configured(claims, settings.openid_username_claim), *usual))
    return next(filter(None, found), "") or first_text(claims.get("email"))


def _name(settings: OpenIdSettings, claims: Claims) -> str:
    parts = [first_text(claims.get(name)) for name in ("given_name", "family_name")]
    return first_text(
        _configured(claims, settings.openid_name_claim),
        " ".join(parts) if all(parts) else None,
        claims.get("name"),
        *parts,
        claims.get("username"),
        claims.get("email"),
    )


def identity_of(
    settings: OpenIdSettings, claims: Claims, issuer: str, *, configured: bool = True
) -> Identity:
    """The identity that claims describe. ``claims``: of the verified id token, overlaid by the user
    info; ``configured``: the issuer is the deployment's own. The address counts as verified only if
    it is the one that ``email_verified`` refers to: users may choose their preferred_username
    themselves."""
    email = email_of(settings, claims)
    vouched = is_true(claims.get("email_verified")) and email == first_address(claims.get("email"))
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
