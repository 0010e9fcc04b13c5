"""Which other ways to sign in are configured."""

from pydantic import BaseModel, SecretStr

from locutory import env


class ProviderSettings(BaseModel):
    """Other ways to sign in. Only whether they are configured matters here: it decides which
    buttons the client shows (contract user §2.1)."""

    google_client_id: str | None = env("GOOGLE_CLIENT_ID", None, "Google client id")
    google_client_secret: SecretStr | None = env("GOOGLE_CLIENT_SECRET", None, "Google secret")
    facebook_client_id: str | None = env("FACEBOOK_CLIENT_ID", None, "Facebook client id")
    facebook_client_secret: SecretStr | None = env(
        "FACEBOOK_CLIENT_SECRET", None, "Facebook secret"
    )
    github_client_id: str | None = env("GITHUB_CLIENT_ID", None, "GitHub client id")
    github_client_secret: SecretStr | None = env("GITHUB_CLIENT_SECRET", None, "GitHub secret")
    discord_client_id: str | None = env("DISCORD_CLIENT_ID", None, "Discord client id")
    discord_client_secret: SecretStr | None = env("DISCORD_CLIENT_SECRET", None, "Discord secret")
    apple_client_id: str | None = env("APPLE_CLIENT_ID", None, "Apple service id")
    apple_team_id: str | None = env("APPLE_TEAM_ID", None, "Apple team id")
    apple_key_id: str | None = env("APPLE_KEY_ID", None, "Apple key id")
    apple_private_key_path: str | None = env("APPLE_PRIVATE_KEY_PATH", None, "Apple key file")
    openid_client_id: str | None = env("OPENID_CLIENT_ID", None, "OpenID client id")
    openid_client_secret: SecretStr | None = env("OPENID_CLIENT_SECRET", None, "OpenID secret")
    openid_use_pkce: bool = env("OPENID_USE_PKCE", False, "OpenID with PKCE, without a secret")
    openid_issuer: str | None = env("OPENID_ISSUER", None, "OpenID issuer")
    openid_session_secret: SecretStr | None = env(
        "OPENID_SESSION_SECRET", None, "Secret of the OpenID login session"
    )
    openid_button_label: str = env(
        "OPENID_BUTTON_LABEL", "Continue with OpenID", "Text of the OpenID button"
    )
    openid_image_url: str | None = env("OPENID_IMAGE_URL", None, "Image of the OpenID button")
    openid_auto_redirect: bool = env(
        "OPENID_AUTO_REDIRECT", False, "Send the login page to the OpenID provider at once"
    )
    openid_reuse_tokens: bool = env(
        "OPENID_REUSE_TOKENS", False, "Tell the client that OpenID tokens serve as access tokens"
    )
    saml_entry_point: str | None = env("SAML_ENTRY_POINT", None, "SAML sign-in address")
    saml_issuer: str | None = env("SAML_ISSUER", None, "SAML issuer")
    saml_cert: str | None = env("SAML_CERT", None, "SAML certificate")
    saml_session_secret: SecretStr | None = env(
        "SAML_SESSION_SECRET", None, "Secret of the SAML login session"
    )
    saml_button_label: str | None = env("SAML_BUTTON_LABEL", None, "Text of the SAML button")
    saml_image_url: str | None = env("SAML_IMAGE_URL", None, "Image of the SAML button")
    ldap_url: str | None = env("LDAP_URL", None, "LDAP server")
    ldap_user_search_base: str | None = env(
        "LDAP_USER_SEARCH_BASE", None, "LDAP search base; with LDAP_URL it replaces passwords"
    )
    ldap_login_uses_username: bool = env(
        "LDAP_LOGIN_USES_USERNAME", False, "The login form asks for a user name"
    )

    @property
    def openid_configured(self) -> bool:
        """Is OpenID sign-in complete?"""
        secret = self.openid_client_secret or self.openid_use_pkce
        return bool(
            self.openid_client_id and self.openid_issuer and self.openid_session_secret and secret
        )

    @property
    def saml_configured(self) -> bool:
        """Is SAML sign-in complete?"""
        return bool(
            self.saml_entry_point
            and self.saml_issuer
            and self.saml_cert
            and self.saml_session_secret
        )

    @property
    def ldap_configured(self) -> bool:
        """Do passwords belong to a directory?"""
        return bool(self.ldap_url and self.ldap_user_search_base)
