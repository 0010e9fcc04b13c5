"""The members of sign-in methods in the client's startup configuration (contract user §2.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from locutory import Principal
from locutory_oauth.config import OAuthConfig

DEFAULT_ORDER = ("google", "facebook", "openid", "github", "discord", "saml")


class OAuthStartup:
    """Entry "oauth" of `STARTUP_CONFIG`. Everything is known when the server starts.

    Args:
        buttons: ``registration.socialLogins`` of the configuration file.
    """

    def __init__(self, config: OAuthConfig, buttons: Sequence[str] | None) -> None:
        openid = config.openid_configured
        members: dict[str, Any] = {
            "discordLoginEnabled": config.discord_configured,
            "facebookLoginEnabled": config.facebook_configured,
            "githubLoginEnabled": config.github_configured,
            "googleLoginEnabled": config.google_configured,
            "appleLoginEnabled": config.apple_configured,
            "openidLoginEnabled": openid,
            "openidLabel": config.openid_button_label,
            "openidImageUrl": config.openid_image_url,
            "openidAutoRedirect": config.openid_auto_redirect,
            "samlLoginEnabled": config.saml_configured and not openid,
            "samlLabel": config.saml_button_label,
            "samlImageUrl": config.saml_image_url,
            "socialLoginEnabled": config.allow_social_login,
            "socialLogins": list(buttons or DEFAULT_ORDER),
        }
        self._everyone = {name: value for name, value in members.items() if value is not None}
        self._reuse = config.openid_reuse_tokens

    def everyone(self) -> Mapping[str, Any]:
        """The members that anonymous callers see too."""
        return self._everyone

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        """The members that are added after login."""
        return {"openidReuseTokens": self._reuse}
