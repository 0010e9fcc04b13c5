"""Sign-in with a real Active Directory: Samba as a domain controller."""

from typing import Any

import pytest

from locutory_testing import Serve

pytestmark = pytest.mark.slow

INVALID = (404, "Invalid username/password")
DOWN = (500, "An unknown error occurred.")


async def test_ways_to_reach_it(site: Any, samba: Any, password: str, base: str) -> None:
    """StartTLS, LDAPS and the global catalog; names of the account that searches; with a
    certificate of an authority without key identifiers."""
    authority = str(samba.authority)
    for changes in (
        {},
        {"LDAP_URL": f"ldaps://{samba.address}", "LDAP_STARTTLS": ""},
        {"LDAP_URL": f"ldaps://{samba.address}:3269", "LDAP_STARTTLS": ""},
        {"LDAP_BIND_DN": "searcher@samba.test"},
        {"LDAP_BIND_DN": "SAMBA\\searcher", "LDAP_USER_SEARCH_BASE": base},
        {"LDAP_CA_CERT_PATH": "", "NODE_EXTRA_CA_CERTS": authority},
        {"LDAP_URL": f"ldap://127.0.0.1:9 {samba.url}"},
    ):
        async with site(samba.settings(**changes)) as found:
            status, subject = await found.login("anna", password)
            assert status == 200, changes
            assert len(subject) == 32
            assert await found.login("ANNA", password) == (200, subject)
            assert await found.login("anna", "wrong") == INVALID
            (identity, _) = found.people.identities
            assert identity.email == "anna@example.com"
            assert identity.fields == {"username": "Änne", "name": "Änne Größe"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("disabled", "the account is disabled (data 533)"),
        ("expired", "the account has expired (data 701)"),
        ("mustchange", "the password must be changed first (data 773)"),
        ("peter1", "other conditions of LDAP_SEARCH_FILTER"),
        ("nobody", "nobody below LDAP_USER_SEARCH_BASE"),
    ],
)
async def test_reasons(
    site: Any, samba: Any, password: str, base: str, capsys: Any, name: str, reason: str
) -> None:
    group = f"(memberOf=cn=chatters,cn=users,{base})" if name == "peter1" else ""
    filter_ = f"(&(objectClass=user)(sAMAccountName={{{{username}}}}){group})"
    async with site(samba.settings(LDAP_SEARCH_FILTER=filter_)) as found:
        capsys.readouterr()
        assert await found.login(name, password) == INVALID
        told = capsys.readouterr().out
        assert reason in told
        assert password not in told
        assert await found.login("anna", password) != INVALID or not group


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"LDAP_BIND_DN": "", "LDAP_BIND_CREDENTIALS": ""}, "set LDAP_BIND_DN"),
        ({"LDAP_BIND_CREDENTIALS": "wrong"}, "is refused: password (data 52e)"),
        ({"LDAP_USER_SEARCH_BASE": "ou=nowhere,dc=samba,dc=test"}, "LDAP_USER_SEARCH_BASE"),
        ({"LDAP_CA_CERT_PATH": ""}, "certificate is not trusted"),
    ],
)
async def test_what_the_start_says(
    site: Any, samba: Any, password: str, capsys: Any, changes: dict[str, str], told: str
) -> None:
    """Anonymous binds succeed here, and only searching fails."""
    async with site(samba.settings(**changes)) as found:
        assert told in capsys.readouterr().out
        assert await found.login("anna", password) == DOWN


async def test_people_of_one_first_name_without_addresses(
    serve: Serve, samba: Any, password: str
) -> None:
    async with serve("auth", "ldap", environment=samba.settings()) as server:
        for name in ("peter1", "peter2", "peter1", "PETER2"):
            body = {"email": name, "password": password}
            answer = await server.client.post("/api/auth/login", json=body)
            assert answer.status_code == 200
            assert answer.json()["user"]["email"] == f"{name.lower()}@samba.test"
