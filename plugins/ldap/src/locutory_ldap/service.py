"""Checking a name and password in the directory."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from locutory import UNKNOWN_ERROR, HTTPError, Services
from locutory_contracts.sign_in import SIGN_INS, Identity, IdentityRefused
from locutory_ldap.config import LdapConfig
from locutory_ldap.directory import Directory, DirectoryDown, Refusal
from locutory_ldap.people import identity_of, unlike_others

T = TypeVar("T")

INVALID = "Invalid username/password"
MISSING = "Missing credentials"
LONGEST_NAME = 256
LONGEST_PASSWORD = 1024
STEPS = 4
"""Steps of one check, each of which may take the directory's whole time."""


class DirectoryCheck:
    """Implements `locutory_contracts.sign_in.PasswordCheck`.

    The directory is asked in threads of its own, so that a slow one holds up nothing else.
    """

    def __init__(
        self,
        config: LdapConfig,
        directory: Directory,
        services: Services,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._config = config
        self._directory = directory
        self._services = services
        self._log = log
        self._threads = ThreadPoolExecutor(config.connections, "ldap")

    async def check(self, name: str, password: str) -> str:
        """The account id for a name and password. Raises `IdentityRefused` when they are wrong, and
        a 500 when the directory does not answer."""
        name = name.strip()
        # Before anything is asked: a bind without password succeeds anonymously.
        if not name or not password.strip() or "\0" in name + password:
            raise IdentityRefused("missing", MISSING)
        if len(name) > LONGEST_NAME or len(password) > LONGEST_PASSWORD:
            raise IdentityRefused("invalid", INVALID)
        try:
            person = await self._run(lambda: self._directory.find(name))
            await self._run(lambda: self._directory.check_password(person, password))
        except Refusal as refusal:
            self._log.warning("ldap.refused", reason=str(refusal), dn=refusal.dn or None)
            raise IdentityRefused("invalid", INVALID) from None
        except (DirectoryDown, TimeoutError) as failure:
            self._log.error("ldap.down", reason=str(failure) or type(failure).__name__)
            raise HTTPError(500, UNKNOWN_ERROR) from None
        identity = identity_of(self._config, person)
        if identity is None:
            self._log.error("ldap.no_id", dn=person.dn, advice="set LDAP_ID")
            raise IdentityRefused("auth_failed", "auth_failed")
        try:
            return await self._adopt(identity)
        except (HTTPError, IdentityRefused) as refusal:
            self._log.warning("ldap.refused", reason=_told(refusal), dn=person.dn)
            raise

    async def _adopt(self, identity: Identity) -> str:
        adopt = self._services.get(SIGN_INS).adopt
        try:
            return await adopt(identity, may_register=True)
        except HTTPError as refusal:
            other = unlike_others(identity)
            if refusal.status != 409 or other is None:
                raise
        # Somebody else has the address that we made up for this person.
        return await adopt(other, may_register=True)

    async def reach(self) -> str | None:
        """A sentence about the fault that keeps the directory from answering, for the deployment's
        checks; ``None`` when it answers."""
        try:
            await self._run(self._directory.reach)
        except (DirectoryDown, TimeoutError) as failure:
            told = str(failure) or type(failure).__name__
            return f"nobody can sign in with LDAP: {told}"
        return None

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        steps = STEPS + len(self._config.addresses) - 1
        async with asyncio.timeout(self._config.timeout_seconds * steps):
            return await loop.run_in_executor(self._threads, work)

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _told(refusal: HTTPError | IdentityRefused) -> str:
    """The text of a refusal as the person receives it, for the log."""
    body = refusal.body if isinstance(refusal, HTTPError) else None
    return str(body.get("message") or body) if isinstance(body, dict) else str(refusal)
