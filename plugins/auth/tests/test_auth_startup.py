"""Members of the client's startup configuration (contract user §2.1, §2.2)."""

from typing import Any

import pytest

from locutory import Database, Plugin, Principal, Provide, Services, hook
from locutory.settings import KernelConfig
from locutory_auth.config import AuthConfig
from locutory_auth.registration.policy import RegistrationPolicy
from locutory_auth.startup import SignInStartup
from locutory_configfile import environment_values
from locutory_contracts.sign_in import PASSWORD_CHECKS
from locutory_contracts.startup import STARTUP_CONFIG

NOTHING_CONFIGURED = {
    "serverDomain": "http://localhost:3080",
    "emailLoginEnabled": True,
    "registrationEnabled": False,
    "emailEnabled": False,
    "passwordResetEnabled": False,
    "turnstile": {},
}

LDAP = {"LDAP_URL": "ldap://127.0.0.1", "LDAP_USER_SEARCH_BASE": "dc=example"}


def entry(environment: dict[str, str]) -> SignInStartup:
    config = AuthConfig.model_validate(environment_values(AuthConfig, environment))
    kernel = KernelConfig.model_validate(environment_values(KernelConfig, environment))
    directory = config.ldap_configured
    policy = RegistrationPolicy(
        Database(), Services(), config.allow_registration, directory=directory
    )
    return SignInStartup(config, kernel, {}, policy)


class Directory(Plugin):
    """Checks passwords elsewhere."""

    name = "directory"
    summary = "Checks passwords elsewhere; for tests only"
    provides = (PASSWORD_CHECKS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(PASSWORD_CHECKS, self, "directory")]

    async def check(self, name: str, password: str) -> str:
        raise NotImplementedError


async def test_nothing_configured(serve: Any) -> None:
    async with serve("auth") as server:
        found = server.kernel.services.named(STARTUP_CONFIG, "auth")
        # Nobody has an account yet, so the first one may come.
        assert found.everyone() == {**NOTHING_CONFIGURED, "registrationEnabled": True}


@pytest.mark.parametrize(
    ("environment", "changes"),
    [
        (
            {
                "DOMAIN_SERVER": "https://chat.example",
                "ALLOW_EMAIL_LOGIN": "no",
                "ALLOW_REGISTRATION": "true",
                "ALLOW_PASSWORD_RESET": "true",
                "LOCUTORY_RESET_LINK_IN_ANSWER": "true",
                "MIN_PASSWORD_LENGTH": "12",
            },
            {
                "serverDomain": "https://chat.example",
                "emailLoginEnabled": False,
                "registrationEnabled": True,
                "passwordResetEnabled": True,
                "minPasswordLength": 12,
            },
        ),
        ({**LDAP, "ALLOW_REGISTRATION": "true"}, {}),
        # The client offers no reset of which nobody would get the link.
        ({"ALLOW_PASSWORD_RESET": "true"}, {}),
        (
            {"ALLOW_PASSWORD_RESET": "true", "EMAIL_HOST": "h", "EMAIL_FROM": "f@x.example"},
            {"passwordResetEnabled": True, "emailEnabled": True},
        ),
        ({"EMAIL_HOST": "h"}, {}),
        ({"EMAIL_HOST": "h", "EMAIL_FROM": "f@x.example"}, {"emailEnabled": True}),
        ({"EMAIL_SERVICE": "s", "EMAIL_FROM": "f@x.example"}, {"emailEnabled": True}),
        ({"MAILGUN_API_KEY": "k", "EMAIL_FROM": "f@x.example"}, {}),
        (
            {"MAILGUN_API_KEY": "k", "MAILGUN_DOMAIN": "d", "EMAIL_FROM": "f@x.example"},
            {"emailEnabled": True},
        ),
    ],
)  # fmt: skip
def test_what_the_environment_switches_on(
    environment: dict[str, str], changes: dict[str, Any]
) -> None:
    assert entry(environment).everyone() == {**NOTHING_CONFIGURED, **changes}


async def test_sections_of_the_file(serve: Any) -> None:
    yaml = {"turnstile": {"siteKey": "k", "options": {"size": "compact"}}}
    async with serve("auth", yaml=yaml) as server:
        found = server.kernel.services.named(STARTUP_CONFIG, "auth").everyone()
        assert found["turnstile"] == yaml["turnstile"]


def test_members_after_sign_in() -> None:
    user, admin = Principal("0" * 24), Principal("1" * 24, role="ADMIN")
    assert entry({}).signed_in(user) == {"allowAccountDeletion": True}
    closed = entry({"ALLOW_ACCOUNT_DELETION": "false"})
    assert closed.signed_in(user) == {"allowAccountDeletion": False}
    assert closed.signed_in(admin)["allowAccountDeletion"] is True


async def test_nobody_registers_beside_a_directory(people: Any) -> None:
    """They could not sign in, and would hold an address that the directory gives to another."""
    async with people(plugins=[Directory()]) as someone:
        found = someone.server.kernel.services.named(STARTUP_CONFIG, "auth").everyone()
        assert found["registrationEnabled"] is False
        assert (await someone.register("ann@example.com")).status_code == 403
        assert await someone.rows("users") == []


async def test_without_other_ways_to_sign_in_no_button_is_shown(serve: Any) -> None:
    """Their plugins are off, whatever is configured for them."""
    settings = {
        "ALLOW_SOCIAL_LOGIN": "true",
        "GOOGLE_CLIENT_ID": "c",
        "GOOGLE_CLIENT_SECRET": "s",
        "OPENID_AUTO_REDIRECT": "true",
    }
    async with serve("auth", "webclient", environment=settings) as server:
        config = (await server.client.get("/api/config")).json()
        shown = [name for name, value in config.items() if "Login" in name and value is True]
        assert shown == ["emailLoginEnabled"]
        assert config["openidAutoRedirect"] is False
        assert config["socialLogins"] == []
        assert config["ldap"] == {"enabled": False}


class TestAdvice:
    """Checks of the deployment."""

    async def advice(
        self, serve: Any, environment: dict[str, str], yaml: dict[str, Any] | None = None
    ) -> list[str]:
        async with serve("auth", environment=environment, yaml=yaml or {}) as server:
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
            (
                {"ALLOW_PASSWORD_RESET": "true", "LOCUTORY_RESET_LINK_IN_ANSWER": "true"},
                "LOCUTORY_RESET_LINK_IN_ANSWER=false",
            ),
            ({"ALLOW_PASSWORD_RESET": "true"}, "reset-password --link"),
            ({"EMAIL_SERVICE": "gmial", "EMAIL_FROM": "f@example.com"}, "do you mean gmail"),
            ({"EMAIL_ENCRYPTION": "SSL"}, "'ssl' is not known"),
            ({"LOCUTORY_MAIL_TEMPLATES": "/nowhere"}, "does not exist"),
            ({"TURNSTILE_SECRET_KEY": "k"}, "turnstile.siteKey"),
        ],
    )
    async def test_names_what_to_change(
        self, serve: Any, environment: dict[str, str], word: str
    ) -> None:
        found = await self.advice(serve, environment)
        # The mail servers of these cases do not exist.
        (text,) = [each for each in found if not each.startswith("mails cannot be sent")]
        assert word in text

    @pytest.mark.parametrize("entry", ["@example.com", "*.example.com", "a@b.com", "com", ".b.com"])
    async def test_names_domains_that_match_nothing(self, serve: Any, entry: str) -> None:
        yaml = {"registration": {"allowedDomains": ["example.org", entry, " Example.NET "]}}
        (text,) = await self.advice(serve, {}, yaml)
        assert text.startswith(f"registration.allowedDomains: '{entry}' matches no address")


async def test_accounts_without_an_address_are_named(people: Any) -> None:
    async with people() as someone:

        async def advice() -> str:
            checks = [check for _, check in someone.server.kernel.contributions.checks]
            return " ".join([text for check in checks if (text := await check.run())])

        await someone.add("ann@example.com")
        assert "e-mail address" not in await advice()
        for email in ("", "dwho", "a@x.org_b@x.org"):
            await someone.add(email, provider="openid")
        text = await advice()
        for email in ("", "dwho", "a@x.org_b@x.org"):
            assert f"{(await someone.account(email))['_id']} (openid)" in text
        assert str((await someone.account("ann@example.com"))["_id"]) not in text
        assert "OPENID_EMAIL_CLAIM" in text
