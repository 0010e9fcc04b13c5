"""Claims that hold several values, other ones, or none (contract oauth §5.2)."""

from typing import Any

import pytest

from locutory_oauth.config import OpenIdSettings
from locutory_oauth.openid.claims import identity_of
from locutory_oauth.openid.roles import names_in
from locutory_oauth.values import first_address

FAILED = "http://localhost:3080/login?redirect=false&error=auth_failed"


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["a@x.org"], "a@x.org"),
        ([" A.B+c@X.org "], "A.B+c@X.org"),
        ([["multi@x.org", "alias@x.org"]], "multi@x.org"),
        ([["", None, 7, "dwho", "a@x.org"]], "a@x.org"),
        ([None, "", "dwho", ("b@x.org",)], "b@x.org"),
        (["dwho", {"email": "a@x.org"}, 7, True, [["a@x.org"]]], ""),
        (["a@localhost", "a@x..org", "a@.org", "@x.org", "a b@x.org", "a@b@x.org"], ""),
        (["Ada <a@x.org>", "a@x.org, b@x.org", "a@x.org;b@x.org", "a@x.org\0"], ""),
        (["a@x\u200b.org", "a@x.org\u202e"], ""),
        (["grün@bücher.example"], "grün@bücher.example"),
        (["x" * 300 + "@x.org", "x" * 490 + "@good.example.evil.example"], ""),
    ],
)
def test_first_address(values: list[Any], address: str) -> None:
    assert first_address(*values) == address


@pytest.mark.parametrize(
    ("settings", "claims", "email", "username", "name"),
    [
        ({}, {"email": "a@x.org", "name": "Doctor Who"}, "a@x.org", "a@x.org", "Doctor Who"),
        (
            {},
            {"email": "a@x.org", "preferred_username": "anne", "name": "Änne Größe"},
            "a@x.org",
            "anne",
            "Änne Größe",
        ),
        (
            {},
            {"email": "a@x.org", "given_name": ["Mul", "Ti"], "family_name": "Plex", "name": "no"},
            "a@x.org",
            "a@x.org",
            "Mul Plex",
        ),
        ({}, {"email": "a@x.org", "family_name": "Plex", "name": ""}, "a@x.org", "a@x.org", "Plex"),
        (
            {},
            {"email": ["a@x.org", "b@x.org"], "preferred_username": ["a", "", None, "b"]},
            "a@x.org",
            "a_b",
            "a@x.org",
        ),
        ({}, {"preferred_username": "dwho", "upn": "d@x.org"}, "d@x.org", "dwho", ""),
        ({}, {"preferred_username": "dwho"}, "", "dwho", ""),
        ({}, {"preferred_username": 4711, "email": "a@x.org"}, "a@x.org", "4711", "a@x.org"),
        (
            {"openid_email_claim": "emails", "openid_name_claim": "shown"},
            {"emails": ["first@x.org"], "email": "a@x.org", "shown": ["One", "Two"]},
            "first@x.org",
            "a@x.org",
            "One",
        ),
        (
            {"openid_email_claim": "contact.mail[1]", "openid_username_claim": "contact.nick"},
            {"contact": {"mail": ["no", "a@x.org"], "nick": "ann"}, "preferred_username": "x"},
            "a@x.org",
            "ann",
            "",
        ),
        (
            {"openid_email_claim": "https://x.org/mail", "openid_username_claim": "absent"},
            {"https://x.org/mail": "a@x.org", "email": "b@x.org", "username": "bea"},
            "a@x.org",
            "bea",
            "bea",
        ),
        (
            {"openid_email_claim": "mail", "openid_name_claim": "absent"},
            {"mail": {"a": 1}, "email": "a@x.org", "given_name": "Ann"},
            "a@x.org",
            "a@x.org",
            "Ann",
        ),
    ],
)
def test_fields(
    settings: dict[str, str], claims: dict[str, Any], email: str, username: str, name: str
) -> None:
    found = identity_of(OpenIdSettings(**settings), {"sub": "1", **claims}, "https://id.example")
    fields = {"username": username, "name": name}
    assert found.email == email
    assert dict(found.fields) == {key: value for key, value in fields.items() if value}


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email": "a@x.org", "email_verified": True}, True),
        ({"email": ["a@x.org", "b@x.org"], "email_verified": "true"}, True),
        ({"email": "a@x.org"}, False),
        ({"email": "", "preferred_username": "a@x.org", "email_verified": True}, False),
        ({"email": "dwho", "upn": "a@x.org", "email_verified": True}, False),
        ({"email": "dwho", "email_verified": True}, False),
    ],
)
def test_only_the_address_of_the_standard_is_verified(
    claims: dict[str, Any], verified: bool
) -> None:
    found = identity_of(OpenIdSettings(), {"sub": "1", **claims}, "https://id.example")
    assert found.email_verified is verified


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("Chat Users", {"Chat Users", "Chat", "Users"}),
        ("Chat Users, Staff", {"Chat Users, Staff", "Chat Users", "Chat", "Users", "Staff"}),
        (["Chat Users", 7, "", None, True, {"a": 1}], {"Chat Users", "7"}),
        (" staff ", {"staff"}),
        ("", set()),
        ({"staff": 1}, set()),
        (7, set()),
    ],
)
def test_roles_with_spaces(value: Any, names: set[str]) -> None:
    assert names_in(value) - {"Users,"} == names


@pytest.mark.parametrize(
    ("team", "allowed"),
    [
        ("Chat Users", True),
        (["Chat Users", "Others"], True),
        ("Others,Chat Users", True),
        ("Chat", False),
        ("No Chat Users", False),
        (["Chat", "Users"], False),
    ],
)
async def test_required_role_with_a_space(site: Any, issuer: Any, team: Any, allowed: bool) -> None:
    settings = issuer.settings(
        OPENID_REQUIRED_ROLE="Chat Users",
        OPENID_REQUIRED_ROLE_PARAMETER_PATH="team",
        OPENID_REQUIRED_ROLE_TOKEN_KIND="id",
        OPENID_ROLE_SYNC_ENABLED="true",
        OPENID_ROLE_SYNC_CLAIM="team",
        OPENID_ROLE_SYNC_ROLE_PRIORITY="CHAT USERS",
    )
    async with site(settings) as found:
        back = await found.come_back(issuer.agree(await found.start("openid"), "ada", team=team))
        assert (back.headers["location"] != FAILED) is allowed
        if allowed:
            assert (await found.people.only())["role"] == "CHAT USERS"


async def test_nobody_gets_in_without_an_address(site: Any, issuer: Any, logged: Any) -> None:
    """Neither the first one nor the others, and the log says what to do."""
    async with site(issuer.settings()) as found:
        for subject, claims in (("1", {}), ("2", {"preferred_username": "dwho"})):
            location = issuer.agree(await found.start("openid"), subject, email=None, **claims)
            assert (await found.come_back(location)).headers["location"] == FAILED
        assert await found.people.count() == 0
    assert set(logged.codes()) == {"no_address"}
    assert "set OPENID_EMAIL_CLAIM" in logged.text()
    assert "preferred_username" in logged.text()
    assert "dwho" not in logged.text()
