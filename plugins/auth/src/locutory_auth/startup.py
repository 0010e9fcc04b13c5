"""The part of sign-in in the client's startup configuration (contract user §2.1, §2.2)."""

from collections.abc import Mapping
from typing import Any

from locutory import ADMIN_ROLE, KernelConfig, Principal
from locutory_auth.config import AuthConfig
from locutory_auth.registration.policy import RegistrationPolicy


class SignInStartup:
    """Entry "auth" of `STARTUP_CONFIG`. All but whether registration is open is known when the
    configuration is read. Other ways to sign in are shown by the plugins that offer them.

    Args:
        turnstile: the section of ``librechat.yaml`` as written.
    """

    def __init__(
        self,
        config: AuthConfig,
        kernel: KernelConfig,
        turnstile: Mapping[str, Any],
        policy: RegistrationPolicy,
    ) -> None:
        self._policy = policy
        self.configure(config, kernel, turnstile)

    def configure(
        self, config: AuthConfig, kernel: KernelConfig, turnstile: Mapping[str, Any]
    ) -> None:
        """Take these from now on."""
        self._deletion = config.allow_account_deletion
        members = {
            "serverDomain": kernel.domain_server,
            "emailLoginEnabled": config.allow_email_login,
            "registrationEnabled": bool(config.allow_registration),
            "emailEnabled": config.mail_configured,
            "passwordResetEnabled": config.allow_password_reset and config.reset_reaches,
            "minPasswordLength": config.min_password_length,
            "turnstile": {
                key: turnstile[key] for key in ("siteKey", "options") if turnstile.get(key)
            },
        }
        self._everyone = {key: value for key, value in members.items() if value is not None}

    def everyone(self) -> Mapping[str, Any]:
        """The members that anonymous callers see too, with the current state of registration."""
        open_now = self._policy.open
        if self._everyone["registrationEnabled"] is not open_now:
            self._everyone = {**self._everyone, "registrationEnabled": open_now}
        return self._everyone

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """The members that are added after login."""
        return {"allowAccountDeletion": self._deletion or principal.role == ADMIN_ROLE}
