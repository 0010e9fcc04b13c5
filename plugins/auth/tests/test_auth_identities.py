"""Accounts and sessions for identities: the service `SIGN_INS` (contract oauth §3-§7)."""

import asyncio
from datetime import UTC, datetime
from typing import Any, ClassVar

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


def saml(subject: str = "s1", email: str = "sam@example.com", **changes: Any) -> Identity:
    return google(subject, email, **{"provider": "saml", "key": "samlId", **changes})


def ldap(subject: str = "l1", email: str = "ann@example.com", **changes: Any) -> Identity:
    return google(subject, email, **{"provider": "ldap", "key": "ldapId", **changes})


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
        await ids.service.adopt(ldap(), may_register=True)
        assert (await ids.account("ann@example.com"))["role"] == "ADMIN"
        await ids.service.adopt(ldap("l2", "bob@example.com"), may_register=True)
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
            for email in ("ann@evil.example", "ann@example.com.evil"):
                assert await refused(someone, google(email=email)) == "domain"
            user = await someone.service.adopt(google(), may_register=True)
            # Who is known and tells no address this time is judged by the stored one.
            assert await someone.service.adopt(google(email=""), may_register=False) == user
            await someone.add("bob@evil.example", provider="google", googleId="g2")
            assert await refused(someone, google("g2", "")) == "domain"

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
        assert str(stored["_id"]) == user
        # Found by its address it is found so again; LibreChat does not write the id either.
        assert "googleId" not in stored
        assert await ids.service.adopt(google(), may_register=False) == user

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

    async def test_openid_by_the_directorys_id_from_before_there_were_issuers(
        self, ids: Any
    ) -> None:
        await ids.add("old@example.com", provider="openid", openidId="o0", idOnTheSource="oid-1")
        known = openid(fields={"idOnTheSource": "oid-1"})
        elsewhere = openid(
            "o0",
            "new@example.com",
            fields={"idOnTheSource": "oid-1"},
            issuer=f"{ISSUER}/other",
            issuer_configured=False,
        )
        other = await ids.service.adopt(elsewhere, may_register=True)
        user = await ids.service.adopt(known, may_register=False)
        assert user != other
        stored = await ids.account("ann@example.com")
        assert (str(stored["_id"]), stored["openidId"]) == (user, "o1")
        assert stored["openidIssuer"] == ISSUER

    async def test_openid_takes_over_accounts_of_nobody(self, ids: Any) -> None:
        await ids.add("ann@example.com", provider="")
        user = await ids.service.adopt(openid(), may_register=False)
        stored = await ids.account("ann@example.com")
        assert (str(stored["_id"]), stored["provider"], stored["openidId"]) == (
            user,
            "openid",
            "o1",
        )
        await ids.add("bob@example.com", provider="")
        assert await refused(ids, google(email="bob@example.com")) == "other_provider"

    @pytest.mark.parametrize("kind", [google, openid, saml, ldap])
    @pytest.mark.parametrize("email", ["", "dwho", "ann@localhost", "@x.org", "ann@x..org"])
    async def test_nobody_gets_in_without_an_address(self, ids: Any, kind: Any, email: str) -> None:
        for subject in ("x1", "x2"):
            assert await refused(ids, kind(subject, email)) == "no_address"
        assert await ids.rows("users") == []

    @pytest.mark.parametrize("email", ["", "dwho"])
    async def test_accounts_from_before_addresses_were_demanded(self, ids: Any, email: str) -> None:
        """They stay, and get the address as soon as the provider tells one."""
        await ids.add(email, provider="openid", openidId="o1", openidIssuer=ISSUER)
        await ids.add("x@x.org_y@x.org", provider="saml", samlId="s1")
        user = await ids.service.adopt(openid(email=""), may_register=False)
        assert str((await ids.account(email))["_id"]) == user
        assert await ids.service.adopt(openid(), may_register=False) == user
        assert str((await ids.account("ann@example.com"))["_id"]) == user
        user = await ids.service.adopt(saml(), may_register=False)
        assert str((await ids.account("sam@example.com"))["_id"]) == user

    async def test_what_is_no_address_changes_nothing(self, ids: Any) -> None:
        user = await ids.service.adopt(openid(), may_register=True)
        for email in ("", "ann"):
            assert await ids.service.adopt(openid(email=email), may_register=False) == user
        assert str((await ids.account("ann@example.com"))["_id"]) == user

    async def test_saml_by_its_id_then_by_the_address(self, ids: Any) -> None:
        await ids.add("sam@example.com", provider="saml")
        user = await ids.service.adopt(saml(), may_register=False)
        stored = await ids.account("sam@example.com")
        assert (str(stored["_id"]), stored["samlId"], stored["name"]) == (user, "s1", "Ann")
        await ids.add("lou@example.com", provider="local")
        assert await refused(ids, saml("s2", "lou@example.com")) == "other_provider"

    async def test_saml_ids_may_change(self, ids: Any) -> None:
        """The address says who it is; the id is the one of the last sign-in."""
        user = await ids.service.adopt(saml(), may_register=True)
        for subject in ("s2", "s3"):
            assert await ids.service.adopt(saml(subject), may_register=False) == user
            assert (await ids.account("sam@example.com"))["samlId"] == subject
        # An address that changed is found by the id, and kept.
        assert await ids.service.adopt(saml("s3", "new@example.com"), may_register=False) == user
        assert (await ids.account("sam@example.com"))["samlId"] == "s3"
        unverified = saml("s4", email_verified=False)
        assert await refused(ids, unverified) == "unverified"

    async def test_saml_without_an_id_that_lasts(self, ids: Any) -> None:
        found = await asyncio.gather(
            *(ids.service.adopt(saml(""), may_register=True) for _ in range(4))
        )
        assert len(set(found)) == 1
        stored = await ids.account("sam@example.com")
        assert "samlId" not in stored
        assert await ids.service.adopt(saml("s1"), may_register=False) == found[0]
        assert await ids.service.adopt(saml(""), may_register=False) == found[0]
        assert (await ids.account("sam@example.com"))["samlId"] == "s1"
        for kind in (openid, ldap, google):
            assert await refused(ids, kind("")) == "auth_failed"
        other = await ids.service.adopt(saml("", "lou@example.com"), may_register=True)
        assert other != found[0]

    async def test_ldap_by_its_id_only(self, ids: Any) -> None:
        await ids.add("ann@example.com", provider="ldap", ldapId="l1")
        with pytest.raises(HTTPError, match="409"):
            await ids.service.adopt(ldap("l2"), may_register=True)
        assert len(await ids.rows("users")) == 1

    async def test_tenants_do_not_see_each_other(self, ids: Any) -> None:
        one, two = ({**google().fields, "tenantId": name} for name in ("one", "two"))
        first = await ids.service.adopt(google(fields=one), may_register=True)
        second = await ids.service.adopt(google(fields=two), may_register=True)
        assert first != second
        assert [row["tenantId"] for row in await ids.rows("users")] == ["one", "two"]
        assert await ids.service.adopt(google(fields=two), may_register=False) == second

    async def test_not_while_the_account_is_deleted(self, ids: Any) -> None:
        await ids.service.adopt(google(), may_register=True)
        await ids.change("ann@example.com", agentTriggerDeletionStartedAt=datetime.now(UTC))
        assert await refused(ids, google()) == "closing"

    async def test_not_for_those_who_are_banned(self, people: Any) -> None:
        async with people({"BAN_VIOLATIONS": "true"}) as someone:
            service = someone.server.kernel.services.get(SIGN_INS)
            user = await service.adopt(google(), may_register=True, address="192.0.2.1")
            await someone.auth.bans.put("logins", 20, 60, user=user, ip="192.0.2.7")
            for identity, address in ((google(), ""), (google("g9", "x@x.org"), "192.0.2.7")):
                with pytest.raises(HTTPError) as refusal:
                    await service.adopt(identity, may_register=True, address=address)
                assert refusal.value.status == 403
            assert len(await someone.rows("users")) == 1


class TestUpdating:
    """What each kind of provider rewrites at a sign-in (contract oauth §4-§7)."""

    FIELDS: ClassVar = {
        "name": "Anna",
        "username": "ANNA",
        "avatar": "https://a.example/2.png",
        "idOnTheSource": "oid-1",
        "password": "x",
        "plugins": 1,
        "tenantId": None,
    }

    @pytest.mark.parametrize(
        ("kind", "address", "name", "source"),
        [
            (google, "anna@example.com", "Ann", None),
            (openid, "anna@example.com", "Anna", "oid-1"),
            (saml, "ann@example.com", "Anna", None),
            (ldap, "anna@example.com", "Anna", None),
        ],
    )
    async def test_what_the_provider_says_now(
        self, ids: Any, kind: Any, address: str, name: str, source: str | None
    ) -> None:
        user = await ids.service.adopt(kind("x1", "ann@example.com"), may_register=True)
        role = (await ids.account("ann@example.com"))["role"]
        moved = kind("x1", "anna@example.com", fields=self.FIELDS)
        for _ in range(2):
            assert await ids.service.adopt(moved, may_register=False) == user
            stored = await ids.account(address)
            assert (stored["name"], stored["username"]) == (name, name.lower())
            assert stored.get("idOnTheSource") == source
            assert stored["avatar"] == "https://a.example/1.png"
            assert "password" not in stored
            assert stored["plugins"] == []
            assert stored["role"] == role

    @pytest.mark.parametrize("kind", [google, openid, saml, ldap])
    async def test_a_role_is_given_when_there_is_one(self, ids: Any, kind: Any) -> None:
        user = await ids.service.adopt(kind(email="ann@example.com"), may_register=True)
        for role in ("Editors", "USER", "Editors"):
            given = kind(email="ann@example.com", fields={"role": role})
            for _ in range(2):
                assert await ids.service.adopt(given, may_register=False) == user
                assert (await ids.account("ann@example.com"))["role"] == role
            await ids.service.adopt(kind(email="ann@example.com"), may_register=False)
            assert (await ids.account("ann@example.com"))["role"] == role

    async def test_an_address_moves_only_when_it_is_free(self, ids: Any) -> None:
        await ids.add("bob@example.com")
        for kind in (google, openid):
            before = f"{kind.__name__}@example.com"
            user = await ids.service.adopt(kind(email=before), may_register=True)
            taken = kind(email="bob@example.com")
            assert await ids.service.adopt(taken, may_register=False) == user
            assert str((await ids.account(before))["_id"]) == user
        user = await ids.service.adopt(ldap(email="lou@example.com"), may_register=True)
        with pytest.raises(HTTPError, match="409"):
            await ids.service.adopt(ldap(email="bob@example.com"), may_register=False)
        assert str((await ids.account("lou@example.com"))["_id"]) == user

    async def test_an_address_that_nobody_vouches_for(self, ids: Any) -> None:
        """Social logins keep theirs; an OpenID provider decides, and it counts as unverified."""
        user = await ids.service.adopt(google(), may_register=True)
        eve = google(email="eve@example.com", email_verified=False)
        assert await ids.service.adopt(eve, may_register=False) == user
        assert (await ids.account("ann@example.com"))["emailVerified"] is True
        user = await ids.service.adopt(openid(email="oda@example.com"), may_register=True)
        moved = openid(email="odo@example.com", email_verified=False)
        assert await ids.service.adopt(moved, may_register=False) == user
        assert (await ids.account("odo@example.com"))["emailVerified"] is False

    async def test_an_account_that_was_about_to_expire_stays(self, ids: Any) -> None:
        await ids.service.adopt(google(), may_register=True)
        await ids.change("ann@example.com", expiresAt=datetime.now(UTC))
        await ids.service.adopt(google(), may_register=False)
        assert "expiresAt" not in await ids.account("ann@example.com")


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

    async def test_the_list_of_sessions_says_from_where(self, ids: Any) -> None:
        user = await ids.service.adopt(openid(), may_register=True)
        opened = await ids.service.open(user, address="192.0.2.9", agent="Browser/1")
        headers = {"authorization": f"Bearer {opened.access_token}"}
        listed = (await ids.server.client.get("/api/auth/sessions", headers=headers)).json()
        (session,) = listed["sessions"]
        assert (session["ip"], session["userAgent"]) == ("192.0.2.9", "Browser/1")

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
