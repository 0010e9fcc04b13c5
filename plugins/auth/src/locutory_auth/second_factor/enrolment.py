"""Setting up, changing and removing a second factor (contract auth §8). Users with a second factor
have to show it before any change."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from locutory import Credentials, HTTPError
from locutory_auth.accounts.stored import StoredAccounts
from locutory_auth.config import AuthConfig
from locutory_auth.hashing import Passwords
from locutory_auth.second_factor.codes import new_backup_codes, new_secret, otpauth_url
from locutory_auth.second_factor.service import StoredSecondFactor

INVALID = "Invalid token or backup code"


def _refuse(status: int, message: str) -> HTTPError:
    return HTTPError(status, {"message": message})


class Enrolment:
    """Changes of a signed-in user's own second factor."""

    def __init__(
        self,
        factor: StoredSecondFactor,
        accounts: StoredAccounts,
        passwords: Passwords,
        credentials: Credentials,
        config: AuthConfig,
    ) -> None:
        self._factor = factor
        self._accounts = accounts
        self._passwords = passwords
        self._credentials = credentials
        self._config = config

    async def enable(
        self, user: ObjectId, code: str | None, backup_code: str | None, password: str | None
    ) -> tuple[str, list[str]]:
        """Begin: the address for the QR code, and backup codes. Nothing is asked for at
        sign-in until `confirm`."""
        document = await self._read(user)
        if document.get("twoFactorEnabled"):
            message = "TOTP token or backup code is required to re-enroll 2FA"
            await self._prove(document, code, backup_code, message)
        elif self._config.enrol_asks_password and not await self._fits(document, password):
            raise _refuse(401, "Incorrect password.")
        secret = new_secret()
        codes, stored = new_backup_codes()
        pending = {
            "pendingTotpSecret": self._credentials.encrypt_v3(secret),
            "pendingBackupCodes": stored,
        }
        await self._accounts.write(user, pending)
        return otpauth_url(self._config.app_title, document["email"], secret), codes

    async def verify(self, user: ObjectId, code: str | None, backup_code: str | None) -> None:
        """Verify a code of the app; refuses with a 400 when it is wrong. A code for an enrolment
        that is still to be confirmed is not used up."""
        document = await self._read(user)
        pending = document.get("pendingTotpSecret")
        if not pending and not document.get("totpSecret"):
            raise _refuse(400, "2FA not initiated")
        if code and pending:
            good = await self._factor.check_code(document, pending, code)
        else:
            good = await self._factor.spend(document, code, backup_code)
        if not good:
            raise _refuse(400, f"{INVALID}.")

    async def confirm(self, user: ObjectId, code: str | None) -> None:
        """Finish: from now on sign-in asks for the second factor."""
        document = await self._read(user)
        pending, active = document.get("pendingTotpSecret"), document.get("totpSecret")
        if not pending and not active:
            raise _refuse(400, "2FA not initiated")
        if not code or not await self._factor.spend_code(document, pending or active, code):
            raise _refuse(400, "Invalid token.")
        fields: dict[str, Any] = {
            "totpSecret": pending or active,
            "twoFactorEnabled": True,
            "pendingTotpSecret": None,
            "pendingBackupCodes": [],
        }
        if document.get("pendingBackupCodes"):
            fields["backupCodes"] = document["pendingBackupCodes"]
        unchanged = {"pendingTotpSecret": pending}
        if await self._accounts.write(user, fields, where=unchanged) is None:
            raise _refuse(400, "Invalid token.")

    async def disable(self, user: ObjectId, code: str | None, backup_code: str | None) -> None:
        """Take the second factor away."""
        document = await self._read(user)
        if not document.get("totpSecret"):
            raise _refuse(400, "2FA is not setup for this user")
        if document.get("twoFactorEnabled"):
            message = "Either token or backup code is required to disable 2FA"
            await self._prove(document, code, backup_code, message)
        await self.remove(user)

    async def remove(self, user: ObjectId) -> None:
        """Take the second factor away without asking, for an administrator."""
        nothing: dict[str, Any] = {
            "totpSecret": None,
            "backupCodes": [],
            "twoFactorEnabled": False,
            "pendingTotpSecret": None,
            "pendingBackupCodes": [],
        }
        await self._accounts.write(user, nothing)

    async def regenerate(
        self, user: ObjectId, code: str | None, backup_code: str | None
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Replace the backup codes; return the new ones, and their stored form."""
        document = await self._read(user)
        if document.get("twoFactorEnabled"):
            message = "TOTP token or backup code is required to regenerate backup codes"
            await self._prove(document, code, backup_code, message)
        codes, stored = new_backup_codes()
        await self._accounts.write(user, {"backupCodes": stored})
        return codes, stored

    async def _read(self, user: ObjectId) -> Mapping[str, Any]:
        document = await self._factor.read(user)
        if document is None:
            raise _refuse(404, "User not found")
        return document

    async def _fits(self, document: Mapping[str, Any], password: str | None) -> bool:
        """``True`` when the password is right, or the account has none."""
        stored = document.get("password")
        return not stored or await self._passwords.verify(password or "", stored)

    async def _prove(
        self,
        document: Mapping[str, Any],
        code: str | None,
        backup_code: str | None,
        message: str,
    ) -> None:
        if not code and not backup_code:
            raise _refuse(400, message)
        if code and self._factor.secret(document.get("totpSecret")) is None:
            raise _refuse(400, "2FA secret is missing or corrupted")
        if not await self._factor.spend(document, code, backup_code):
            raise _refuse(401, INVALID)
