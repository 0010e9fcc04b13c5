"""The plugin: sign-in through other services."""

from collections.abc import Mapping
from typing import ClassVar

from locutory import (
    AUTHENTICATORS,
    Check,
    Context,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.avatars import AVATARS
from locutory_contracts.directory import DIRECTORY
from locutory_contracts.sign_in import MEMBERSHIPS, OUTSIDE_SESSIONS, ROLE_NAMES, SIGN_INS
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_oauth.config import OAuthConfig, SocialSection
from locutory_oauth.login_state import LoginStateStore, secure
from locutory_oauth.providers import ProviderFactory, discover
from locutory_oauth.routes import OAuthRoutes
from locutory_oauth.service import SignIn
from locutory_oauth.startup import OAuthStartup


class OAuthPlugin(Plugin):
    """Signs people in through social logins, OpenID Connect and SAML.

    Args:
        addresses: other addresses for providers that have fixed ones; for tests.
    """

    name = "oauth"
    summary = "Sign-in through Google, GitHub, Discord, Facebook, Apple, OpenID Connect, SAML"
    Config = OAuthConfig
    sections: ClassVar = {"registration": SocialSection}
    provides = (STARTUP_CONFIG, AUTHENTICATORS, OUTSIDE_SESSIONS, DIRECTORY)
    wants = (SIGN_INS, ACCOUNTS, ROLE_NAMES, MEMBERSHIPS, AVATARS)

    def __init__(self, addresses: Mapping[str, str] | None = None) -> None:
        self._addresses = dict(addresses or {})

    @hook
    def setup(self, ctx: Context[OAuthConfig]) -> None:
        config = ctx.config
        life = config.session_expiry
        if config.openid_reuse_tokens:
            life = max(life, config.openid_reuse_max_session_age_ms)
        secret = config.openid_session_secret or config.saml_session_secret
        self._login_states = LoginStateStore(
            ctx.cache,
            secret.get_secret_value() if secret else ctx.credentials.jwt_refresh_secret,
            life / 1000,
            is_secure=secure(ctx.kernel, config.session_cookie_secure),
        )
        self._providers = ProviderFactory(ctx, self._login_states, self._addresses).build()

    @hook
    def services(self, ctx: Context[OAuthConfig]) -> list[Provide]:
        config = ctx.config
        buttons = (ctx.section("registration") or {}).get("socialLogins")
        offers = [Provide(STARTUP_CONFIG, OAuthStartup(config, buttons), "oauth")]
        sessions = self._providers.sessions
        if sessions is not None:
            offers.append(Provide(OUTSIDE_SESSIONS, sessions, "openid"))
            if config.openid_reuse_tokens:
                offers.append(Provide(AUTHENTICATORS, sessions, "openid"))
        if self._providers.directory is not None:
            offers.append(Provide(DIRECTORY, self._providers.directory))
        return offers

    @hook
    def routes(self, ctx: Context[OAuthConfig]) -> list[Route]:
        config = ctx.config
        sign_in = SignIn(
            ctx.services,
            ctx.events,
            ctx.log,
            reuse=self._providers.sessions if config.openid_reuse_tokens else None,
            offline="offline_access" in (config.openid_scope or "").split(),
            on_sign_in=self._providers.on_sign_in,
        )
        return OAuthRoutes(
            config,
            ctx.kernel.domain_client,
            self._providers.by_name,
            self._login_states,
            sign_in,
            ctx.log,
        ).all()

    @hook
    def phases(self, ctx: Context) -> list[PhaseTask]:
        client = self._providers.openid
        if client is None:
            return []
        return [PhaseTask("authentication", "OpenID discovery", lambda: discover(client, ctx.log))]

    @hook
    def checks(self, ctx: Context[OAuthConfig]) -> list[Check]:
        config = ctx.config
        providers = self._providers

        async def switched_on() -> str | None:
            configured = [
                name
                for name in ("google", "github", "discord", "facebook", "apple", "openid", "saml")
                if getattr(config, f"{name}_configured")
            ]
            if configured and not config.allow_social_login:
                names = ", ".join(configured)
                return f"{names} cannot be used to sign in: set ALLOW_SOCIAL_LOGIN=true"
            return None

        async def session_of_tokens() -> str | None:
            scopes = (config.openid_scope or "").split()
            if providers.openid and config.openid_reuse_tokens and "offline_access" not in scopes:
                return (
                    "OPENID_REUSE_TOKENS needs a refresh token, which most providers give only "
                    "with offline_access in OPENID_SCOPE"
                )
            return None

        async def people_of_entra() -> str | None:
            if (
                providers.openid
                and config.use_entra_id_for_people_search
                and not providers.directory
            ):
                return (
                    "USE_ENTRA_ID_FOR_PEOPLE_SEARCH does nothing without OPENID_REUSE_TOKENS=true: "
                    "the directory is asked with the tokens of who is signed in"
                )
            return None

        found = [Check("social logins", switched_on, offline=True)]
        if config.openid_reuse_tokens:
            found.append(Check("OpenID tokens", session_of_tokens, offline=True))
        if config.use_entra_id_for_people_search:
            found.append(Check("people of Entra", people_of_entra, offline=True))
        return found
