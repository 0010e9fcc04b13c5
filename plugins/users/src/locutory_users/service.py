"""The operations of users on their account (contract user §4–§7)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from locutory import ADMIN_ROLE, POLICY, HTTPError, Principal, ServiceMissing, Services, now
from locutory_contracts.accounts import ACCOUNTS, SECOND_FACTOR, Account
from locutory_users.config import UsersConfig
from locutory_users.plugin_keys import PluginKeys

Environment = Literal["user", "agent-user", "conversation"]
ENVIRONMENTS: tuple[str, ...] = get_args(Environment)
LONGEST_KEY = 512
MOST_PLUGINS = 1000
MOST_FIELDS = 100


def _refuse(status: int, message: str) -> HTTPError:
    return HTTPError(status, {"message": message})


class OwnAccount:
    """Changes that a signed-in user makes to their own account.

    Args:
        environments: code environments that this deployment allows; all when ``None``.
    """

    def __init__(
        self,
        services: Services,
        config: UsersConfig,
        keys: PluginKeys,
        environments: Sequence[Any] | None,
    ) -> None:
        self._services = services
        self._config = config
        self._keys = keys
        self._environments = ENVIRONMENTS if environments is None else tuple(environments)

    async def set(self, principal: Principal, fields: Mapping[str, Any]) -> Account:
        """Set fields of the account; raises a 404 when it is deleted."""
        account = await self._services.get(ACCOUNTS).update(principal.id, fields)
        if account is None:
            raise _refuse(404, "User not found")
        return account

    async def _current(self, principal: Principal) -> Account:
        """The account as it is now: another request may have changed it meanwhile."""
        account = await self._services.get(ACCOUNTS).find(principal.id)
        if account is None:
            raise _refuse(404, "User not found")
        return account

    async def accept_terms(self, principal: Principal) -> datetime:
        """Accept the terms of service; the moment of the first acceptance never moves."""
        account = await self._current(principal)
        accepted: datetime | None = account.get("termsAcceptedAt")
        if accepted is None or not account.get("termsAccepted"):
            accepted = accepted or now()
            await self.set(principal, {"termsAccepted": True, "termsAcceptedAt": accepted})
        return accepted

    async def prefer(self, principal: Principal, environment: Environment) -> None:
        """Choose the code environment."""
        if environment not in self._environments:
            raise _refuse(
                403,
                f"statefulCodeEnvironment is not allowed by this deployment: {environment}",
            )
        await self.set(principal, {"personalization.statefulCodeEnvironment": environment})

    async def change_plugin(
        self,
        principal: Principal,
        plugin_key: str,
        action: str | None,
        secrets: Mapping[str, str | None] | None,
        listed: bool,
    ) -> None:
        """Install or uninstall a tool and the user's secrets for it. ``listed``: it also
        appears among the account's plugins."""
        if listed and action in ("install", "uninstall"):
            await self._list(principal, plugin_key, action)
        if secrets is None:
            return
        if action == "install":
            given = {name: value for name, value in secrets.items() if value is not None}
            await self._keys.install(principal, plugin_key, given)
        elif action == "uninstall":
            await self._keys.uninstall(principal, plugin_key, secrets)

    async def _list(self, principal: Principal, plugin_key: str, action: str) -> None:
        before = list((await self._current(principal)).get("plugins") or ())
        after = [key for key in before if key != plugin_key]
        if action == "install":
            after.append(plugin_key)
            if len(after) > MOST_PLUGINS:
                raise _refuse(400, f"Maximum {MOST_PLUGINS} plugins allowed")
        if after != before:
            await self.set(principal, {"plugins": after})

    async def delete(self, principal: Principal, code: str | None, backup_code: str | None) -> None:
        """Delete the account and everything it owns."""
        if not (self._config.allow_account_deletion or await self._administers(principal)):
            raise _refuse(403, "You do not have permission to delete this account")
        await self._confirm(principal, code, backup_code)
        if not await self._services.get(ACCOUNTS).delete(principal.id):
            raise _refuse(500, "Something went wrong.")

    async def _administers(self, principal: Principal) -> bool:
        policy = self._services.find(POLICY)
        if policy is None:
            return principal.role == ADMIN_ROLE
        return bool(await policy.holds(principal, "access:admin"))

    async def _confirm(
        self, principal: Principal, code: str | None, backup_code: str | None
    ) -> None:
        """Ask for the second factor of an account that has one. When nobody can check it,
        the account stays."""
        factor = self._services.find(SECOND_FACTOR)
        if factor is None:
            if principal.account.get("twoFactorEnabled"):
                raise ServiceMissing(SECOND_FACTOR.name)
            return
        if not await factor.required(principal.id):
            return
        if not code and not backup_code:
            raise _refuse(
                400, "TOTP token or backup code is required to delete account with 2FA enabled"
            )
        if not await factor.verify(principal.id, code, backup_code):
            raise _refuse(401, "Invalid token or backup code")
