"""Sign-in with a real directory (contract oauth §7)."""

from typing import Any

import pytest

from locutory import StartupError

INVALID = (404, "Invalid username/password")
MISSING = (404, "Missing credentials")


async def test_name_and_password(site: Any, slapd: Any) -> None:
    async with site(slapd.settings()) as found:
        assert await found.login("ada", "ada-password") == (200, "ada")
        (identity,) = found.people.identities
        assert identity.provider == "ldap"
        assert identity.key == "ldapId"
        assert identity.subject == "ada"
        assert identity.email == "ada@example.com"
        assert identity.email_verified
        assert identity.issuer is None
        assert identity.fields == {"username": "Ada", "name": "Ada Lovelace"}


async def test_wrong_password_and_unknown_name(site: Any, slapd: Any) -> None:
    async with site(slapd.settings()) as found:
        for name, password in (
            ("ada", "wrong"),
            ("ada", "bob-password"),
            ("nobody", "ada-password"),
            ("ADA@", "ada-password"),
            ("x" * 257, "ada-password"),
            ("ada", "x" * 1025),
        ):
            assert await found.login(name, password) == INVALID
        assert found.people.identities == []


async def test_default_filter_is_the_address(site: Any, slapd: Any) -> None:
    settings = slapd.settings()
    del settings["LDAP_SEARCH_FILTER"]
    async with site(settings) as found:
        assert await found.login(" ada@example.com ", "ada-password") == (200, "ada")
        assert await found.login("ada", "ada-password") == INVALID


async def test_name_of_several_people(site: Any, slapd: Any) -> None:
    """Who is meant is not a matter of chance."""
    async with site(slapd.settings(LDAP_SEARCH_FILTER="(mail={{username}})")) as found:
        assert await found.login("twin@example.com", "bob-password") == INVALID


async def test_anonymous_search(site: Any, slapd: Any) -> None:
    settings = slapd.settings(LDAP_BIND_DN="", LDAP_BIND_CREDENTIALS="")
    async with site(settings) as found:
        assert await found.login("ada", "ada-password") == (200, "ada")


async def test_chosen_attributes(site: Any, slapd: Any) -> None:
    settings = slapd.settings(
        LDAP_ID="employeeNumber",
        LDAP_USERNAME="sn",
        LDAP_EMAIL="absent",
        LDAP_FULL_NAME="givenName, sn, absent",
    )
    async with site(settings) as found:
        assert await found.login("ada", "ada-password") == (200, "1815")
        (identity,) = found.people.identities
        assert identity.email == "ada@example.com"
        assert identity.fields == {"username": "Lovelace", "name": "Ada Lovelace"}


async def test_person_without_an_address(site: Any, slapd: Any) -> None:
    settings = slapd.settings(LDAP_SEARCH_FILTER="cn={{username}}")
    async with site(settings) as found:
        assert await found.login("Nameless", "nameless-password") == (404, "auth_failed")
    async with site({**settings, "LDAP_ID": "employeeNumber"}) as found:
        assert await found.login("Nameless", "nameless-password") == (200, "7")
        assert found.people.identities[0].email == "7@ldap.local"


@pytest.mark.parametrize("scheme", ["starttls", "ldaps"])
async def test_encryption(site: Any, slapd: Any, scheme: str) -> None:
    address = slapd.secure_url if scheme == "ldaps" else slapd.url
    flag = "false" if scheme == "ldaps" else "true"
    authority = str(slapd.folder / "ca.crt")
    settings = slapd.settings(LDAP_URL=address, LDAP_STARTTLS=flag)
    checked = {"LDAP_CA_CERT_PATH": authority, "LDAP_TLS_REJECT_UNAUTHORIZED": "true"}
    async with site({**settings, **checked}) as found:
        assert await found.login("ada", "ada-password") == (200, "ada")
    # The system's authorities do not know this certificate.
    async with site(settings) as found:
        assert (await found.login("ada", "ada-password"))[0] == 500
    # A certificate for another name.
    elsewhere = {**settings, **checked, "LDAP_URL": address.replace("127.0.0.1", "localhost")}
    async with site(elsewhere) as found:
        assert (await found.login("ada", "ada-password"))[0] == 500
    # LibreChat's default: any certificate, once an authority is named.
    unchecked = {**elsewhere, "LDAP_TLS_REJECT_UNAUTHORIZED": ""}
    async with site(unchecked) as found:
        assert await found.login("ada", "ada-password") == (200, "ada")


@pytest.mark.parametrize(
    "broken",
    [
        {"LDAP_URL": "ldap://127.0.0.1:9"},
        {"LDAP_URL": "ldaps://127.0.0.1:9"},
        {"LDAP_BIND_CREDENTIALS": "wrong"},
        {"LDAP_BIND_DN": "cn=nobody"},
        {"LDAP_SEARCH_FILTER": "((({{username}}"},
    ],
)
async def test_directory_that_does_not_answer(
    site: Any, slapd: Any, broken: dict[str, str]
) -> None:
    """A fault of the deployment is not the fault of who signs in."""
    async with site(slapd.settings(**broken)) as found:
        assert (await found.server.client.get("/readyz")).status_code == 200
        answer = await found.login("ada", "ada-password")
        assert answer == (500, "An unknown error occurred.")


@pytest.mark.parametrize(
    "wrong",
    [
        {"LDAP_URL": "http://directory"},
        {"LDAP_SEARCH_FILTER": "uid=ada"},
        {"LDAP_CA_CERT_PATH": "/missing.pem", "LDAP_STARTTLS": "true"},
    ],
)
async def test_settings_that_cannot_work(site: Any, wrong: dict[str, str]) -> None:
    settings = {"LDAP_URL": "ldap://127.0.0.1", "LDAP_USER_SEARCH_BASE": "dc=x", **wrong}
    with pytest.raises(StartupError, match=next(iter(wrong))):
        async with site(settings):
            pass


# Attacks


@pytest.mark.parametrize("password", ["", " ", "\t\n", "\0", "\0\0", "ada-password\0"])
async def test_empty_password_is_no_password(site: Any, slapd: Any, password: str) -> None:
    """This directory lets a bind without password succeed."""
    async with site(slapd.settings()) as found:
        assert await found.login("ada", password) == MISSING
        assert found.people.identities == []


@pytest.mark.parametrize("name", ["", "  ", "\0", "ada\0"])
async def test_empty_name(site: Any, slapd: Any, name: str) -> None:
    async with site(slapd.settings()) as found:
        assert await found.login(name, "ada-password") == MISSING


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "a*",
        "ada)(uid=*",
        "*)(|(uid=*",
        "ada)(&)",
        "ada\\2a",
        "\\61da",
        "nobody)(|(uid=ada)",
        "*)(uid=ada))(|(uid=*",
    ],
)
async def test_filter_injection(site: Any, slapd: Any, name: str) -> None:
    async with site(slapd.settings()) as found:
        assert await found.login(name, "ada-password") == INVALID
        assert found.people.identities == []


async def test_special_characters_are_data(site: Any, slapd: Any) -> None:
    settings = slapd.settings(LDAP_SEARCH_FILTER="(&(employeeNumber={{username}})(sn=Star))")
    async with site(settings) as found:
        assert await found.login("*)(uid=*", "star-password") == (200, "star")
        assert await found.login("*", "star-password") == INVALID


async def test_passwords_are_not_logged(
    site: Any, slapd: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with site(slapd.settings()) as found:
        await found.login("ada", "ada-password")
        await found.login("ada", "wrong-password")
    text = capsys.readouterr().out
    assert "ldap.refused" in text
    assert "-password" not in text
    assert "secret-of-the-searcher" not in text
