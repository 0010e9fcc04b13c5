"""Accounts and sessions for identities: the service `SIGN_INS` (contract oauth §3-§7)."""

import time
from collections.abc import Mapping
from typing import Any

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Database, now
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.bans.gate import banned
from locutory_auth.documents import User
from locutory_auth.registration.creation import Creation, new_account
from locutory_auth.registration.domains import Domains
from locutory_auth.sessions.authenticator import closing
from locutory_auth.sessions.opening import Opening
from locutory_auth.sessions.rotation import Device, Sessions
from locutory_contracts.sign_in import Identity, IdentityRefused, OpenedSession

KEYS = frozenset(
    f"{name}Id"
    for name in (
        "google",
        "facebook",
        "openid",
        "saml",
        "ldap",
        "github",
        "discord",
        "apple",
    )
)
"""Fields that hold the id of an account at a provider."""

REWRITTEN = ("name", "username", "avatar", "idOnTheSource", "role")
_KEEPS_ADDRESS = frozenset({"saml"})
_ADMINISTERS = frozenset({"ldap"})
"""Providers whose first account administers the installation, as with e-mail registration."""

_READ = dict.fromkeys(
    ("_id", "email", "provider", "avatar", "openidIssuer", "idOnTheSource", *KEYS), 1
)


class Identities:
    """Implements `locutory_contracts.sign_in.SignIns`."""

    def __init__(
        self,
        database: Database,
        accounts: StoredAccounts,
        sessions: Sessions,
        opening: Opening,
        creation: Creation,
        domains: Domains,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._sessions = sessions
        self._opening = opening
        self._creation = creation
        self._domains = domains
        self._log = log

    async def adopt(self, identity: Identity, *, may_register: bool) -> str:
        """See the contract; ``ValueError`` for a key that is none of `KEYS`."""
        if identity.key not in KEYS:
            raise ValueError(f"{identity.key} is no field for the id at a provider")
        if not identity.subject:
            raise IdentityRefused("auth_failed", "The provider did not say who this is")
        if not self._domains.allow(identity.email):
            raise IdentityRefused("domain", "Email domain not allowed")
        account = await self._by_id(identity) or await self._by_address(identity)
        if account is None:
            if not may_register:
                raise IdentityRefused("registration_closed", "Registration is not allowed.")
            created = await self._create(identity)
            if created is not None:
                return str(created["_id"])
            # Taken: by a sign-in of the same person at the same time, or by somebody else.
            account = await self._by_id(identity)
            if account is None:
                raise IdentityRefused("other_provider", "The e-mail address has an account")
        return await self._update(identity, account)

    async def _by_id(self, identity: Identity) -> Mapping[str, Any] | None:
        """The account of the provider's id. An OpenID id is one of its issuer; accounts from
        before issuers were stored have none."""
        users, chosen = self._database[User], {identity.key: identity.subject}
        if identity.issuer is None:
            return self._own(identity, await users.find_one(chosen, _READ))
        source = identity.fields.get("idOnTheSource")
        filters: list[dict[str, Any]] = [{**chosen, "openidIssuer": identity.issuer}]
        if isinstance(source, str) and source:
            filters.append({"idOnTheSource": source, "openidIssuer": identity.issuer})
        filters.append({**chosen, "openidIssuer": {"$in": [None, ""]}})
        for each in filters:
            found = self._own(identity, await users.find_one(each, _READ))
            if found is not None:
                return found
        return None

    @staticmethod
    def _own(identity: Identity, account: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """An account that was found, if it is of the same kind of provider."""
        if account is not None and account.get("provider") not in (identity.provider, None, ""):
            raise IdentityRefused("other_provider", "The account signs in another way")
        return account

    async def _by_address(self, identity: Identity) -> Mapping[str, Any] | None:
        """The account of the same address, if nothing speaks against its being the same
        person's. Accounts are never merged."""
        email = identity.email.strip().lower()
        if not email or identity.provider == "ldap":
            return None
        account = await self._database[User].find_one({"email": email}, _READ)
        if account is None:
            return None
        if account.get("provider") not in (identity.provider, None, ""):
            raise IdentityRefused("other_provider", "The account signs in another way")
        if not identity.email_verified:
            raise IdentityRefused("unverified", "The provider does not vouch for the address")
        subject, issuer = account.get(identity.key), account.get("openidIssuer")
        if subject and subject != identity.subject:
            raise IdentityRefused("auth_failed", "The address belongs to another identity")
        if identity.issuer is not None and issuer and issuer != identity.issuer:
            raise IdentityRefused("auth_failed", "The address belongs to another issuer")
        return account

    async def _create(self, identity: Identity) -> Mapping[str, Any] | None:
        fields = self._fields(identity, None)
        if identity.issuer is not None:
            fields["openidIssuer"] = identity.issuer
        document = new_account(
            identity.email.strip().lower(),
            provider=identity.provider,
            emailVerified=identity.email_verified,
            **{identity.key: identity.subject},
            **fields,
        )
        return await self._creation.create(
            document, may_administer=identity.provider in _ADMINISTERS
        )

    async def _update(self, identity: Identity, account: Mapping[str, Any]) -> str:
        """Write what the provider says now."""
        user: ObjectId = account["_id"]
        fields = {
            **self._fields(identity, account),
            "provider": identity.provider,
            identity.key: identity.subject,
        }
        if identity.issuer is not None:
            fields["openidIssuer"] = identity.issuer
        email = identity.email.strip().lower()
        moved = email and email != account.get("email") and identity.email_verified
        if moved and identity.provider not in _KEEPS_ADDRESS:
            try:
                await self._accounts.write(user, {**fields, "email": email, "emailVerified": True})
            except DuplicateKeyError:
                self._log.warning("account.address_taken", user=str(user))
            else:
                return str(user)
        await self._accounts.write(user, fields)
        return str(user)

    @staticmethod
    def _fields(identity: Identity, account: Mapping[str, Any] | None) -> dict[str, Any]:
        """The further fields to store. A picture that the user chose himself stays."""
        fields = {
            name: value for name in REWRITTEN if (value := identity.fields.get(name)) is not None
        }
        if isinstance(fields.get("username"), str):
            fields["username"] = fields["username"].lower()
        chosen = str((account or {}).get("avatar") or "")
        if "manual=true" in chosen:
            fields.pop("avatar", None)
        return fields

    async def open(
        self, user_id: str, *, token_provider: str = "librechat", skip_second_factor: bool = False
    ) -> OpenedSession:
        """See the contract; `HTTPError` 403 for a banned account, 401 for one that is being
        deleted, `IdentityRefused` when there is none."""
        asked = now()
        known = await self._accounts.read(user_id)
        if known is None:
            raise IdentityRefused("auth_failed", "The account does not exist")
        if known.closing:
            raise closing()
        if known.banned > time.time():
            raise banned()
        account = known.principal.account
        if account.get("twoFactorEnabled") and not skip_second_factor:
            return self._opening.owing(account, asked)
        return await self._opening.open(account, asked, Device(), token_provider)

    async def close_all(self, user_id: str) -> None:
        """See the contract."""
        if ObjectId.is_valid(user_id):
            await self._sessions.close_all(ObjectId(user_id))
