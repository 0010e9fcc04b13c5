"""The plugin: passwords of a directory."""

from collections.abc import Mapping
from typing import Any

from locutory import (
    Check,
    Context,
    PhaseTask,
    Plugin,
    Principal,
    Problem,
    Provide,
    StartupError,
    hook,
)
from locutory_contracts.sign_in import PASSWORD_CHECKS, SIGN_INS
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_ldap.config import LdapConfig


class LdapStartup:
    """Entry "ldap" of `STARTUP_CONFIG` (contract oauth §7)."""

    def __init__(self, config: LdapConfig) -> None:
        ldap: dict[str, Any] = {"enabled": True}
        if config.ldap_login_uses_username:
            ldap["username"] = True
        self._members = {"ldap": ldap}

    def everyone(self) -> Mapping[str, Any]:
        """The members that anonymous callers see too."""
        return self._members

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """No members."""
        return {}


class LdapPlugin(Plugin):
    """Checks names and passwords in an LDAP directory instead of the account store."""

    name = "ldap"
    summary = "Sign-in with names and passwords of an LDAP directory"
    Config = LdapConfig
    provides = (PASSWORD_CHECKS, STARTUP_CONFIG)
    wants = (SIGN_INS,)

    @hook
    def setup(self, ctx: Context[LdapConfig]) -> None:
        config = ctx.config
        self._check: Any = None
        if not config.configured:
            return
        from locutory_ldap.directory import Directory
        from locutory_ldap.service import DirectoryCheck

        try:
            directory = Directory(config, ctx.kernel.outgoing.trust)
        except (OSError, ValueError) as error:
            where = "LDAP_CA_CERT_PATH" if config.ldap_ca_cert_path else "LDAP_URL"
            raise StartupError(Problem(where, f"cannot be used: {error}", "", self.name)) from None
        self._check = DirectoryCheck(config, directory, ctx.services, ctx.log)

    @hook
    def services(self, ctx: Context[LdapConfig]) -> list[Provide]:
        if self._check is None:
            return []
        return [
            Provide(PASSWORD_CHECKS, self._check, "ldap"),
            Provide(STARTUP_CONFIG, LdapStartup(ctx.config), "ldap"),
        ]

    @hook
    def phases(self) -> list[PhaseTask]:
        check = self._check
        if check is None:
            return []
        return [PhaseTask("authentication", "directory", undo=check.close)]

    @hook
    def checks(self, ctx: Context[LdapConfig]) -> list[Check]:
        config = ctx.config
        check = self._check
        if check is None:
            return []

        async def encrypted() -> str | None:
            plain = [url for url in config.addresses if url.lower().startswith("ldap://")]
            if plain and not config.ldap_starttls:
                return "passwords go to the directory unencrypted: set LDAP_STARTTLS=true"
            if config.ldap_ca_cert_path and not config.ldap_tls_reject_unauthorized:
                return (
                    "anybody can pass for the directory: its certificate is not checked; "
                    "set LDAP_TLS_REJECT_UNAUTHORIZED=true"
                )
            return None

        return [
            Check("LDAP directory", check.reach),
            Check("LDAP encryption", encrypted, offline=True),
        ]
