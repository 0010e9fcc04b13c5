"""Resetting a forgotten password (contract auth §7)."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import structlog
from bson import ObjectId

from locutory import Database, HTTPError
from locutory_auth.accounts.one_time import PASSWORD_RESET, OneTimeTokens
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.config import AuthConfig
from locutory_auth.documents import User, by_address
from locutory_auth.hashing import Passwords
from locutory_auth.mail.mailer import Mailer
from locutory_auth.registration.domains import Domains
from locutory_auth.registration.validation import new_password_problems
from locutory_auth.registration.verification import display_name
from locutory_auth.sessions.rotation import Sessions
from locutory_auth.timing import on_the_beat

_READ = {"_id": 1, "email": 1, "name": 1, "username": 1}
_NOT_GOOD = "Invalid or expired password reset token"
_LONGEST = 320


class PasswordReset:
    """Sends links for resetting passwords, and sets the new passwords.

    Args:
        client: address of the web client, the only one that is ever part of a link.
    """

    def __init__(
        self,
        database: Database,
        accounts: StoredAccounts,
        sessions: Sessions,
        tokens: OneTimeTokens,
        passwords: Passwords,
        mailer: Mailer,
        domains: Domains,
        config: AuthConfig,
        client: str,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._passwords = passwords
        self._mailer = mailer
        self._domains = domains
        self._config = config
        self._client = client.rstrip("/")
        self._log = log

    def check_allowed(self) -> None:
        """403 where passwords cannot be reset."""
        if not self._config.allow_password_reset:
            raise HTTPError(403, "Password reset is not allowed.")

    async def request(self, email: str | None, tenant: str | None = None) -> str | None:
        """Send a link to an address if it has an account, which the caller cannot observe. Without
        mail the link is returned for the response, where that is configured
        (`reset_link_in_answer`); otherwise none is created, and links from an administrator stay
        valid."""
        started = time.monotonic()
        address = (email or "").strip().lower()
        if not address or len(address) > _LONGEST or not self._domains.allow(address):
            raise HTTPError(400, {"code": "auth_failed"})
        account = await self._database[User].find_one(by_address(address, tenant), _READ)
        link = None
        if account is None:
            await self._tokens.pretend()
        elif not self._config.reset_reaches:
            await self._tokens.pretend()
            self._log.warning("password.reset_not_sent", user=str(account["_id"]))
        else:
            link = await self.link(account["_id"])
            self._mailer.enqueue(
                "requestPasswordReset",
                "Password Reset Request",
                account["email"],
                display_name(account),
                link=link,
            )
            self._log.info("password.reset_requested", user=str(account["_id"]))
        await on_the_beat(started)
        return None if self._mailer.configured else link

    async def link(self, user: ObjectId) -> str:
        """A new link for an account; earlier ones are void."""
        token = await self._tokens.issue(user, PASSWORD_RESET)
        query = urlencode({"token": token, "userId": str(user)})
        return f"{self._client}/reset-password?{query}"

    async def reset(
        self,
        user_id: str | None,
        token: str | None,
        body: Mapping[str, Any],
        tenant: str | None = None,
    ) -> None:
        """Set the password that ``body`` asks for. 400 when the link or the password is not
        good; a link is used up only by a good password."""
        known = user_id if user_id and ObjectId.is_valid(user_id) else None
        user = None if known is None else ObjectId(known)
        row = await self._tokens.find(user, PASSWORD_RESET, token or "")
        if user is None or row is None or not await self._within(user, tenant):
            raise HTTPError(400, {"message": _NOT_GOOD})
        problems = new_password_problems(body, self._config.shortest_password)
        if problems:
            raise HTTPError(400, {"message": problems})
        if not await self._tokens.use_up(row):
            raise HTTPError(400, {"message": _NOT_GOOD})
        account = await self.set(user, str(body["password"]))
        if account is None:
            raise HTTPError(400, {"message": _NOT_GOOD})
        self._mailer.enqueue(
            "passwordReset", "Password Reset Successfully", account["email"], display_name(account)
        )

    async def _within(self, user: ObjectId, tenant: str | None) -> bool:
        """``True`` when the account belongs to the tenant that the proxy names, or the proxy names
        none."""
        if tenant is None:
            return True
        chosen = {"_id": user, "tenantId": tenant}
        return await self._database[User].find_one(chosen, {"_id": 1}) is not None

    async def set(self, user: ObjectId, password: str) -> Mapping[str, Any] | None:
        """Set a password: every session ends at once, other links are void. ``None`` when
        there is no such account."""
        fresh = await self._passwords.hash(password)
        # Before: should this server die right after the change, nobody stays signed in. After:
        # for those who come in with the old password in between.
        await self._sessions.close_all(user)
        account = await self._accounts.write(user, {"password": fresh})
        if account is None:
            return None
        await self._tokens.void(user, PASSWORD_RESET)
        await self._sessions.close_all(user)
        self._log.info("password.set", user=str(user))
        return account
