"""Checks second factors: the service `SECOND_FACTOR` (contract auth §8).

Each code of an app counts once, each backup code too, and wrong ones make an account wait,
whoever asks: the routes of this plugin and every other plugin come through here.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from locutory import Credentials, Database, HTTPError, now
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.documents import UsedCode, User
from locutory_auth.second_factor.codes import fits_backup, is_secret, matching_step
from locutory_auth.throttle import Throttle

LONGEST_WAIT = 300.0
_LONGEST = 64
_READ = dict.fromkeys(
    (
        "email",
        "password",
        "twoFactorEnabled",
        "totpSecret",
        "pendingTotpSecret",
        "backupCodes",
        "pendingBackupCodes",
    ),
    1,
)


class StoredSecondFactor:
    """Implements `locutory_contracts.accounts.SecondFactor`.

    Args:
        minutes: the wait that the refusal of too many attempts names.
    """

    def __init__(
        self,
        database: Database,
        accounts: StoredAccounts,
        credentials: Credentials,
        throttle: Throttle,
        minutes: float,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._credentials = credentials
        self._throttle = throttle
        text = f"Too many verification attempts, please try again after {minutes:g} minutes."
        self._too_many = {"message": text}

    async def required(self, user_id: str) -> bool:
        """``True`` when the account has a second factor."""
        known = await self._accounts.read(user_id)
        return known is not None and bool(known.principal.account.get("twoFactorEnabled"))

    async def verify(self, user_id: str, code: str | None, backup_code: str | None) -> bool:
        """``True`` for a good code, which is used up. Raises a 429 after too many wrong ones."""
        if not ObjectId.is_valid(user_id):
            return False
        document = await self.read(ObjectId(user_id))
        return document is not None and await self.spend(document, code, backup_code)

    async def read(self, user: ObjectId) -> Mapping[str, Any] | None:
        """The stored members of an account's factors."""
        return await self._database[User].find_one({"_id": user}, _READ)

    async def spend(
        self, document: Mapping[str, Any], code: str | None, backup_code: str | None
    ) -> bool:
        """Use up a code of an account's active second factor; that of the app is tried first."""
        if code:
            return await self.spend_code(document, document.get("totpSecret"), code)
        return bool(backup_code) and await self._spend_backup(document, str(backup_code))

    async def spend_code(self, document: Mapping[str, Any], stored: Any, code: str) -> bool:
        """Use up a code of the app against a stored secret."""
        user: ObjectId = document["_id"]
        await self._admit(user)
        secret = self.secret(stored)
        step = None if secret is None else matching_step(secret, code)
        if step is None or not await self._take(user, str(stored), step):
            return False
        await self._throttle.succeeded(str(user))
        return True

    async def check_code(self, document: Mapping[str, Any], stored: Any, code: str) -> bool:
        """``True`` for a good code, which is not used up: the enrolment asks for one code twice."""
        await self._admit(document["_id"])
        secret = self.secret(stored)
        if secret is None or matching_step(secret, code) is None:
            return False
        await self._throttle.succeeded(str(document["_id"]))
        return True

    def secret(self, stored: Any) -> str | None:
        """The secret of a stored value, in whatever form LibreChat has written it; ``None``
        when it is missing or cannot be read."""
        if not isinstance(stored, str) or not stored:
            return None
        if is_secret(stored):  # old ones are plain
            return stored
        try:
            plain = self._credentials.decrypt(stored)
        except ValueError:
            return None
        return plain if is_secret(plain) else None

    async def _take(self, user: ObjectId, stored: str, step: int) -> bool:
        """Note the step of a code; false when it, or a later one, was used already."""
        codes, secret = self._database[UsedCode], hashlib.sha256(stored.encode()).hexdigest()
        row = {"secret": secret, "step": step}
        for _ in range(3):
            later = {"_id": user, "secret": secret, "step": {"$lt": step}}
            if (await codes.update_one(later, {"$set": row})).modified_count:
                return True
            known = await codes.find_one({"_id": user})
            if known is None:
                try:
                    await codes.insert_one({"_id": user, **row})
                except DuplicateKeyError:
                    continue
                return True
            if known["secret"] == secret:
                return False
            # Another secret: the account was set up anew.
            other = {"_id": user, "secret": known["secret"]}
            if (await codes.update_one(other, {"$set": row})).modified_count:
                return True
        return False

    async def _spend_backup(self, document: Mapping[str, Any], code: str) -> bool:
        user: ObjectId = document["_id"]
        await self._admit(user)
        if len(code) > _LONGEST:
            return False
        for place, entry in enumerate(document.get("backupCodes") or ()):
            hashed = entry.get("codeHash")
            if entry.get("used") or not fits_backup(code, hashed):
                continue
            unused = {
                f"backupCodes.{place}.codeHash": hashed,
                f"backupCodes.{place}.used": {"$ne": True},
            }
            used = {f"backupCodes.{place}.used": True, f"backupCodes.{place}.usedAt": now()}
            if await self._accounts.write(user, used, where=unused) is not None:
                await self._throttle.succeeded(str(user))
                return True
        return False

    async def _admit(self, user: ObjectId) -> None:
        wait = await self._throttle.admit(str(user))
        if wait:
            raise HTTPError(429, self._too_many, headers={"retry-after": str(int(wait) or 1)})
