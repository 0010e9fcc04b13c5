"""Accounts of people who have not signed in yet, but are listed in a directory."""

from collections.abc import Mapping
from typing import Any

from pymongo.errors import DuplicateKeyError

from locutory import Database
from locutory_auth.accounts.stored import DELETION_STARTED
from locutory_auth.documents import User
from locutory_auth.registration.creation import Creation, new_account
from locutory_auth.registration.domains import Domains
from locutory_auth.sign_in.account_linking import (
    ABSENT,
    AT_CREATION,
    KEYS,
    address_of,
    present_fields,
)
from locutory_contracts.sign_in import Identity, IdentityRefused

_READ = {"_id": 1, "provider": 1, "emailVerified": 1, "openidIssuer": 1, "idOnTheSource": 1}


class Provisioning:
    """Finds or creates the account with which a person will sign in. Existing accounts are never
    changed: a user who shares something must not affect the accounts of others."""

    def __init__(self, database: Database, creation: Creation, domains: Domains) -> None:
        self._database = database
        self._creation = creation
        self._domains = domains

    async def provision(self, identity: Identity) -> str:
        """The account id for a person of a directory, see `locutory_contracts.sign_in.SignIns`;
        ``ValueError`` for a key that is not in `KEYS`, and without an id in the directory."""
        source = identity.fields.get("idOnTheSource")
        if identity.key not in KEYS or not isinstance(source, str) or not source:
            raise ValueError(f"{identity.key}, {source!r}: nobody of a directory")
        account = await self._known(identity, source)
        if account is None:
            try:
                return await self._create(identity)
            except DuplicateKeyError:  # somebody else did so a moment ago
                account = await self._known(identity, source)
        if account is None:
            raise IdentityRefused("other_provider", "The e-mail address is taken")
        if account.get(DELETION_STARTED) is not None:
            raise IdentityRefused("closing", "Account deletion is in progress")
        return str(account["_id"])

    async def _known(self, identity: Identity, source: str) -> Mapping[str, Any] | None:
        """The account with this id in the directory; else the one of the address, if nothing
        speaks against its being the same person's."""
        issuers: list[Any] = [] if identity.issuer is None else [identity.issuer]
        if identity.issuer_configured:
            issuers.append({"$in": list(ABSENT)})
        for issuer in issuers:
            account = await self._find(identity, {"idOnTheSource": source, "openidIssuer": issuer})
            if account is not None:
                return account
        email = identity.email.strip().lower()
        account = await self._find(identity, {"email": email}) if email else None
        if account is None:
            return None
        if account.get("provider") != identity.provider:
            # Anybody can register an address that is not theirs, and wait for a share.
            if account.get("emailVerified") is not True:
                raise IdentityRefused("unverified", "Nobody showed that the address is theirs")
            return account
        issuer, other = account.get("openidIssuer"), account.get("idOnTheSource")
        if (other and other != source) or (issuer and issuer != identity.issuer):
            raise IdentityRefused("other_provider", "The address belongs to another identity")
        return account

    async def _find(
        self, identity: Identity, chosen: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        tenant = identity.fields.get("tenantId")
        return await self._database[User].find_one(
            {**chosen, "tenantId": tenant if isinstance(tenant, str) and tenant else None},
            {**_READ, DELETION_STARTED: 1},
        )

    async def _create(self, identity: Identity) -> str:
        email = address_of(identity)
        if not email:
            raise IdentityRefused("auth_failed", "The directory knows no address")
        if not self._domains.allow(email):
            raise IdentityRefused("domain", "Email domain not allowed")
        fields = present_fields(identity, tuple(name for name in AT_CREATION if name != "role"))
        if identity.issuer is not None:
            fields["openidIssuer"] = identity.issuer
        document = new_account(email, provider=identity.provider, **fields)
        await self._creation.store(document, may_administer=False)
        return str(document["_id"])
