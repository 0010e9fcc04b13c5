"""From a person in the directory to an identity (contract oauth §7)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from locutory_contracts.sign_in import Identity
from locutory_ldap.config import LdapConfig

LONGEST = 512
LOCAL = "ldap.local"
"""The domain of addresses that people get who have none."""

_IDENTIFYING = ("userprincipalname", "samaccountname", "uid")
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_RDN = re.compile(r"\s*([A-Za-z0-9.-]+)\s*=((?:\\.|[^\\,+])*)")


@dataclass(frozen=True, slots=True)
class Person:
    """An entry of the directory. ``values``: attributes by name in lower case."""

    dn: str
    values: Mapping[str, tuple[str, ...]]

    def first(self, *names: str | None) -> str:
        """The first value of the first of these attributes that has one."""
        found = (each for name in names if name for each in self.values.get(name.lower(), ()))
        return next((value for value in found if value), "")[:LONGEST]

    def steady(self, *names: str | None) -> str:
        """The first value like `first`, but of several values always the same one, although
        directories return them in any order: the one in the name of the entry, else the first
        alphabetically."""
        for name in names:
            values = sorted(filter(None, self.values.get((name or "").lower(), ())))
            if values:
                own = [value for value in values if value.lower() in self._named(str(name))]
                return (own or values)[0][:LONGEST]
        return ""

    def _named(self, attribute: str) -> set[str]:
        """Values of an attribute in the entry's own name, in lower case."""
        at, found = 0, set()
        while (part := _RDN.match(self.dn, at)) is not None:
            if part[1].lower() == attribute.lower():
                found.add(_unescaped(part[2]).strip().lower())
            at = part.end() + 1
            if self.dn[part.end() : at] != "+":
                break
        return found


def _unescaped(text: str) -> str:
    """A value of a distinguished name without its escapes (RFC 4514)."""
    raw = re.sub(
        rb"\\([0-9a-fA-F]{2})|\\(.)",
        lambda hit: bytes.fromhex(hit[1].decode()) if hit[1] else hit[2],
        text.encode(),
        flags=re.DOTALL,
    )
    return raw.decode("utf-8", "replace")


def identity_of(config: LdapConfig, person: Person) -> Identity | None:
    """The identity of a person; ``None`` when no attribute identifies them."""
    subject = person.steady(config.ldap_id, "uid", "sAMAccountName", "mail")
    if not subject:
        return None
    username = person.first(config.ldap_username, "givenName", "mail") or subject
    email = person.first(config.ldap_email, "mail") or _stand_in(config, person, subject)
    parts = (person.first(name.strip()) for name in config.ldap_full_name)
    name = " ".join(part for part in parts if part)
    name = name or person.first("cn", "name", "commonname", "displayName")
    fields = {"username": username, "name": name}
    return Identity(
        provider="ldap",
        key="ldapId",
        subject=subject,
        email=email,
        # Whoever runs the directory answers for the addresses in it.
        email_verified=True,
        fields={field: value for field, value in fields.items() if value},
    )


def _stand_in(config: LdapConfig, person: Person, subject: str) -> str:
    """An address for a person without one, from an identifying attribute: LDAP_USERNAME where that
    names one, else the name that Active Directory has for everybody, else an id. Never from a first
    name, which several people have."""
    chosen = (config.ldap_username or "").lower()
    telling = chosen in (*_IDENTIFYING, (config.ldap_id or "").lower())
    found = person.steady(chosen if telling else None, *_IDENTIFYING) or subject
    if _ADDRESS.fullmatch(found):
        return found
    plain = re.sub(r"[\s@]+", ".", found)
    return f"{plain}@{LOCAL}"


def unlike_others(identity: Identity) -> Identity | None:
    """The identity with a stand-in address that nobody else has; ``None`` when its address was not
    made up here."""
    head, _, domain = identity.email.rpartition("@")
    if domain != LOCAL:
        return None
    mark = hashlib.sha256(identity.subject.encode()).hexdigest()[:8]
    return replace(identity, email=f"{head}.{mark}@{LOCAL}")
