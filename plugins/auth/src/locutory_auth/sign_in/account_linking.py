"""Accounts for identities: found, created, and kept as the provider has them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Database, HTTPError
from locutory_auth.accounts.stored import DELETION_STARTED, StoredAccounts
from locutory_auth.bans.gate import BanGate, banned
from locutory_auth.bans.store import Bans
from locutory_auth.documents import User
from locutory_auth.registration.creation import Creation, new_account
from locutory_auth.registration.domains import Domains
from locutory_contracts.sign_in import Identity, IdentityRefused

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

AT_CREATION = ("name", "username", "avatar", "idOnTheSource", "role", "tenantId")

ABSENT = (None, "")
_READ = dict.fromkeys(
    (
        "_id",
        "email",
        "provider",
        "name",
        "username",
        "role",
        "openidIssuer",
        "idOnTheSource",
        "expiresAt",
        DELETION_STARTED,
        *KEYS,
    ),
    1,
)


@dataclass(frozen=True, slots=True)
class LinkingRules:
    """The rights of a kind of provider over accounts (contract oauth §4-§7). ``rewritten``: fields
    that follow the provider at every sign-in. ``address``: when the e-mail address does: never;
    when the provider has verified it; always; or always, and the address of another account is an
    error (strict). ``by_address``: an account is also found by its verified address, and then gets
    the provider's id if ``binds``. ``rebinds``: also if it had another id there, and the provider's
    ids may change with each sign-in; its addresses identify users. ``unclaimed``: accounts without
    any provider belong to it. ``administers``: its first account administers the installation, as
    with e-mail registration."""

    rewritten: tuple[str, ...] = ()
    address: Literal["never", "vouched", "always", "strict"] = "vouched"
    by_address: bool = True
    binds: bool = False
    rebinds: bool = False
    unclaimed: bool = False
    administers: bool = False


SOCIAL = LinkingRules()
LINKING_RULES: Mapping[str, LinkingRules] = {
    "openid": LinkingRules(
        ("name", "username", "idOnTheSource"), "always", binds=True, unclaimed=True
    ),
    "saml": LinkingRules(("name", "username"), "never", binds=True, rebinds=True),
    "ldap": LinkingRules(
        ("name", "username"), "strict", by_address=False, binds=True, administers=True
    ),
}


class AccountLinking:
    """Turns identities into accounts. Accounts are never merged."""

    def __init__(
        self,
        database: Database,
        accounts: StoredAccounts,
        creation: Creation,
        domains: Domains,
        bans: Bans,
        gate: BanGate,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._creation = creation
        self._domains = domains
        self._bans = bans
        self._gate = gate
        self._log = log

    async def link(self, identity: Identity, may_register: bool, address: str) -> str:
        """The account id for an identity, see `locutory_contracts.sign_in.SignIns`; ``ValueError``
        for a key that is not in `KEYS`."""
        if identity.key not in KEYS:
            raise ValueError(f"{identity.key} is no field for the id at a provider")
        if address:
            await self._gate.check_ip(address)
        rules = LINKING_RULES.get(identity.provider, SOCIAL)
        if not identity.subject and not rules.rebinds:
            raise IdentityRefused("auth_failed", "The provider did not say who this is")
        identity = replace(identity, email=address_of(identity))
        if identity.email and not self._domains.allow(identity.email):
            raise IdentityRefused("domain", "Email domain not allowed")
        account = await self._known(identity, rules)
        if account is None:
            if not may_register:
                raise IdentityRefused("registration_closed", "Registration is not allowed.")
            if not identity.email:
                raise IdentityRefused("no_address", "The provider gave no e-mail address")
            try:
                return await self._create(identity, rules)
            except DuplicateKeyError:
                # Taken: by a sign-in of the same person at the same time, or by somebody else.
                account = await self._known(identity, rules)
                if account is None and rules.address == "strict":
                    raise await self._taken(identity) from None
                if account is None:
                    raise IdentityRefused("other_provider", "The e-mail address is taken") from None
        if not identity.email:
            self._check_stored_address(account)
        if account.get(DELETION_STARTED) is not None:
            raise IdentityRefused("closing", "Account deletion is in progress")
        if await self._bans.of_account(account["_id"]) > time.time():
            raise banned()
        return await self._update(identity, rules, account)

    def _check_stored_address(self, account: Mapping[str, Any]) -> None:
        """The checks for a user whose provider gives no address at this sign-in."""
        email = account.get("email") or ""
        if not self._domains.allow(email):
            raise IdentityRefused("domain", "Email domain not allowed")
        if not is_sound(email):  # from before this was refused
            self._log.warning("account.no_address", user=str(account["_id"]))

    async def _known(self, identity: Identity, rules: LinkingRules) -> Mapping[str, Any] | None:
        """The account of an identity."""
        account = await self._by_id(identity, rules)
        if account is not None:
            return account
        try:
            return await self._by_address(identity, rules)
        except IdentityRefused:
            # Of the same person after all? It may have been made between the two looks.
            account = await self._by_id(identity, rules)
            if account is None:
                raise
            return account

    async def _by_id(self, identity: Identity, rules: LinkingRules) -> Mapping[str, Any] | None:
        """The account of the provider's id. An OpenID id is one of its issuer; accounts from
        before issuers were stored have none."""
        if not identity.subject:
            return None
        chosen: list[dict[str, Any]] = [{identity.key: identity.subject}]
        if identity.issuer is not None:
            source = identity.fields.get("idOnTheSource")
            if isinstance(source, str) and source:
                chosen.append({"idOnTheSource": source})
            ids = chosen
            chosen = [{**each, "openidIssuer": identity.issuer} for each in ids]
            if identity.issuer_configured:
                chosen += [{**each, "openidIssuer": {"$in": list(ABSENT)}} for each in ids]
        for each in chosen:
            account = await self._find(identity, each)
            if account is not None:
                return self._check_provider(identity, rules, account)
        return None

    async def _by_address(
        self, identity: Identity, rules: LinkingRules
    ) -> Mapping[str, Any] | None:
        """The account of the same address, if nothing speaks against its being the same
        person's."""
        if not identity.email or not rules.by_address:
            return None
        account = await self._find(identity, {"email": identity.email})
        if account is None:
            return None
        self._check_provider(identity, rules, account)
        if not identity.email_verified:
            raise IdentityRefused("unverified", "The provider does not vouch for the address")
        subject, issuer = account.get(identity.key), account.get("openidIssuer")
        if subject and subject != identity.subject and not rules.rebinds:
            raise IdentityRefused("auth_failed", "The address belongs to another identity")
        if identity.issuer is not None and issuer and issuer != identity.issuer:
            raise IdentityRefused("auth_failed", "The address belongs to another issuer")
        return account

    async def _find(
        self, identity: Identity, chosen: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        tenant = identity.fields.get("tenantId")
        within = {"tenantId": tenant} if isinstance(tenant, str) and tenant else {}
        return await self._database[User].find_one({**chosen, **within}, _READ)

    @staticmethod
    def _check_provider(
        identity: Identity, rules: LinkingRules, account: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """An account that was found, if it is one of this provider."""
        provider = account.get("provider")
        if provider != identity.provider and not (rules.unclaimed and provider in ABSENT):
            raise IdentityRefused("other_provider", "The account signs in another way")
        return account

    async def _create(self, identity: Identity, rules: LinkingRules) -> str:
        fields = present_fields(identity, AT_CREATION)
        if identity.issuer is not None:
            fields["openidIssuer"] = identity.issuer
        if identity.subject:
            fields[identity.key] = identity.subject
        document = new_account(
            identity.email,
            provider=identity.provider,
            emailVerified=identity.email_verified,
            **fields,
        )
        await self._creation.store(document, may_administer=rules.administers)
        return str(document["_id"])

    async def _update(
        self, identity: Identity, rules: LinkingRules, account: Mapping[str, Any]
    ) -> str:
        """Store the provider's current data where it differs."""
        user: ObjectId = account["_id"]
        # A role is given only when the provider's claims decide about it.
        fields = present_fields(identity, (*rules.rewritten, "role"))
        if rules.binds:
            fields["provider"] = identity.provider
            if identity.subject:
                fields[identity.key] = identity.subject
            if identity.issuer is not None:
                fields["openidIssuer"] = identity.issuer
        changed = {name: value for name, value in fields.items() if account.get(name) != value}
        if identity.key in changed and account.get(identity.key):
            self._log.info("account.identity_changed", user=str(user), provider=identity.provider)
        moved = self._address_change(identity, rules, account)
        if moved:
            try:
                await self._accounts.write(user, {**changed, **moved})
            except DuplicateKeyError:
                if rules.address == "strict":
                    raise await self._taken(identity) from None
                self._log.warning("account.address_taken", user=str(user))
            else:
                return str(user)
        if changed or account.get("expiresAt") is not None:
            await self._accounts.write(user, changed)
        return str(user)

    async def _taken(self, identity: Identity) -> HTTPError:
        """The response for a user whose address is that of another account; the log names that
        account."""
        email = identity.email.strip().lower()
        holder = await self._find(identity, {"email": email}) or {}
        self._log.warning(
            "account.address_taken",
            provider=identity.provider,
            subject=identity.subject,
            holder=str(holder.get("_id", "")),
            holder_provider=holder.get("provider"),
        )
        text = (
            f"Another account has the e-mail address {email}. Whoever runs the directory or "
            "this server can change one of them."
        )
        return HTTPError(409, {"message": text, "messages": text, "fields": ["email"]})

    @staticmethod
    def _address_change(
        identity: Identity, rules: LinkingRules, account: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The address to write, if it is another one and may be."""
        email, vouched = identity.email, identity.email_verified
        stored = account.get("email") or ""
        if not email or email == stored or (rules.address == "never" and is_sound(stored)):
            return {}
        if rules.address == "vouched" and not vouched:
            return {}
        return {"email": email, "emailVerified": vouched}


def is_address(email: str) -> bool:
    """``True`` when this text has the form ``x@y.z``, without which LibreChat's database accepts no
    account."""
    name, _, domain = email.rpartition("@")
    labels = domain.split(".")
    whole = all(labels) and not any(character.isspace() for character in domain)
    return bool(name.strip()) and len(labels) > 1 and whole


def is_sound(email: str) -> bool:
    """`is_address`, and just one: not two that were joined."""
    return is_address(email) and email.count("@") == 1


def address_of(identity: Identity) -> str:
    """The address of an identity as it is stored; "" for an invalid one."""
    email = identity.email.strip().lower()
    return email if is_address(email) else ""


def present_fields(identity: Identity, names: tuple[str, ...]) -> dict[str, Any]:
    """The further fields of the identity that have a value."""
    found = {name: value for name in names if (value := identity.fields.get(name)) is not None}
    if isinstance(found.get("username"), str):
        found["username"] = found["username"].lower()
    return found
