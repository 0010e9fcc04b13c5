"""Members of the client's startup configuration (contract user §2.1, §2.2)."""

from typing import Any

import pytest

from locutory import Database, Principal
from locutory.settings import KernelConfig, environment_values
from locutory_auth.config import Config
from locutory_auth.registration.door import Door
from locutory_auth.startup import SignInStartup
from locutory_contracts.startup import STARTUP_CONFIG

SOCIAL = ["google", "facebook", "openid", "github", "discord", "saml"]
NOTHING_CONFIGURED = {
    "discordLoginEnabled": False,
    "facebookLoginEnabled": False,
    "githubLoginEnabled": False,
    "googleLoginEnabled": False,
    "appleLoginEnabled": False,
    "openidLoginEnabled": False,
    "openidLabel": "Continue with OpenID",
    "openidAutoRedirect": False,
    "samlLoginEnabled": False,
    "serverDomain": "http://localhost:3080",
    "emailLoginEnabled": True,
    "registrationEnabled": False,
    "socialLoginEnabled": False,
    "emailEnabled": False,
    "passwordResetEnabled": False,
    "ldap": {"enabled": False},
    "socialLogins": SOCIAL,
    "turnstile": {},
}

OPENID = {"OPENID_CLIENT_ID": "c", "OPENID_ISSUER": "i", "OPENID_SESSION_SECRET": "s"}
SAML = {"SAML_ENTRY_POINT": "e", "SAML_ISSUER": "i", "SAML_CERT": "c", "SAML_SESSION_SECRET": "s"}
APPLE = {"APPLE_CLIENT_ID": "c", "APPLE_TEAM_ID": "t", "APPLE_KEY_ID": "k"}
LDAP = {"LDAP_URL": "ldap://127.0.0.1", "LDAP_USER_SEARCH_BASE": "dc=example"}


def entry(environment: dict[str, str]) -> SignInStartup:
    config = Config.model_validate(environment_values(Config, environment))
    kernel = KernelConfig.model_validate(environment_values(KernelConfig, environment))
    return SignInStartup(config, kernel, {}, {}, Door(Database(), config.allow_registration))


async def test_nothing_configured(serve: Any) -> None:
    async with serve("auth") as server:
        found = server.kernel.services.named(STARTUP_CONFIG, "auth")
        # Nobody has an account yet, so the first one may come.
        assert found.everyone() == {**NOTHING_CONFIGURED, "registrationEnabled": True}


@pytest.mark.parametrize(
    ("environment", "changes"),
    [
        ({"GOOGLE_CLIENT_ID": "c"}, {}),
        ({"GOOGLE_CLIENT_ID": "c", "GOOGLE_CLIENT_SECRET": "s"}, {"googleLoginEnabled": True}),
        ({"FACEBOOK_CLIENT_ID": "c", "FACEBOOK_CLIENT_SECRET": "s"}, {"facebookLoginEnabled": True}),
        ({"GITHUB_CLIENT_ID": "c", "GITHUB_CLIENT_SECRET": "s"}, {"githubLoginEnabled": True}),
        ({"DISCORD_CLIENT_ID": "c", "DISCORD_CLIENT_SECRET": "s"}, {"discordLoginEnabled": True}),
        (APPLE, {}),
        ({**APPLE, "APPLE_PRIVATE_KEY_PATH": "p"}, {"appleLoginEnabled": True}),
        (OPENID, {}),
        ({**OPENID, "OPENID_USE_PKCE": "true"}, {"openidLoginEnabled": True}),
        (
            {
                **OPENID,
                **SAML,
                "OPENID_CLIENT_SECRET": "s",
                "OPENID_BUTTON_LABEL": "Go",
                "OPENID_IMAGE_URL": "u",
                "OPENID_AUTO_REDIRECT": "TRUE",
            },
            {
                "openidLoginEnabled": True,
                "openidLabel": "Go",
                "openidImageUrl": "u",
                "openidAutoRedirect": True,
            },
        ),
        (
            {**SAML, "SAML_BUTTON_LABEL": "Go", "SAML_IMAGE_URL": "u"},
            {"samlLoginEnabled": True, "samlLabel": "Go", "samlImageUrl": "u"},
        ),
        (
            {
                "DOMAIN_SERVER": "https://chat.example",
                "ALLOW_EMAIL_LOGIN": "no",
                "ALLOW_REGISTRATION": "true",
                "ALLOW_SOCIAL_LOGIN": "true",
                "ALLOW_PASSWORD_RESET": "true",
                "MIN_PASSWORD_LENGTH": "12",
            },
            {
                "serverDomain": "https://chat.example",
                "emailLoginEnabled": False,
                "registrationEnabled": True,
                "socialLoginEnabled": True,
                "passwordResetEnabled": True,
                "minPasswordLength": 12,
            },
        ),
        ({**LDAP, "ALLOW_REGISTRATION": "true"}, {"ldap": {"enabled": True}}),
        (
            {**LDAP, "LDAP_LOGIN_USES_USERNAME": "true"},
            {"ldap": {"enabled": True, "username": True}},
        ),
        ({"EMAIL_HOST": "h"}, {}),
        ({"EMAIL_HOST": "h", "EMAIL_FROM": "f"}, {"emailEnabled": True}),
        ({"EMAIL_SERVICE": "s", "EMAIL_FROM": "f"}, {"emailEnabled": True}),
        ({"MAILGUN_API_KEY": "k", "EMAIL_FROM": "f"}, {}),
        (
            {"MAILGUN_API_KEY": "k", "MAILGUN_DOMAIN": "d", "EMAIL_FROM": "f"},
            {"emailEnabled": True},
        ),
    ],
)  # fmt: skip
def test_what_the_environment_switches_on(
    environment: dict[str, str], changes: dict[str, Any]
) -> None:
    assert entry(environment).everyone() == {**NOTHING_CONFIGURED, **changes}


async def test_sections_of_the_file(serve: Any) -> None:
    yaml = {
        "registration": {"socialLogins": ["github"]},
        "turnstile": {"siteKey": "k", "options": {"size": "compact"}},
    }
    async with serve("auth", yaml=yaml) as server:
        found = server.kernel.services.named(STARTUP_CONFIG, "auth").everyone()
        assert found["socialLogins"] == ["github"]
        assert found["turnstile"] == yaml["turnstile"]


def test_members_after_sign_in() -> None:
    user, admin = Principal("0" * 24), Principal("1" * 24, role="ADMIN")
    assert entry({}).signed_in(user) == {"openidReuseTokens": False, "allowAccountDeletion": True}
    closed = entry({"ALLOW_ACCOUNT_DELETION": "false", "OPENID_REUSE_TOKENS": "true"})
    assert closed.signed_in(user) == {"openidReuseTokens": True, "allowAccountDeletion": False}
    assert closed.signed_in(admin)["allowAccountDeletion"] is True


class TestAdvice:
    """Checks of the deployment."""

    async def advice(self, serve: Any, environment: dict[str, str]) -> list[str]:
        async with serve("auth", environment=environment) as server:
            checks = [check for _, check in server.kernel.contributions.checks]
            return [text for check in checks if (text := await check.run())]

    async def test_none_for_a_good_one(self, serve: Any) -> None:
        assert await self.advice(serve, {}) == []

    @pytest.mark.parametrize(
        ("environment", "word"),
        [
            ({"JWT_SECRET": "short"}, "JWT_SECRET should have at least 32"),
            ({"JWT_SECRET": "x" * 40, "JWT_REFRESH_SECRET": "x" * 40}, "should differ"),
            (LDAP, "LDAP"),
            ({"ALLOW_PASSWORD_RESET": "true"}, "LOCUTORY_RESET_LINK_IN_ANSWER=false"),
            (
                {"ALLOW_PASSWORD_RESET": "true", "LOCUTORY_RESET_LINK_IN_ANSWER": "false"},
                "reset-password --link",
            ),
            ({"EMAIL_SERVICE": "gmial", "EMAIL_FROM": "f@example.com"}, "do you mean gmail"),
            ({"LOCUTORY_MAIL_TEMPLATES": "/nowhere"}, "does not exist"),
            ({"TURNSTILE_SECRET_KEY": "k"}, "turnstile.siteKey"),
        ],
    )
    async def test_names_what_to_change(
        self, serve: Any, environment: dict[str, str], word: str
    ) -> None:
        (text,) = await self.advice(serve, environment)
        assert word in text
