"""What sign-in adds to the client's startup configuration (contract user §2.1, §2.2)."""

from collections.abc import Mapping
from typing import Any

from locutory import Principal
from locutory.access import ADMIN_ROLE
from locutory.settings import KernelConfig
from locutory_auth.config import Config
from locutory_auth.registration.door import Door

SOCIAL_LOGINS = ["google", "facebook", "openid", "github", "discord", "saml"]


class SignInStartup:
    """Entry "auth" of `STARTUP_CONFIG`. All but the door is known when the server starts.

    Args:
        registration, turnstile: the sections of ``librechat.yaml`` as written.
    """

    def __init__(
        self,
        config: Config,
        kernel: KernelConfig,
        registration: Mapping[str, Any],
        turnstile: Mapping[str, Any],
        door: Door,
    ) -> None:
        self._door = door
        self._may_register = not config.ldap_configured
        self._deletion = config.allow_account_deletion
        self._reuse = config.openid_reuse_tokens
        self._everyone = _everyone(config, kernel, registration, turnstile)

    def everyone(self) -> Mapping[str, Any]:
        """See the contract."""
        open_now = self._may_register and self._door.open
        if self._everyone["registrationEnabled"] is not open_now:
            self._everyone = {**self._everyone, "registrationEnabled": open_now}
        return self._everyone

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """See the contract."""
        return {
            "openidReuseTokens": self._reuse,
            "allowAccountDeletion": self._deletion or principal.role == ADMIN_ROLE,
        }


def _everyone(
    config: Config,
    kernel: KernelConfig,
    registration: Mapping[str, Any],
    turnstile: Mapping[str, Any],
) -> dict[str, Any]:
    openid = config.openid_configured
    ldap: dict[str, bool] = {"enabled": config.ldap_configured}
    if config.ldap_configured and config.ldap_login_uses_username:
        ldap["username"] = True
    members: dict[str, Any] = {
        "discordLoginEnabled": bool(config.discord_client_id and config.discord_client_secret),
        "facebookLoginEnabled": bool(config.facebook_client_id and config.facebook_client_secret),
        "githubLoginEnabled": bool(config.github_client_id and config.github_client_secret),
        "googleLoginEnabled": bool(config.google_client_id and config.google_client_secret),
        "appleLoginEnabled": bool(
            config.apple_client_id
            and config.apple_team_id
            and config.apple_key_id
            and config.apple_private_key_path
        ),
        "openidLoginEnabled": openid,
        "openidLabel": config.openid_button_label,
        "openidImageUrl": config.openid_image_url,
        "openidAutoRedirect": config.openid_auto_redirect,
        "samlLoginEnabled": config.saml_configured and not openid,
        "samlLabel": config.saml_button_label,
        "samlImageUrl": config.saml_image_url,
        "serverDomain": kernel.domain_server,
        "emailLoginEnabled": config.allow_email_login,
        "registrationEnabled": bool(config.allow_registration) and not config.ldap_configured,
        "socialLoginEnabled": config.allow_social_login,
        "emailEnabled": config.mail_configured,
        "passwordResetEnabled": config.allow_password_reset,
        "minPasswordLength": config.min_password_length,
        "ldap": ldap,
        "socialLogins": registration.get("socialLogins") or SOCIAL_LOGINS,
        "turnstile": {key: turnstile[key] for key in ("siteKey", "options") if turnstile.get(key)},
    }
    return {key: value for key, value in members.items() if value is not None}
