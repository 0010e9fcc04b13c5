"""Why somebody cannot sign in is in the log; settings that cannot work are told at the start."""

import asyncio
import socket
from typing import Any

import pytest

from locutory_ldap.filters import without_conditions
from locutory_ldap.results import must_change, refused_bind

INVALID = (404, "Invalid username/password")
DOWN = (500, "An unknown error occurred.")
MEMBERS = "(&(uid={{username}})(memberOf=cn=chatters,dc=example,dc=com))"


def reasons(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().out.splitlines()
    return "\n".join(line for line in lines if "ldap." in line or "check.failed" in line)


@pytest.mark.parametrize(
    ("name", "password", "reason", "who"),
    [
        ("ada", "wrong", "reason=password", "uid=ada"),
        ("reset", "reset-password", "must be changed first", "uid=reset"),
        ("locked", "locked-password", "account is locked", "uid=locked"),
        ("nobody", "x", "nobody below LDAP_USER_SEARCH_BASE", ""),
        ("twin", "x", "several people", ""),
        ("bob", "bob-password", "a group?", "uid=bob"),
    ],
)
async def test_refusals(
    site: Any, slapd: Any, capsys: Any, name: str, password: str, reason: str, who: str
) -> None:
    if name in ("reset", "locked") and not slapd.is_openldap:
        pytest.skip("OpenLDAP's slapd, which looks at the state of accounts, is not installed")
    filters = {"twin": "(mail={{username}}@example.com)", "bob": MEMBERS}
    settings = slapd.settings(LDAP_SEARCH_FILTER=filters.get(name, "uid={{username}}"))
    async with site(settings) as found:
        capsys.readouterr()
        assert await found.login(name, password) == INVALID
        told = reasons(capsys)
    assert reason in told
    assert who in told
    assert password not in told.replace("reason=password", "").replace("the password", "")


async def test_members_of_a_group_get_in(site: Any, slapd: Any) -> None:
    async with site(slapd.settings(LDAP_SEARCH_FILTER=MEMBERS)) as found:
        assert await found.login("ada", "ada-password") == (200, "ada")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"LDAP_USER_SEARCH_BASE": "ou=nowhere,dc=example,dc=com"}, "LDAP_USER_SEARCH_BASE is not there"),
        ({"LDAP_USER_SEARCH_BASE": "dc=else,dc=where"}, "LDAP_USER_SEARCH_BASE is not there"),
        ({"LDAP_USER_SEARCH_BASE": "no name"}, "the search is refused: "),
        ({"LDAP_BIND_CREDENTIALS": "wrong"}, "LDAP_BIND_DN, the account that searches, is refused: password"),
        ({"LDAP_SEARCH_FILTER": "(((uid={{username}}"}, "LDAPInvalidFilterError"),
        ({"LDAP_URL": "ldap://127.0.0.1:9"}, "does not answer (127.0.0.1:9: "),
        ({"LDAP_URL": "{secure}"}, "certificate is not trusted: self-signed"),
    ],
)  # fmt: skip
async def test_the_start_does_what_a_sign_in_does(
    site: Any, slapd: Any, capsys: Any, broken: dict[str, str], told: str
) -> None:
    """Not only a bind: a search below LDAP_USER_SEARCH_BASE with the filter."""
    broken = {name: value.format(secure=slapd.secure_url) if "{secure}" in value else value
              for name, value in broken.items()}  # fmt: skip
    async with site(slapd.settings(**broken)) as found:
        advice = reasons(capsys)
        assert "check.failed" in advice
        assert told in advice
        assert await found.login("ada", "ada-password") == DOWN
        assert told in reasons(capsys)


async def test_a_start_without_fault_says_nothing(site: Any, slapd: Any, capsys: Any) -> None:
    async with site(slapd.settings()):
        assert "LDAP directory" not in reasons(capsys)


async def test_a_directory_that_was_away_is_used_again_at_once(site: Any, slapd: Any) -> None:
    """ldap3 itself goes on refusing for five seconds (findings/ldap3-refused-once.sh)."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with site(slapd.settings(LDAP_URL=f"ldap://127.0.0.1:{port}")) as found:
        assert await found.login("ada", "ada-password") == DOWN
        there = int(slapd.url.rpartition(":")[2])

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", there)
            await asyncio.gather(copy(reader, back_writer), copy(back_reader, writer))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while piece := await source.read(65536):
                target.write(piece)
            target.close()

        async with await asyncio.start_server(relay, "127.0.0.1", port):
            assert await found.login("ada", "ada-password") == (200, "ada")


class TestSeveralServers:
    async def test_the_next_is_asked(self, site: Any, slapd: Any) -> None:
        dead = "ldap://127.0.0.1:9"
        for between in (" ", ", ", ","):
            urls = between.join((dead, slapd.url, "ldap://127.0.0.1:10"))
            async with site(slapd.settings(LDAP_URL=urls)) as found:
                for _ in range(2):
                    assert await found.login("ada", "ada-password") == (200, "ada")
                assert await found.login("ada", "wrong") == INVALID

    async def test_all_are_named_when_none_answers(
        self, site: Any, slapd: Any, capsys: Any
    ) -> None:
        urls = "ldap://127.0.0.1:9 ldaps://127.0.0.1:10/dc=example,dc=com"
        async with site(slapd.settings(LDAP_URL=urls)) as found:
            assert await found.login("ada", "ada-password") == DOWN
        told = reasons(capsys)
        assert "127.0.0.1:9: " in told
        assert "127.0.0.1:10: " in told

    async def test_each_with_its_own_encryption(self, site: Any, slapd: Any) -> None:
        settings = slapd.settings(
            LDAP_URL=f"ldap://127.0.0.1:9 {slapd.secure_url}",
            LDAP_STARTTLS="true",
            LDAP_CA_CERT_PATH=str(slapd.folder / "ca.crt"),
            LDAP_TLS_REJECT_UNAUTHORIZED="true",
        )
        async with site(settings) as found:
            assert await found.login("ada", "ada-password") == (200, "ada")

    async def test_an_authority_of_the_deployment(self, site: Any, slapd: Any) -> None:
        settings = slapd.settings(
            LDAP_URL=slapd.secure_url, NODE_EXTRA_CA_CERTS=str(slapd.folder / "ca.crt")
        )
        async with site(settings) as found:
            assert await found.login("ada", "ada-password") == (200, "ada")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data 533, v2580\0", "the account is disabled (data 533)"),
        ("AcceptSecurityContext error, data 52e, v1db1", "password (data 52e)"),
        ("AcceptSecurityContext error, data 52E, v1db1", "password (data 52e)"),
        ("error, data 701, v1", "the account has expired (data 701)"),
        ("error, data 773, v1", "the password must be changed first (data 773)"),
        ("error, data 775, v1", "the account is locked (data 775)"),
        ("error, data 532, v1", "the password has expired (data 532)"),
        ("error, data 7ff, v1", "invalidCredentials: error, data 7ff, v1 (data 7ff)"),
        ("", "password"),
        ("invalid data", "password"),
    ],
)  # fmt: skip
def test_words_of_active_directory(message: str, told: str) -> None:
    result = {"result": 49, "description": "invalidCredentials", "message": message}
    assert refused_bind(result) == told


def test_words_of_password_policies() -> None:
    oid = "1.3.6.1.4.1.42.2.27.8.5.1"

    def answered(value: Any, code: int = 49) -> dict[str, Any]:
        return {"result": code, "message": "", "controls": {oid: {"value": value}}}

    assert refused_bind(answered(bytes.fromhex("3003810101"))) == "the account is locked"
    assert refused_bind(answered(bytes.fromhex("3003810100"))) == "the password has expired"
    # A warning (a hundred seconds are left) stands before the error.
    assert must_change(answered(bytes.fromhex("3008a003800164810102"), 0))
    assert not must_change(answered(bytes.fromhex("3005a003800164"), 0))
    for odd in (b"", b"\x30", b"\x30\x00", b"\x30\x80\x81", b"\x30\x03\x81\xff", None, "x"):
        assert not must_change(answered(odd, 0))
        assert refused_bind(answered(odd)).startswith("password")
    unasked = {"result": 0, "controls": {"2.16.840.1.113730.3.4.4": {"value": b"0"}}}
    assert must_change(unasked)


@pytest.mark.parametrize(
    ("template", "loose"),
    [
        ("uid={{username}}", None),
        ("(&(uid={{username}}))", None),
        ("(&(uid={{username}})(memberOf=cn=a))", "(&(uid={{username}}))"),
        ("(&(objectClass=person)(|(uid={{username}})(mail={{username}}))(!(x=1)))", "(&(|(uid={{username}})(mail={{username}})))"),
        (" (&(a=b)(uid={{username}})) ", "(&(uid={{username}}))"),
        ("(|(uid={{username}})(a=b))", None),
        ("(&(uid={{username}}", None),
    ],
)  # fmt: skip
def test_conditions_are_taken_away(template: str, loose: str | None) -> None:
    assert without_conditions(template) == loose
