"""Settings of the plugin (contract oauth §2, §5-§8)."""

from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from locutory import ADMIN_ROLE, env, option
from locutory_oauth.saml.settings import SamlSettings

TokenKind = Literal["access", "id", "userinfo"]
ClientAuthentication = Literal["client_secret_basic", "client_secret_post"]

OWN_PARAMETERS = frozenset(
    {
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
"""Parameters of an authorization request that this server sets, or that would undo those."""


class SocialSettings(BaseModel):
    """Providers with fixed addresses."""

    google_client_id: str | None = env("GOOGLE_CLIENT_ID", None, "Google client id")
    google_client_secret: SecretStr | None = env("GOOGLE_CLIENT_SECRET", None, "Google secret")
    google_callback_url: str = env(
        "GOOGLE_CALLBACK_URL", "/oauth/google/callback", "Path that Google sends people back to"
    )
    github_client_id: str | None = env("GITHUB_CLIENT_ID", None, "GitHub client id")
    github_client_secret: SecretStr | None = env("GITHUB_CLIENT_SECRET", None, "GitHub secret")
    github_callback_url: str = env(
        "GITHUB_CALLBACK_URL", "/oauth/github/callback", "Path that GitHub sends people back to"
    )
    github_enterprise_base_url: str | None = env(
        "GITHUB_ENTERPRISE_BASE_URL", None, "Address of a GitHub Enterprise server"
    )
    github_enterprise_user_agent: str | None = env(
        "GITHUB_ENTERPRISE_USER_AGENT", None, "User-Agent for the GitHub Enterprise server"
    )
    discord_client_id: str | None = env("DISCORD_CLIENT_ID", None, "Discord client id")
    discord_client_secret: SecretStr | None = env("DISCORD_CLIENT_SECRET", None, "Discord secret")
    discord_callback_url: str = env(
        "DISCORD_CALLBACK_URL", "/oauth/discord/callback", "Path that Discord sends people back to"
    )
    facebook_client_id: str | None = env("FACEBOOK_CLIENT_ID", None, "Facebook app id")
    facebook_client_secret: SecretStr | None = env(
        "FACEBOOK_CLIENT_SECRET", None, "Facebook app secret"
    )
    facebook_callback_url: str = env(
        "FACEBOOK_CALLBACK_URL",
        "/oauth/facebook/callback",
        "Path that Facebook sends people back to",
    )
    apple_client_id: str | None = env("APPLE_CLIENT_ID", None, "Apple service id")
    apple_team_id: str | None = env("APPLE_TEAM_ID", None, "Apple team id")
    apple_key_id: str | None = env("APPLE_KEY_ID", None, "Id of the Apple key")
    apple_private_key_path: str | None = env(
        "APPLE_PRIVATE_KEY_PATH", None, "File of the Apple key"
    )
    apple_callback_url: str = env(
        "APPLE_CALLBACK_URL", "/oauth/apple/callback", "Path that Apple posts people back to"
    )

    @property
    def google_configured(self) -> bool:
        """``True`` when client id and secret are set."""
        return bool(self.google_client_id and self.google_client_secret)

    @property
    def github_configured(self) -> bool:
        """``True`` when client id and secret are set."""
        return bool(self.github_client_id and self.github_client_secret)

    @property
    def discord_configured(self) -> bool:
        """``True`` when client id and secret are set."""
        return bool(self.discord_client_id and self.discord_client_secret)

    @property
    def facebook_configured(self) -> bool:
        """``True`` when client id and secret are set."""
        return bool(self.facebook_client_id and self.facebook_client_secret)

    @property
    def apple_configured(self) -> bool:
        """``True`` when client, team, key and key file are set."""
        key = self.apple_key_id and self.apple_private_key_path
        return bool(self.apple_client_id and self.apple_team_id and key)


class OpenIdSettings(BaseModel):
    """Any OpenID Connect provider."""

    openid_client_id: str | None = env("OPENID_CLIENT_ID", None, "OpenID client id")
    openid_client_secret: SecretStr | None = env(
        "OPENID_CLIENT_SECRET", None, "OpenID secret; unset with PKCE makes a public client"
    )
    openid_issuer: str | None = env(
        "OPENID_ISSUER", None, "Issuer, or address of its discovery document"
    )
    openid_scope: str | None = env("OPENID_SCOPE", None, "Scopes to ask for, divided by spaces")
    openid_session_secret: SecretStr | None = env(
        "OPENID_SESSION_SECRET", None, "Signs the cookie of the login session"
    )
    openid_callback_url: str = env(
        "OPENID_CALLBACK_URL",
        "/oauth/openid/callback",
        "Path that the provider sends people back to",
    )
    openid_use_pkce: bool = env(
        "OPENID_USE_PKCE", False, "PKCE even if the provider does not announce it"
    )
    openid_generate_nonce: bool = env(
        "OPENID_GENERATE_NONCE",
        False,
        "The client secret goes into the body; a nonce is always sent and checked",
    )
    openid_audience: list[str] = env(
        "OPENID_AUDIENCE", list, "Audiences: the first is asked for, all are accepted in tokens"
    )
    openid_clock_tolerance: int = env(
        "OPENID_CLOCK_TOLERANCE", 300, "Difference of clocks that is tolerated, in seconds", ge=0
    )
    openid_button_label: str = env(
        "OPENID_BUTTON_LABEL", "Continue with OpenID", "Text of the OpenID button"
    )
    openid_image_url: str | None = env("OPENID_IMAGE_URL", None, "Image of the OpenID button")
    openid_auto_redirect: bool = env(
        "OPENID_AUTO_REDIRECT", False, "The login page goes to the provider by itself"
    )
    openid_email_claim: str | None = env("OPENID_EMAIL_CLAIM", None, "Claim of the e-mail address")
    openid_username_claim: str | None = env("OPENID_USERNAME_CLAIM", None, "Claim of the user name")
    openid_name_claim: str | None = env("OPENID_NAME_CLAIM", None, "Claim of the display name")
    openid_required_role: list[str] = env(
        "OPENID_REQUIRED_ROLE", list, "Roles of which one is needed to sign in"
    )
    openid_required_role_parameter_path: str | None = env(
        "OPENID_REQUIRED_ROLE_PARAMETER_PATH", None, "Path of the claim with these roles"
    )
    openid_required_role_token_kind: TokenKind | None = env(
        "OPENID_REQUIRED_ROLE_TOKEN_KIND", None, "Where that claim is: access, id or userinfo"
    )
    openid_admin_role: str | None = env(
        "OPENID_ADMIN_ROLE", None, "Role that makes an administrator; without it one is demoted"
    )
    openid_admin_role_parameter_path: str | None = env(
        "OPENID_ADMIN_ROLE_PARAMETER_PATH", None, "Path of the claim with the administrator role"
    )
    openid_admin_role_token_kind: TokenKind | None = env(
        "OPENID_ADMIN_ROLE_TOKEN_KIND", None, "Where that claim is: access, id or userinfo"
    )
    openid_role_sync_enabled: bool = env(
        "OPENID_ROLE_SYNC_ENABLED", False, "Take the role of an account from a claim"
    )
    openid_role_sync_api_enabled: bool = env(
        "OPENID_ROLE_SYNC_API_ENABLED", False, "Also for bearer tokens of the remote agents API"
    )
    openid_role_sync_source: TokenKind = env(
        "OPENID_ROLE_SYNC_SOURCE", "id", "Where that claim is: access, id or userinfo"
    )
    openid_role_sync_claim: str | None = env(
        "OPENID_ROLE_SYNC_CLAIM", None, "Path of the claim with the roles"
    )
    openid_role_sync_role_priority: list[str] = env(
        "OPENID_ROLE_SYNC_ROLE_PRIORITY", list, "Roles that can be given, the best first"
    )
    openid_role_sync_fallback_role: str | None = env(
        "OPENID_ROLE_SYNC_FALLBACK_ROLE", None, "Role of those who have none of these"
    )
    openid_reuse_tokens: bool = env(
        "OPENID_REUSE_TOKENS", False, "The provider's tokens serve as tokens of the session"
    )
    openid_reuse_max_session_age_ms: int = env(
        "OPENID_REUSE_MAX_SESSION_AGE_MS",
        900_000,
        "How long they serve before the provider is asked again, in ms",
        ge=0,
    )
    openid_refresh_audience: str | None = env(
        "OPENID_REFRESH_AUDIENCE", None, "Audience to ask for when tokens are refreshed"
    )
    openid_jwks_url_cache_enabled: bool = env(
        "OPENID_JWKS_URL_CACHE_ENABLED", True, "Remember the provider's keys"
    )
    openid_jwks_url_cache_time: int = env(
        "OPENID_JWKS_URL_CACHE_TIME", 60_000, "For how long, in ms", ge=0
    )
    openid_use_end_session_endpoint: bool = env(
        "OPENID_USE_END_SESSION_ENDPOINT", False, "Logging out also ends the provider's session"
    )
    openid_post_logout_redirect_uri: str | None = env(
        "OPENID_POST_LOGOUT_REDIRECT_URI",
        None,
        "Where the provider sends people then; the login page when unset",
    )
    openid_max_logout_url_length: int = env(
        "OPENID_MAX_LOGOUT_URL_LENGTH", 2000, "Longest logout address, in characters", gt=0
    )
    openid_on_behalf_flow_for_userinfo_required: bool = env(
        "OPENID_ON_BEHALF_FLOW_FOR_USERINFO_REQUIRED",
        False,
        "Exchange the access token before the user info is asked for",
    )
    openid_on_behalf_flow_userinfo_scope: str = env(
        "OPENID_ON_BEHALF_FLOW_USERINFO_SCOPE", "user.read", "Scope of that exchange"
    )
    openid_avatar_authorized_origins: list[str] = env(
        "OPENID_AVATAR_AUTHORIZED_ORIGINS",
        list,
        "Origins, beside the issuer's, that get the access token when a picture is fetched",
    )
    openid_graph_scopes: str = env(
        "OPENID_GRAPH_SCOPES",
        "User.Read,People.Read,GroupMember.Read.All",
        "Scopes of Microsoft Graph for finding people, for groups and their members",
    )
    debug_openid_requests: bool = env(
        "DEBUG_OPENID_REQUESTS", False, "Log requests to providers, without their contents"
    )
    use_entra_id_for_people_search: bool = env(
        "USE_ENTRA_ID_FOR_PEOPLE_SEARCH",
        False,
        "With OPENID_REUSE_TOKENS: people and groups of Entra can be found when sharing, and "
        "membership in its groups is kept up to date",
    )
    entra_id_include_owners_as_members: bool = env(
        "ENTRA_ID_INCLUDE_OWNERS_AS_MEMBERS", False, "Owners of a group count as its members"
    )

    openid_authorization_parameters: dict[str, str | int | None] = option(
        dict,
        "Further parameters of OpenID's authorization request, by name, such as prompt, "
        "login_hint or acr_values; without a value one is not sent",
    )
    openid_client_authentication: ClientAuthentication | None = option(
        None,
        "How the client secret is shown to the OpenID provider; unset: in the ways that it offers",
    )
    directory_seconds: float = option(
        5.0,
        "How long Microsoft Graph may take when people and groups are looked for, in seconds; "
        "three times that for the members of a group",
        gt=0,
        le=60,
    )

    @property
    def openid_configured(self) -> bool:
        """``True`` when OpenID sign-in is completely configured, as the startup configuration shows
        it (user §2.1)."""
        secret = self.openid_client_secret or self.openid_use_pkce
        return bool(
            self.openid_client_id and self.openid_issuer and self.openid_session_secret and secret
        )

    @model_validator(mode="after")
    def _complete_rules(self) -> Self:
        path, kind = self.openid_required_role_parameter_path, self.openid_required_role_token_kind
        if self.openid_required_role and not (path and kind):
            raise ValueError(
                "OPENID_REQUIRED_ROLE needs OPENID_REQUIRED_ROLE_PARAMETER_PATH and "
                f"OPENID_REQUIRED_ROLE_TOKEN_KIND ({', '.join(get_args(TokenKind))})"
            )
        own = OWN_PARAMETERS & self.openid_authorization_parameters.keys()
        if own:
            raise ValueError(f"openid_authorization_parameters cannot set {', '.join(sorted(own))}")
        if self.openid_role_sync_api_enabled and not self.openid_role_sync_enabled:
            raise ValueError("OPENID_ROLE_SYNC_API_ENABLED needs OPENID_ROLE_SYNC_ENABLED=true")
        if self.openid_role_sync_enabled and not self.openid_role_sync_claim:
            raise ValueError("OPENID_ROLE_SYNC_ENABLED needs OPENID_ROLE_SYNC_CLAIM")
        given = [*self.openid_role_sync_role_priority, self.openid_role_sync_fallback_role or ""]
        if self.openid_role_sync_enabled and ADMIN_ROLE in map(str.upper, given):
            raise ValueError(f"role synchronisation cannot give the role {ADMIN_ROLE}")
        return self


class SocialSection(BaseModel):
    """The part of ``registration`` that this plugin reads."""

    model_config = ConfigDict(extra="allow")

    socialLogins: list[str] | None = Field(  # noqa: N815  (the key of the file)
        None, description="Buttons of the login page, in order"
    )


class OAuthConfig(SocialSettings, OpenIdSettings, SamlSettings):
    """Settings of sign-in through other services."""

    model_config = ConfigDict(extra="forbid")

    allow_social_login: bool = env(
        "ALLOW_SOCIAL_LOGIN", False, "Switches every provider on, OpenID and SAML too"
    )
    allow_social_registration: bool = env(
        "ALLOW_SOCIAL_REGISTRATION",
        False,
        "Social logins create accounts; OpenID and SAML always do",
    )
    login_window: float = env("LOGIN_WINDOW", 5, "Window of LOGIN_MAX, in minutes", gt=0)
    login_max: int = env("LOGIN_MAX", 7, "Sign-in requests of one address a window", ge=1)
    login_violation_score: float = env(
        "LOGIN_VIOLATION_SCORE", 1, "Weight of a refused sign-in request"
    )
    session_expiry: int = env(
        "SESSION_EXPIRY", 900_000, "Life of the login session's cookie, in ms", ge=1000
    )
    refresh_token_expiry: int = env(
        "REFRESH_TOKEN_EXPIRY", 604_800_000, "Life of cookies with reused tokens, in ms", ge=1000
    )
    session_cookie_secure: str = env(
        "SESSION_COOKIE_SECURE",
        "",
        "'true' or 'false' decides over the Secure attribute of cookies; else it is on when "
        "DOMAIN_SERVER or DOMAIN_CLIENT is https",
        words=("true", "false"),
    )
