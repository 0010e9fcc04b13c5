"""Signing in with LemonLDAP::NG, by OpenID Connect and by SAML (contract oauth §5, §6)."""

from collections.abc import Callable
from typing import Any

import pytest

from locutory_testing import Serve
from tests.identity.browser import OURS
from tests.identity.house import FAILED, open_house

pytestmark = pytest.mark.slow

CLAIMS = {"email": "mail", "name": "cn", "preferred_username": "uid"}
RENEWED = {"OPENID_REUSE_TOKENS": "true", "OPENID_REUSE_MAX_SESSION_AGE_MS": "0"}

Provider = Callable[..., Any]


async def arrive(house: Any, way: str, person: str) -> str:
    return str(await house.arrive(way, user=person, password=person))


@pytest.mark.parametrize("options", [{}, {"UserInfoSignAlg": "RS256"}], ids=["plain", "signed"])
async def test_openid(serve: Serve, lemonldap: Provider, options: dict[str, str]) -> None:
    """With user info as it is, and signed."""
    provider = lemonldap(CLAIMS, **options)
    async with open_house(serve, provider.openid()) as house:
        for _ in range(2):
            assert await arrive(house, "openid", "dwho") == OURS
        account = await house.only()
        assert (account["email"], account["name"]) == ("dwho@badwolf.org", "Doctor Who")
        assert account["username"] == "dwho"
        assert await arrive(house, "openid", "rtyler") == OURS
        assert len(await house.accounts()) == 2


async def test_openid_without_an_address(serve: Serve, lemonldap: Provider) -> None:
    provider = lemonldap({"name": "cn", "preferred_username": "uid"})
    async with open_house(serve, provider.openid()) as house:
        for person in ("dwho", "rtyler"):
            assert await arrive(house, "openid", person) == FAILED
        assert await house.accounts() == []


async def test_openid_renewal(serve: Serve, lemonldap: Provider) -> None:
    provider = lemonldap(CLAIMS, AllowOffline=1, RefreshToken=1)
    settings = provider.openid(**RENEWED, OPENID_SCOPE="openid email profile offline_access")
    async with open_house(serve, settings) as house:
        assert await arrive(house, "openid", "dwho") == OURS
        assert house.server.client.cookies["token_provider"] == "openid"
        for _ in range(2):
            assert await house.is_in((await house.refresh())["token"])


async def test_saml(serve: Serve, lemonldap: Provider) -> None:
    provider = lemonldap(CLAIMS)
    settings = provider.saml(SAML_EMAIL_CLAIM="mail", SAML_USERNAME_CLAIM="uid")
    async with open_house(serve, settings) as house:
        for _ in range(2):
            assert await arrive(house, "saml", "dwho") == OURS
        account = await house.only()
        assert (account["email"], account["username"]) == ("dwho@badwolf.org", "dwho")
        assert account["name"] == "Doctor Who"
        assert await arrive(house, "saml", "rtyler") == OURS
        assert len(await house.accounts()) == 2


async def test_saml_without_an_address(serve: Serve, lemonldap: Provider) -> None:
    provider = lemonldap({"preferred_username": "uid"})
    async with open_house(serve, provider.saml(SAML_USERNAME_CLAIM="uid")) as house:
        assert await arrive(house, "saml", "dwho") == FAILED
        assert await house.accounts() == []
