"""Accounts of people who have not signed in yet: ``SIGN_INS.expect`` (contract roles §4.7)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.sign_in import SIGN_INS, Identity, IdentityRefused

ISSUER = "https://id.example"


@pytest.fixture
async def ids(someone: Any) -> Any:
    someone.service = someone.server.kernel.services.get(SIGN_INS)
    return someone


def openid(subject: str = "", email: str = "Ann@example.com", **changes: Any) -> Identity:
    fields = {"name": "Ann", "username": "ANN@corp", "idOnTheSource": "oid-1"}
    return Identity(
        **{
            "provider": "openid",
            "key": "openidId",
            "subject": subject,
            "email": email,
            "email_verified": False,
            "issuer": ISSUER,
            "fields": {**fields, **changes.pop("fields", {})},
            **changes,
        }
    )


async def refused(ids: Any, identity: Identity) -> str:
    with pytest.raises(IdentityRefused) as refusal:
        await ids.service.expect(identity)
    return str(refusal.value.code)


async def test_an_account_as_librechat_stores_it(ids: Any) -> None:
    user = await ids.service.expect(openid(fields={"role": "ADMIN"}))
    stored = await ids.account("ann@example.com")
    assert str(stored["_id"]) == user
    assert stored["provider"] == "openid"
    assert stored["idOnTheSource"] == "oid-1"
    assert stored["openidIssuer"] == ISSUER
    assert (stored["name"], stored["username"]) == ("Ann", "ann@corp")
    assert stored["role"] == "USER", "also as the first one"
    assert stored["emailVerified"] is False
    assert stored["__v"] == 0
    for absent in ("password", "expiresAt", "openidId", "tenantId"):
        assert absent not in stored
    assert await ids.service.expect(openid()) == user
    assert await ids.service.expect(openid(email="new@example.com")) == user
    assert len(await ids.rows("users")) == 1


async def test_it_opens_nothing_before_the_person_comes(ids: Any) -> None:
    await ids.service.expect(openid())
    for password in ("", "x", "undefined", "null"):
        assert (await ids.login("ann@example.com", password)).status_code in (400, 404, 422)
    # Registering its address looks like success, and makes nothing.
    assert (await ids.register("ann@example.com")).status_code == 200
    assert len(await ids.rows("users")) == 1
    assert (await ids.login("ann@example.com")).status_code == 404
    assert "password" not in await ids.account("ann@example.com")


async def test_the_person_finds_it(ids: Any) -> None:
    user = await ids.service.expect(openid())
    for address in ("ann@example.com", "anna@example.com"):
        signed_in = await ids.service.adopt(openid("s1", address), may_register=False)
        assert signed_in == user
    stored = await ids.account("anna@example.com")
    assert (stored["openidId"], stored["openidIssuer"]) == ("s1", ISSUER)
    found = await ids.server.kernel.services.get(ACCOUNTS).find(user)
    assert found["openidId"] == "s1"
    assert len(await ids.rows("users")) == 1


async def test_nobody_else_finds_it(ids: Any) -> None:
    await ids.service.expect(openid())
    for stranger in (
        openid("s2", fields={"idOnTheSource": "oid-2"}),
        openid("s2", issuer="https://other.example"),
        openid("s2", provider="google", key="googleId", issuer=None, email_verified=True),
    ):
        with pytest.raises(IdentityRefused):
            await ids.service.adopt(stranger, may_register=True)
    assert len(await ids.rows("users")) == 1
    assert "openidId" not in await ids.account("ann@example.com")


class TestAccountsThatAreThere:
    async def test_are_found_and_left_alone(self, ids: Any) -> None:
        for fields in (
            {"provider": "openid", "openidId": "o", "idOnTheSource": "oid-1"},
            {"provider": "openid", "idOnTheSource": "oid-1", "openidIssuer": ISSUER},
            {"provider": "openid", "openidId": "o", "openidIssuer": ISSUER},
            {"provider": "openid", "openidId": "o"},
            {"provider": "local", "emailVerified": True},
            {"provider": "google", "googleId": "g", "emailVerified": True},
        ):
            await ids.server.kernel.database.collection("users").delete_many({})
            await ids.add("ann@example.com", **{"emailVerified": False, **fields})
            before = await ids.rows("users")
            assert await ids.service.expect(openid()) == str(before[0]["_id"]), fields
            assert await ids.rows("users") == before

    async def test_of_somebody_else_are_not(self, ids: Any) -> None:
        for fields, code in (
            ({"provider": "local"}, "unverified"),
            ({"provider": "google", "googleId": "g"}, "unverified"),
            ({"provider": "openid", "idOnTheSource": "oid-2"}, "other_provider"),
            ({"provider": "openid", "openidIssuer": "https://else.example"}, "other_provider"),
            ({"provider": "openid", "agentTriggerDeletionStartedAt": datetime.now(UTC)}, "closing"),
        ):
            await ids.server.kernel.database.collection("users").delete_many({})
            await ids.add("ann@example.com", **{"emailVerified": False, **fields})
            before = await ids.rows("users")
            assert await refused(ids, openid()) == code, fields
            assert await ids.rows("users") == before

    async def test_from_before_there_were_issuers(self, ids: Any) -> None:
        await ids.add("old@example.com", provider="openid", idOnTheSource="oid-1")
        (old,) = await ids.rows("users")
        assert await ids.service.expect(openid()) == str(old["_id"])
        other = openid(issuer="https://other.example", issuer_configured=False)
        assert await ids.service.expect(other) != str(old["_id"])


async def test_domains(people: Any) -> None:
    yaml = {"registration": {"allowedDomains": ["Example.com"]}}
    async with people(yaml=yaml) as ids:
        ids.service = ids.server.kernel.services.get(SIGN_INS)
        for email in ("ann@evil.example", "ann@example.com.evil"):
            assert await refused(ids, openid(email=email)) == "domain"
        await ids.service.expect(openid())


async def test_nonsense(ids: Any) -> None:
    for email in ("", " ", "ann"):
        assert await refused(ids, openid(email=email)) == "auth_failed"
    for wrong in (openid(key="role"), openid(fields={"idOnTheSource": ""})):
        with pytest.raises(ValueError, match="nobody of a directory"):
            await ids.service.expect(wrong)
    assert await ids.rows("users") == []


async def test_tenants_do_not_see_each_other(ids: Any) -> None:
    one, two = (openid(fields={"tenantId": name}) for name in ("one", "two"))
    first, second = await ids.service.expect(one), await ids.service.expect(two)
    third = await ids.service.expect(openid())
    assert len({first, second, third}) == 3
    assert await ids.service.expect(two) == second
    assert await ids.service.adopt(openid("s1", fields={"tenantId": "two"}), may_register=False)
    assert "openidId" in next(row for row in await ids.rows("users") if str(row["_id"]) == second)


async def test_once_for_many_at_the_same_time(ids: Any) -> None:
    """Shares and first sign-ins at once; nobody vouches for the address."""
    for number in range(6):
        email, fields = f"p{number}@example.com", {"idOnTheSource": f"oid-{number}"}
        person = openid(email=email, fields=fields)
        arrived = openid(f"s{number}", email, fields=fields)
        found = await asyncio.gather(
            *(ids.service.expect(person) for _ in range(4)),
            *(ids.service.adopt(arrived, may_register=True) for _ in range(4)),
        )
        assert len(set(found)) == 1
    assert len(await ids.rows("users")) == 6
