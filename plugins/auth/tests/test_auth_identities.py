"""Accounts and sessions for identities: the service `SIGN_INS` (contract oauth §3-§7)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import HTTPError, On, Plugin, hook
from locutory_contracts.accounts import AccountCreated
from locutory_contracts.sign_in import SIGN_INS, AccountSignedIn, Identity, IdentityRefused

ISSUER = "https://id.example"


class Witness(Plugin):
    """Hears of accounts and sign-ins."""

    name = "witness"
    summary = "Hears of sign-ins; for tests only"

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @hook
    def subscriptions(self) -> list[On]:
        async def hear(fact: Any) -> None:
            self.heard.append(fact)

        return [On(AccountSignedIn, hear), On(AccountCreated, hear)]


@pytest.fixture
async def ids(people: Any) -> Any:
    """A server with its service."""
    witness = Witness()
    async with people(plugins=[witness]) as someone:
        someone.witness = witness
        someone.service = someone.server.kernel.services.get(SIGN_INS)
        yield someone


def google(subject: str = "g1", email: str = "ann@example.com", **changes: Any) -> Identity:
    fields = {"name": "Ann", "username": "Ann", "avatar": "https://a.example/1.png"}
    return Identity(
        **{
            "provider": "google",
            "key": "googleId",
            "subject": subject,
            "email": email,
            "email_verified": True,
            "fields": fields,
            **changes,
        }
    )


def openid(subject: str = "o1", email: str = "ann@example.com", **changes: Any) -> Identity:
    return google(
        subject, email, **{"provider": "openid", "key": "openidId", "issuer": ISSUER, **changes}
    )


async def refused(ids: Any, identity: Identity, may_register: bool = True) -> str:
    with pytest.raises(IdentityRefused) as refusal:
        await ids.service.adopt(identity, may_register=may_register)
    return str(refusal.value.code)


class TestCreating:
    async def test_an_account_as_librechat_stores_it(self, ids: Any) -> None:
        user = await ids.service.adopt(google(email=" Ann@Example.com "), may_register=True)
        stored = await ids.account("ann@example.com")
        assert str(stored["_id"]) == user
        assert stored["provider"] == "google"
        assert stored["googleId"] == "g1"
        assert stored["role"] == "USER"  # also as the first one
        assert stored["username"] == "ann"
        assert stored["emailVerified"] is True
        assert stored["__v"] == 0
        for absent in ("password", "expiresAt", "openidIssuer", "openidId", "tenantId"):
            assert absent not in stored
        assert ids.witness.heard == [AccountCreated(user)]
        assert await ids.service.adopt(google(), may_register=False) == user
        assert len(await ids.rows("users")) == 1

    async def test_only_where_allowed(self, ids: Any) -> None:
        assert await refused(ids, google(), may_register=False) == "registration_closed"
        assert await ids.rows("users") == []

    async def test_the_first_of_a_directory_administers(self, ids: Any) -> None:
        ldap = google("l1", provider="ldap", key="ldapId")
        await ids.service.adopt(ldap, may_register=True)
        assert (await ids.account("ann@example.com"))["role"] == "ADMIN"
        other = google("l2", "bob@example.com", provider="ldap", key="ldapId")
        await ids.service.adopt(other, may_register=True)
        assert (await ids.account("bob@example.com"))["role"] == "USER"

    async def test_with_the_role_that_the_provider_gives(self, ids: Any) -> None:
        await ids.service.adopt(openid(fields={"role": "ADMIN"}), may_register=True)
        assert (await ids.account("ann@example.com"))["role"] == "ADMIN"

    async def test_once_for_many_at_the_same_time(self, ids: Any) -> None:
        found = await asyncio.gather(
            *(ids.service.adopt(openid(), may_register=True) for _ in range(6))
        )
        assert len(set(found)) == 1
        assert len(await ids.rows("users")) == 1

    async def test_domains(self, people: Any) -> None:
        yaml = {"registration": {"allowedDomains": ["Example.com"]}}
        async with people(yaml=yaml) as someone:
            someone.service = someone.server.kernel.services.get(SIGN_INS)
            for email in ("ann@evil.example", "ann@example.com.evil", "", "example.com@x"):
                assert await refused(someone, google(email=email)) == "domain"
            await someone.service.adopt(google(), may_register=True)

    async def test_nonsense(self, ids: Any) -> None:
        assert await refused(ids, google("")) == "auth_failed"
        for key in ("role", "_id", "password", "openidIssuer"):
            with pytest.raises(ValueError, match=key):
                await ids.service.adopt(google(key=key), may_register=True)


class TestFinding:
    async def test_a_local_account_is_never_linked(self, ids: Any) -> None:
        await ids.add("ann@example.com")
        for identity in (google(), openid(), google(email_verified=False)):
            assert await refused(ids, identity) == "other_provider"
        stored = await ids.account("ann@example.com")
        assert stored["provider"] == "local"
        assert "googleId" not in stored

    async def test_an_address_has_to_be_verified(self, ids: Any) -> None:
        await ids.add("ann@example.com", provider="google")
        assert await refused(ids, google(email_verified=False)) == "unverified"
        user = await ids.service.adopt(google(), may_register=False)
        stored = await ids.account("ann@example.com")
        assert (str(stored["_id"]), stored["googleId"]) == (user, "g1")

    async def test_nor_may_the_id_be_another(self, ids: Any) -> None:
        await ids.service.adopt(google(), may_register=True)
        assert await refused(ids, google("g2")) == "auth_failed"
        assert (await ids.account("ann@example.com"))["googleId"] == "g1"

    async def test_ids_of_two_issuers_are_two_people(self, ids: Any) -> None:
        first = await ids.service.adopt(openid(), may_register=True)
        other = openid(issuer="https://other.example", email="eve@example.com")
        second = await ids.service.adopt(other, may_register=True)
        assert first != second
        assert await ids.service.adopt(openid(), may_register=False) == first
        mallory = openid(issuer="https://third.example", subject="o9")
        assert await refused(ids, mallory) == "auth_failed"

    async def test_openid_accounts_from_before_there_were_issuers(self, ids: Any) -> None:
        await ids.add("old@example.com", provider="openid", openidId="o1")
        user = await ids.service.adopt(openid(email="new@example.com"), may_register=False)
        stored = await ids.account("new@example.com")
        assert str(stored["_id"]) == user
        assert stored["openidIssuer"] == ISSUER

    async def test_openid_by_the_directorys_id(self, ids: Any) -> None:
        source = {"idOnTheSource": "oid-1"}
        first = await ids.service.adopt(openid(fields=source), may_register=True)
        again = await ids.service.adopt(openid("o2", fields=source), may_register=False)
        assert first == again
        assert (await ids.account("ann@example.com"))["openidId"] == "o2"

    async def test_ldap_by_its_id_only(self, ids: Any) -> None:
        await ids.add("ann@example.com", provider="ldap", ldapId="l1")
        ldap = google("l2", provider="ldap", key="ldapId")
        assert await refused(ids, ldap) == "other_provider"


class TestUpdating:
    async def test_what_the_provider_says_now(self, ids: Any) -> None:
        user = await ids.service.adopt(google(), may_register=True)
        fields = {"name": "Anna", "username": "ANNA", "avatar": "https://a.example/2.png"}
        moved = google(email="anna@example.com", fields={**fields, "password": "x", "plugins": 1})
        assert await ids.service.adopt(moved, may_register=False) == user
        stored = await ids.account("anna@example.com")
        assert (stored["name"], stored["username"]) == ("Anna", "anna")
        assert stored["avatar"] == "https://a.example/2.png"
        assert "password" not in stored
        assert stored["plugins"] == []
        assert stored["role"] == "USER"

    async def test_a_picture_that_was_chosen_stays(self, ids: Any) -> None:
        await ids.service.adopt(google(), may_register=True)
        chosen = "/images/x.png?manual=true"
        await ids.change("ann@example.com", avatar=chosen)
        await ids.service.adopt(google(), may_register=False)
        assert (await ids.account("ann@example.com"))["avatar"] == chosen

    async def test_an_address_moves_only_when_it_is_free_and_verified(self, ids: Any) -> None:
        await ids.add("bob@example.com")
        user = await ids.service.adopt(google(), may_register=True)
        for identity in (
            google(email="bob@example.com"),
            google(email="eve@example.com", email_verified=False),
        ):
            assert await ids.service.adopt(identity, may_register=False) == user
            assert str((await ids.account("ann@example.com"))["_id"]) == user
        saml = google("s1", "sam@example.com", provider="saml", key="samlId")
        await ids.service.adopt(saml, may_register=True)
        await ids.service.adopt(
            google("s1", "other@example.com", provider="saml", key="samlId"), may_register=False
        )
        assert (await ids.account("sam@example.com"))["samlId"] == "s1"


class TestOpening:
    async def test_a_session(self, ids: Any) -> None:
        user = await ids.service.adopt(openid(), may_register=True)
        opened = await ids.service.open(user, token_provider="openid")
        assert opened.second_factor is None
        assert opened.account["id"] == user
        assert "password" not in opened.account
        assert (await ids.me(opened.access_token)).json()["id"] == user
        refresh, provider = opened.cookies
        assert refresh.startswith("refreshToken=ey")
        assert provider.startswith("token_provider=openid; Path=/; Expires=")
        assert ids.witness.heard[-1] == AccountSignedIn(user, "openid")
        assert len(await ids.rows("sessions")) == 1
        cookie = {"cookie": refresh.partition(";")[0]}
        assert (await ids.post("/api/auth/refresh", **cookie)).status_code == 200

    async def test_not_without_the_second_factor(self, ids: Any) -> None:
        user = await ids.service.adopt(openid(), may_register=True)
        await ids.change("ann@example.com", twoFactorEnabled=True, totpSecret="JBSWY3DPEHPK3PXP")
        owing = await ids.service.open(user)
        assert (owing.access_token, owing.cookies) == (None, ())
        answer = await ids.post("/api/auth/2fa/verify-temp", {"tempToken": owing.second_factor})
        assert answer.json() == {"message": "Invalid 2FA code or backup code"}
        assert await ids.rows("sessions") == []
        assert ids.witness.heard == [AccountCreated(user)]
        skipped = await ids.service.open(user, skip_second_factor=True)
        assert skipped.access_token is not None

    async def test_not_for_those_who_may_not(self, ids: Any) -> None:
        user = await ids.service.adopt(openid(), may_register=True)
        await ids.auth.bans.put("general", 0, None, user=user)
        with pytest.raises(HTTPError) as refusal:
            await ids.service.open(user)
        assert refusal.value.status == 403
        await ids.auth.bans.lift(user)
        await ids.change("ann@example.com", agentTriggerDeletionStartedAt=datetime.now(UTC))
        with pytest.raises(HTTPError) as refusal:
            await ids.service.open(user)
        assert refusal.value.status == 401
        for nobody in (str(ObjectId()), "nonsense"):
            with pytest.raises(IdentityRefused):
                await ids.service.open(nobody)
        assert await ids.rows("sessions") == []

    async def test_closing_all(self, ids: Any) -> None:
        user = await ids.service.adopt(openid(), may_register=True)
        opened = await ids.service.open(user)
        await ids.service.close_all(user)
        await ids.service.close_all("nonsense")
        assert (await ids.me(opened.access_token)).status_code == 401
        assert await ids.rows("sessions") == []


async def test_signing_in_with_a_password_is_told_too(ids: Any, code_of: Any) -> None:
    await ids.add("ann@example.com")
    user = str((await ids.account("ann@example.com"))["_id"])
    await ids.login("ann@example.com", "wrongwrong1")
    assert ids.witness.heard == []
    await ids.login("ann@example.com")
    assert ids.witness.heard == [AccountSignedIn(user, "local")]
    await ids.change("ann@example.com", twoFactorEnabled=True, totpSecret="JBSWY3DPEHPK3PXP")
    ids.auth.cache.clear()
    temp = (await ids.login("ann@example.com")).json()["tempToken"]
    assert len(ids.witness.heard) == 1
    sent = {"tempToken": temp, "token": code_of("JBSWY3DPEHPK3PXP")}
    await ids.post("/api/auth/2fa/verify-temp", sent)
    assert ids.witness.heard[1:] == [AccountSignedIn(user, "local")]
