"""Signing in with SimpleSAMLphp (contract oauth §6)."""

from collections.abc import Callable
from typing import Any

import pytest

from locutory_testing import Serve
from tests.identity.browser import OURS
from tests.identity.house import FAILED, open_house

pytestmark = pytest.mark.slow

PEOPLE = {
    "anna": {"uid": ["anna"], "mail": ["anna@x.example"], "displayName": ["Anna A."]},
    "multi": {
        "uid": ["multi"],
        "mail": ["multi@x.example", "multi.alias@x.example"],
        "givenName": ["Mul", "Ti"],
        "sn": ["Plex"],
        "cn": ["not this one"],
    },
    "nobody": {"uid": ["nobody"]},
    "noone": {"uid": ["noone"], "mail": ["noone"]},
}
NAMES = {"SAML_GIVEN_NAME_CLAIM": "givenName", "SAML_FAMILY_NAME_CLAIM": "sn"}
BY_ADDRESS = {
    "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "simplesaml.nameidattribute": "mail",
}
BY_NAME = {
    "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
    "simplesaml.nameidattribute": "uid",
}

Provider = Callable[..., Any]


async def test_stock_configuration(serve: Serve, simplesaml: Provider) -> None:
    """Its name ids are transient: new ones at each sign-in."""
    provider = simplesaml(PEOPLE)
    async with open_house(serve, provider.settings()) as house:
        for _ in range(3):
            end = await house.arrive("saml", username="anna", password=provider.password)
            assert end == OURS
        account = await house.only()
        assert (account["email"], account["username"]) == ("anna@x.example", "anna")
        assert account["name"] == "Anna A."
        assert "samlId" not in account
        assert await house.is_in((await house.refresh())["token"])


async def test_several_values(serve: Serve, simplesaml: Provider) -> None:
    provider = simplesaml(PEOPLE)
    async with open_house(serve, provider.settings(**NAMES)) as house:
        for _ in range(2):
            end = await house.arrive("saml", username="multi", password=provider.password)
            assert end == OURS
        account = await house.only()
        assert (account["email"], account["name"]) == ("multi@x.example", "Mul Plex")


async def test_nobody_gets_in_without_an_address(serve: Serve, simplesaml: Provider) -> None:
    provider = simplesaml(PEOPLE)
    async with open_house(serve, provider.settings()) as house:
        for person in ("nobody", "noone"):
            end = await house.arrive("saml", username=person, password=provider.password)
            assert end == FAILED
        assert await house.accounts() == []


@pytest.mark.parametrize(
    ("metadata", "name_id"), [(BY_ADDRESS, "anna@x.example"), (BY_NAME, "anna")]
)
async def test_names_that_last(
    serve: Serve, simplesaml: Provider, metadata: dict[str, str], name_id: str
) -> None:
    provider = simplesaml(PEOPLE, **metadata)
    async with open_house(serve, provider.settings()) as house:
        for _ in range(2):
            end = await house.arrive("saml", username="anna", password=provider.password)
            assert end == OURS
        assert (await house.only())["samlId"] == name_id
        assert await house.arrive("saml", username="multi", password=provider.password) == OURS
        assert len({account["samlId"] for account in await house.accounts()}) == 2
