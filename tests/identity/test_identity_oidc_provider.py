"""Signing in with npm's oidc-provider, a certified OpenID provider (contract oauth §5)."""

from collections.abc import Callable
from typing import Any

import pytest

from locutory_testing import Serve
from tests.identity.browser import OURS
from tests.identity.house import FAILED, open_house

pytestmark = pytest.mark.slow

PEOPLE = {
    "doctor": {"email": "doctor@x.example", "email_verified": True, "name": "Doctor Who"},
    "multi": {
        "email": "multi@x.example",
        "given_name": "Mul",
        "family_name": "Ti",
        "team": "Chat Users",
    },
    "nobody": {},
    "dwho": {"preferred_username": "dwho"},
}
SECRET = "q7+ZrAbcdefghijklmnopqrstuvwx %20:e/f&g=h"
RENEWED = {"OPENID_REUSE_TOKENS": "true", "OPENID_REUSE_MAX_SESSION_AGE_MS": "0"}


def client(name: str = "locutory", **more: Any) -> dict[str, Any]:
    return {
        "client_id": name,
        "client_secret": SECRET,
        "redirect_uris": [f"{OURS}/oauth/openid/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        **more,
    }


BASIC = client("by basic", token_endpoint_auth_method="client_secret_basic")
POST = client("by post", token_endpoint_auth_method="client_secret_post")

Provider = Callable[..., Any]


@pytest.mark.parametrize("ours", [BASIC, POST], ids=["basic", "post"])
async def test_sign_in(serve: Serve, oidc_provider: Provider, ours: dict[str, Any]) -> None:
    """With the method that the client is registered for, though the provider announces more."""
    provider = oidc_provider(PEOPLE, ours)
    async with open_house(serve, provider.settings(ours)) as house:
        for _ in range(2):
            assert await house.arrive("openid", login="doctor") == OURS
        account = await house.only()
        assert (account["email"], account["name"]) == ("doctor@x.example", "Doctor Who")
        assert account["emailVerified"] is True
        assert await house.arrive("openid", login="multi") == OURS
        assert {each["name"] for each in await house.accounts()} == {"Doctor Who", "Mul Ti"}
        assert await house.is_in((await house.refresh())["token"])


async def test_nobody_gets_in_without_an_address(serve: Serve, oidc_provider: Provider) -> None:
    provider = oidc_provider(PEOPLE, BASIC)
    async with open_house(serve, provider.settings(BASIC)) as house:
        for person in ("nobody", "dwho"):
            assert await house.arrive("openid", login=person) == FAILED
        assert await house.accounts() == []


async def test_signed_user_info(serve: Serve, oidc_provider: Provider) -> None:
    ours = client(userinfo_signed_response_alg="RS256")
    provider = oidc_provider(PEOPLE, ours)
    async with open_house(serve, provider.settings(ours)) as house:
        assert await house.arrive("openid", login="doctor") == OURS
        assert (await house.only())["email"] == "doctor@x.example"


async def test_offline_access_is_granted_and_renewed(serve: Serve, oidc_provider: Provider) -> None:
    provider = oidc_provider(PEOPLE, BASIC)
    settings = provider.settings(BASIC, **RENEWED, OPENID_SCOPE="openid email offline_access")
    async with open_house(serve, settings) as house:
        assert await house.arrive("openid", login="doctor") == OURS
        assert house.server.client.cookies["token_provider"] == "openid"
        for _ in range(3):
            before = house.server.client.cookies["refreshToken"]
            assert await house.is_in((await house.refresh())["token"])
            assert house.server.client.cookies["refreshToken"] != before


async def test_renewal_where_less_was_granted(serve: Serve, oidc_provider: Provider) -> None:
    ours = client(always_refresh=True)
    provider = oidc_provider(PEOPLE, ours)
    scope = "openid profile email groups_unknown"
    async with open_house(serve, provider.settings(ours, **RENEWED, OPENID_SCOPE=scope)) as house:
        assert await house.arrive("openid", login="doctor") == OURS
        for _ in range(2):
            assert await house.is_in((await house.refresh())["token"])


async def test_required_role_with_a_space(serve: Serve, oidc_provider: Provider) -> None:
    provider = oidc_provider(PEOPLE, BASIC)
    settings = provider.settings(
        BASIC,
        OPENID_REQUIRED_ROLE="Chat Users",
        OPENID_REQUIRED_ROLE_PARAMETER_PATH="team",
        OPENID_REQUIRED_ROLE_TOKEN_KIND="userinfo",
    )
    async with open_house(serve, settings) as house:
        assert await house.arrive("openid", login="multi") == OURS
        assert await house.arrive("openid", login="doctor") == FAILED
