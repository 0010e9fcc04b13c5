"""Verification of e-mail addresses (contract user §8)."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

import structlog

from locutory import Database
from locutory_auth.accounts.one_time import EMAIL_VERIFICATION, OneTimeTokens
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.documents import User, by_address
from locutory_auth.mail.mailer import Mailer
from locutory_auth.timing import on_the_beat

_READ = {"_id": 1, "email": 1, "name": 1, "username": 1, "emailVerified": 1}
_LONGEST = 320


def display_name(account: Mapping[str, Any]) -> str:
    """The name of somebody in a mail; "" when only the address is known."""
    return str(account.get("name") or account.get("username") or "")


class Verification:
    """Sends links for verifying addresses, and verifies the accounts of those who follow them.

    Args:
        client: address of the web client, the only one that is ever part of a link.
    """

    def __init__(
        self,
        database: Database,
        accounts: StoredAccounts,
        tokens: OneTimeTokens,
        mailer: Mailer,
        client: str,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._tokens = tokens
        self._mailer = mailer
        self._client = client.rstrip("/")
        self._log = log

    async def send(self, account: Mapping[str, Any]) -> None:
        """Send a link to an account's address; earlier links are void."""
        email = account["email"]
        token = await self._tokens.issue(account["_id"], EMAIL_VERIFICATION, email)
        query = urlencode({"token": token, "email": email}, quote_via=quote)
        self._mailer.enqueue(
            "verifyEmail",
            "Verify your email",
            email,
            display_name(account),
            verificationLink=f"{self._client}/verify?{query}",
        )

    async def pretend(self) -> None:
        """The work of `send`, for an address that gets none."""
        if self._mailer.configured:
            await self._tokens.pretend()

    async def resend(self, email: str, tenant: str | None = None) -> None:
        """Send a link to an address if it has an account, which the caller cannot observe. Without
        mail every account is verified from the start, so there is nothing to send."""
        if not self._mailer.configured:
            self._log.warning("account.no_mail", wanted="verification link")
            return
        started = time.monotonic()
        account = await self._find(email, tenant)
        if account is None:
            await self._tokens.pretend()
        else:
            await self.send(account)
        await on_the_beat(started)

    async def verify(self, email: str, token: str, tenant: str | None = None) -> bool:
        """Verify the address of an account; false for a link that is not good."""
        account = await self._find(unquote(email), tenant)
        user = None if account is None else account["_id"]
        address = None if account is None else account["email"]
        row = await self._tokens.find(user, EMAIL_VERIFICATION, token, address)
        if account is None or row is None or not await self._tokens.use_up(row):
            return False
        if not account.get("emailVerified"):
            await self._accounts.write(account["_id"], {"emailVerified": True})
            self._log.info("account.verified", user=str(account["_id"]))
        return True

    async def _find(self, email: str, tenant: str | None) -> Mapping[str, Any] | None:
        address = email.strip().lower()
        if not address or len(address) > _LONGEST:
            return None
        return await self._database[User].find_one(by_address(address, tenant), _READ)
