"""Signing in with a name and a password (contract auth §2)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from locutory import Database, HTTPError, ServiceMissing, Services
from locutory_auth.accounts.stored import (
    DELETION_STARTED,
    StoredAccounts,
    deletion_in_progress,
    public,
)
from locutory_auth.config import AuthConfig
from locutory_auth.documents import User, by_address
from locutory_auth.hashing import Passwords
from locutory_auth.registration.registration import refusal
from locutory_auth.registration.validation import is_missing, login_problems
from locutory_auth.throttle import Throttle
from locutory_contracts.sign_in import PASSWORD_CHECKS, IdentityRefused

VERIFICATION_CAME = datetime.fromtimestamp(1_717_788_018, UTC)
"""Accounts older than e-mail verification count as verified (contract auth §2)."""

UNKNOWN = "Email does not exist."
WRONG = "Incorrect password."
LONGEST_WAIT = 60.0
_LONGEST_NAME = 320

_READ = dict.fromkeys(
    (
        "totpSecret",
        "pendingTotpSecret",
        "backupCodes",
        "pendingBackupCodes",
        "subagentAdmissionFences",
    ),
    0,
)


class SignIn:
    """Checks a name and a password: here, or in a directory where there is one."""

    def __init__(
        self,
        database: Database,
        services: Services,
        accounts: StoredAccounts,
        passwords: Passwords,
        throttle: Throttle,
        config: AuthConfig,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._services = services
        self._accounts = accounts
        self._passwords = passwords
        self._throttle = throttle
        self._config = config
        self._log = log

    def check_allowed(self) -> None:
        """403 where nobody signs in with a password."""
        config = self._config
        if not (config.allow_email_login or config.allow_email_login_override):
            raise refusal(403, "Email login is not allowed.")

    async def sign_in(
        self, body: Mapping[str, Any], ip: str, tenant: str | None = None
    ) -> dict[str, Any]:
        """The account that the credentials in ``body`` open, without secrets; of a tenant, if
        one is given. A directory knows of no tenants.

        Raises `HTTPError` with the contract's answer when they open none. An unknown address
        costs as much time as a wrong password.
        """
        directories = self._services.all(PASSWORD_CHECKS)
        if self._config.ldap_configured and not directories:
            # The directory decides over passwords; the stored ones must open nothing.
            raise ServiceMissing("LDAP sign-in")
        name, password = body.get("email"), body.get("password")
        if is_missing(name) or is_missing(password):
            raise refusal(404, "Missing credentials")
        if directories:
            document = await self._directory(name, password, ip)
        else:
            document = await self._stored(body, ip, tenant)
        if document.get(DELETION_STARTED) is not None:
            raise deletion_in_progress()
        await self._settle(document)
        if not document.get("emailVerified") and not self._config.allow_unverified_email_login:
            self._log.warning("login.refused", reason="not verified", ip=ip)
            raise refusal(422, "Email not verified.")
        self._log.info("login.accepted", user=str(document["_id"]), ip=ip)
        return public(document)

    async def _stored(self, body: Mapping[str, Any], ip: str, tenant: str | None) -> dict[str, Any]:
        """The account with this address and password."""
        problems = login_problems(body, self._config.shortest_password)
        if problems:
            raise refusal(404, problems)
        email, password = str(body["email"]).strip().lower(), str(body["password"])
        await self._wait(email, ip)
        document = await self._database[User].find_one(by_address(email, tenant), _READ)
        stored = None if document is None else document.get("password")
        fits = await self._passwords.verify(password, stored)
        if document is None or not stored or not fits:
            known = document is not None and bool(stored)
            self._log.warning("login.refused", reason=WRONG if known else UNKNOWN, ip=ip)
            raise refusal(404, WRONG if known or self._config.hide_accounts else UNKNOWN)
        await self._throttle.succeeded(email, ip)
        if self._passwords.outdated(stored):
            await self._rehash(document, password, stored)
        return document

    async def _directory(self, name: Any, password: Any, ip: str) -> dict[str, Any]:
        """The account of the person whom a directory knows by this name and password."""
        if not isinstance(name, str) or not isinstance(password, str):
            raise refusal(404, "Missing credentials")
        # Directories take an empty password for nobody in particular, and let them in.
        if not name.strip() or not password.strip() or len(name) > _LONGEST_NAME:
            raise refusal(404, "Missing credentials")
        await self._wait(name, ip)
        message = "Invalid username/password"
        for check in self._services.all(PASSWORD_CHECKS).values():
            try:
                user = await check.check(name, password)
            except IdentityRefused as error:
                self._log.warning("login.refused", reason=error.code, ip=ip)
                message = str(error)
                continue
            known = await self._accounts.read(user)
            if known is None:
                raise refusal(404, message)
            await self._throttle.succeeded(name, ip)
            if known.being_deleted:
                raise deletion_in_progress()
            return dict(known.principal.account)
        raise refusal(404, message)

    async def _wait(self, name: str, ip: str) -> None:
        wait = await self._throttle.admit(name, ip)
        if wait:
            self._log.warning("login.slowed_down", ip=ip, seconds=wait)
            minutes = f"{self._config.login_window:g}"
            text = f"Too many login attempts, please try again after {minutes} minutes."
            raise HTTPError(429, {"message": text}, headers={"retry-after": str(int(wait) or 1)})

    async def _settle(self, document: dict[str, Any]) -> None:
        """Rescue accounts that an unsent verification mail would lock out or delete."""
        config = self._config
        fields: dict[str, Any] = {}
        created = document.get("createdAt")
        old = isinstance(created, datetime) and created < VERIFICATION_CAME
        if not config.mail_configured and not document.get("emailVerified") and old:
            fields["emailVerified"] = document["emailVerified"] = True
        expires = document.get("expiresAt") is not None and config.allow_unverified_email_login
        if fields or expires:
            await self._accounts.write(document["_id"], fields)
            document.pop("expiresAt", None)

    async def _rehash(self, document: Mapping[str, Any], password: str, stored: str) -> None:
        fresh = await self._passwords.hash(password)
        # Not if the password was changed in the meantime.
        await self._database[User].update_one(
            {"_id": document["_id"], "password": stored}, {"$set": {"password": fresh}}
        )
        self._log.info("login.password_rehashed", user=str(document["_id"]))
