"""From a person in the directory to an identity (contract oauth §7)."""

from locutory_contracts.sign_in import Identity
from locutory_ldap.config import Config
from locutory_ldap.directory import Person

LONGEST = 512


def identity_of(config: Config, person: Person) -> Identity | None:
    """Who this is; ``None`` when no attribute identifies the person."""

    def first(*names: str | None) -> str:
        values = (person.get(name.lower(), "") for name in names if name)
        return next((value for value in values if value), "")[:LONGEST]

    subject = first(config.ldap_id, "uid", "sAMAccountName", "mail")
    if not subject:
        return None
    username = first(config.ldap_username, "givenName", "mail") or subject
    email = first(config.ldap_email, "mail") or f"{username}@ldap.local"
    if config.ldap_full_name:
        parts = (first(name.strip()) for name in config.ldap_full_name)
        name = " ".join(part for part in parts if part)
    else:
        name = first("cn", "name", "commonname", "displayName")
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
