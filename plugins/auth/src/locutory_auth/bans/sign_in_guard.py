"""The checks before anybody signs in, registers or resets a password."""

import time
from typing import Any

from bson import ObjectId

from locutory import Database, Request
from locutory_auth.bans.gate import BanGate, banned
from locutory_auth.bans.store import Bans
from locutory_auth.captcha import Captcha
from locutory_auth.documents import User, by_address


class SignInGuard:
    """Keeps out who is banned, and programs where there is a captcha."""

    def __init__(self, database: Database, gate: BanGate, bans: Bans, captcha: Captcha) -> None:
        self._database = database
        self._gate = gate
        self._bans = bans
        self._captcha = captcha

    async def check(self, request: Request, email: Any = None) -> None:
        """403 for a banned address, and for the e-mail address of a banned account."""
        await self._gate.check_address(request)
        if isinstance(email, str) and email:
            chosen = by_address(email.strip().lower(), request.named_tenant)
            account = await self._database[User].find_one(chosen, {"_id": 1})
            # Nobody's ban is looked for as well, so that both cases cost the same.
            await self.check_account(ObjectId() if account is None else account["_id"])

    async def check_account(self, user: ObjectId) -> None:
        """403 for a banned account."""
        if await self._bans.of_account(user) > time.time():
            raise banned()

    async def captcha(self, request: Request) -> None:
        """400 without a good answer of the captcha, where there is one."""
        await self._captcha.check(request)
