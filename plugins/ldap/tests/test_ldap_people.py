"""From an entry to an identity: what tells people apart, and addresses for those without one."""

from typing import Any

import pytest

from locutory_ldap.config import LdapConfig
from locutory_ldap.people import Person, identity_of, unlike_others
from locutory_testing import Serve

PEOPLE = "OU=People,DC=example,DC=com"


def person(dn: str = f"CN=x,{PEOPLE}", **values: str | tuple[str, ...]) -> Person:
    found = {
        name.lower(): (each,) if isinstance(each, str) else each for name, each in values.items()
    }
    return Person(dn, found)


def config(**changes: Any) -> LdapConfig:
    return LdapConfig(ldap_url="ldap://x", ldap_user_search_base="dc=x", **changes)


PETER = {"givenName": "Peter", "sn": "Alpha", "cn": "Peter Alpha", "sAMAccountName": "peter1"}


@pytest.mark.parametrize(
    ("values", "settings", "address"),
    [
        (PETER, {}, "peter1@ldap.local"),
        ({**PETER, "userPrincipalName": "peter1@corp.example"}, {}, "peter1@corp.example"),
        ({**PETER, "userPrincipalName": "peter1@corp"}, {}, "peter1.corp@ldap.local"),
        ({**PETER, "mail": "p@example.com"}, {}, "p@example.com"),
        ({**PETER, "mail": ("p@example.com", "q@example.com")}, {}, "p@example.com"),
        ({"uid": "peter", "givenName": "Peter"}, {}, "peter@ldap.local"),
        # LDAP_USERNAME decides as in LibreChat where it tells people apart, else not.
        ({**PETER, "userPrincipalName": "p@corp.example"}, {"ldap_username": "sAMAccountName"}, "peter1@ldap.local"),
        ({**PETER, "userPrincipalName": "p@corp.example"}, {"ldap_username": "UserPrincipalName"}, "p@corp.example"),
        ({**PETER, "employeeNumber": "7"}, {"ldap_username": "employeeNumber", "ldap_id": "employeenumber"}, "7@ldap.local"),
        (PETER, {"ldap_username": "givenName"}, "peter1@ldap.local"),
        (PETER, {"ldap_email": "absent"}, "peter1@ldap.local"),
        ({"objectGUID": "00ff", "givenName": "Peter"}, {"ldap_id": "objectGUID"}, "00ff@ldap.local"),
        ({"uid": "Péter Größe"}, {}, "Péter.Größe@ldap.local"),
    ],
)  # fmt: skip
def test_addresses(values: Any, settings: dict[str, Any], address: str) -> None:
    found = identity_of(config(**settings), person(**values))
    assert found is not None
    assert found.email == address


@pytest.mark.parametrize(
    ("dn", "uids", "subject"),
    [
        (f"uid=bea,{PEOPLE}", ("bea.alias", "bea"), "bea"),
        (f"UID=Bea,{PEOPLE}", ("alias", "bea"), "bea"),
        (f"cn=Bea+uid=bea,{PEOPLE}", ("alias", "bea"), "bea"),
        (f"uid=be\\2ca\\+\\C3\\A4,{PEOPLE}", ("a", "be,a+ä"), "be,a+ä"),
        # The name of a unit above is not the person's.
        (f"cn=Bea,uid=bea,{PEOPLE}", ("bea", "alias"), "alias"),
        (f"cn=Bea,{PEOPLE}", ("zoe", "alias"), "alias"),
        (f"cn=Bea,{PEOPLE}", ("alias", "zoe"), "alias"),
        (f"cn=Bea,{PEOPLE}", ("", "zoe"), "zoe"),
    ],
)
def test_of_several_ids_always_the_same_one(dn: str, uids: tuple[str, ...], subject: str) -> None:
    for order in (uids, uids[::-1]):
        found = identity_of(config(), person(dn, uid=order))
        assert found is not None
        assert found.subject == subject


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ([], "Peter Alpha"),
        (["givenName", "sn"], "Peter Alpha"),
        (["sn", " absent "], "Alpha"),
        (["absent", "none"], "Peter Alpha"),
    ],
)
def test_names(attributes: list[str], name: str) -> None:
    found = identity_of(config(ldap_full_name=attributes), person(**PETER))
    assert found is not None
    assert found.fields["name"] == name


def test_only_addresses_that_we_made_up_are_changed() -> None:
    made_up = identity_of(config(), person(uid="peter"))
    assert made_up is not None
    other = unlike_others(made_up)
    assert other is not None
    assert other.email.startswith("peter.")
    assert other.email.endswith("@ldap.local")
    assert other == unlike_others(made_up)
    own = identity_of(config(), person(uid="peter", mail="p@example.com"))
    assert own is not None
    assert unlike_others(own) is None


class TestTogetherWithAccounts:
    """People without addresses in a real directory, with the bundled accounts."""

    async def test_of_one_first_name(self, serve: Serve, slapd: Any) -> None:
        async with serve("auth", "ldap", environment=slapd.settings()) as server:
            for name in ("first", "second", "first", "second"):
                body = {"email": name, "password": "peter-password"}
                answer = await server.client.post("/api/auth/login", json=body)
                assert answer.status_code == 200
                assert answer.json()["user"]["email"] == f"{name}@ldap.local"
                assert answer.json()["user"]["username"] == "peter"

    async def test_an_id_that_has_several_values(self, serve: Serve, slapd: Any) -> None:
        async with serve("auth", "ldap", environment=slapd.settings()) as server:
            users = server.kernel.database.collection("users")
            for name in ("bea", "zoe", "alias"):
                body = {"email": name, "password": "bea-password"}
                assert (await server.client.post("/api/auth/login", json=body)).status_code == 200
            assert [row["ldapId"] async for row in users.find({})] == ["bea"]

    async def test_accounts_of_the_old_form_are_found_and_get_the_new_one(
        self, serve: Serve, slapd: Any
    ) -> None:
        """LibreChat made the address of the first name: `peter@ldap.local`."""
        async with serve("auth", "ldap", environment=slapd.settings()) as server:
            users = server.kernel.database.collection("users")
            old = {
                "ldapId": "first",
                "email": "peter@ldap.local",
                "provider": "ldap",
                "role": "ADMIN",
            }
            made = await users.insert_one(old)
            body = {"email": "first", "password": "peter-password"}
            answer = await server.client.post("/api/auth/login", json=body)
            assert answer.json()["user"]["id"] == str(made.inserted_id)
            assert answer.json()["user"]["email"] == "first@ldap.local"

    async def test_a_made_up_address_that_somebody_has_keeps_nobody_out(
        self, serve: Serve, slapd: Any
    ) -> None:
        async with serve("auth", "ldap", environment=slapd.settings()) as server:
            users = server.kernel.database.collection("users")
            old = {"ldapId": "peter", "email": "first@ldap.local", "provider": "ldap"}
            await users.insert_one(old)
            body = {"email": "first", "password": "peter-password"}
            found = set()
            for _ in range(2):
                answer = await server.client.post("/api/auth/login", json=body)
                assert answer.status_code == 200
                found.add((answer.json()["user"]["id"], answer.json()["user"]["email"]))
            [(_, address)] = found
            assert address.startswith("first.")
            assert address.endswith("@ldap.local")

    async def test_a_shared_mailbox_is_told(
        self, serve: Serve, slapd: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with serve("auth", "ldap", environment=slapd.settings()) as server:
            for name, status in (("bob", 200), ("bobby", 409)):
                body = {"email": name, "password": "bob-password"}
                answer = await server.client.post("/api/auth/login", json=body)
                assert answer.status_code == status
            assert "twin@example.com" in answer.json()["message"]
            assert answer.json()["fields"] == ["email"]
        told = capsys.readouterr().out
        assert "account.address_taken" in told
        assert "uid=bobby,ou=people" in told
        assert "Another account has the e-mail address" in told
