"""``POST /api/auth/register`` (contract auth §6)."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory import On, Plugin, hook
from locutory_contracts.accounts import AccountCreated

DONE = {"message": "Please check your email to verify your email address."}


async def test_stores_what_librechat_would(someone: Any) -> None:
    answer = await someone.register("Ann@Example.com", username="Ann.B")
    assert (answer.status_code, answer.json()) == (200, DONE)
    stored = await someone.account("ann@example.com")
    assert list(stored) == [
        "_id",
        "name",
        "username",
        "email",
        "emailVerified",
        "password",
        "avatar",
        "provider",
        "role",
        "plugins",
        "twoFactorEnabled",
        "backupCodes",
        "termsAccepted",
        "termsAcceptedAt",
        "personalization",
        "refreshToken",
        "favorites",
        "skillStates",
        "createdAt",
        "updatedAt",
        "__v",
    ]
    assert stored["username"] == "ann.b"
    assert stored["emailVerified"] is True
    assert stored["password"].startswith("$2b$10$")
    assert stored["avatar"] is None
    assert isinstance(stored["personalization"].pop("_id"), ObjectId)
    assert stored["personalization"] == {"memories": True, "statefulCodeEnvironment": "user"}


@pytest.mark.parametrize(("given", "stored"), [(None, None), ("", None)])
async def test_a_username_is_optional(someone: Any, given: Any, stored: Any) -> None:
    assert (await someone.register("ann@example.com", username=given)).status_code == 200
    assert (await someone.account("ann@example.com"))["username"] == stored


async def test_an_absent_username_is_empty(someone: Any) -> None:
    form = someone.form("ann@example.com")
    del form["username"]
    await someone.server.client.post("/api/auth/register", json=form)
    assert (await someone.account("ann@example.com"))["username"] == ""


async def test_nobody_gives_himself_anything(someone: Any) -> None:
    await someone.add("first@example.com")
    wishes = {
        "role": "ADMIN",
        "provider": "google",
        "emailVerified": False,
        "_id": "0" * 24,
        "tenantId": "other",
        "plugins": ["x"],
        "googleId": "1",
        "twoFactorEnabled": True,
        "expiresAt": "2020-01-01",
    }
    await someone.register("ann@example.com", **wishes)
    stored = await someone.account("ann@example.com")
    assert stored["role"] == "USER"
    assert stored["provider"] == "local"
    assert stored["emailVerified"] is True
    assert str(stored["_id"]) != "0" * 24
    assert stored["plugins"] == []
    assert stored["twoFactorEnabled"] is False
    assert {"tenantId", "googleId", "expiresAt"}.isdisjoint(stored)


SHORT = "String must contain at least 8 character(s)"
LONG = "String must contain at most 128 character(s)"
SPACES = "Password cannot be only spaces"
ATTACK = "username: Potential injection attack detected"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": "Al", "username": "x"},
            "name: String must contain at least 3 character(s) "
            "username: String must contain at least 2 character(s)",
        ),
        ({"name": "A" * 81}, "name: String must contain at most 80 character(s)"),
        ({"name": "😀"}, "name: String must contain at least 3 character(s)"),
        ({"name": None}, "name: Expected string, received null"),
        ({"name": {"x": 1}}, "name: Expected string, received object"),
        ({"username": 5}, "username: Invalid input"),
        ({"username": ["a"]}, "username: Invalid input"),
        ({"username": "a" * 81}, "username: String must contain at most 80 character(s)"),
        ({"username": "ελλάς"}, "username: Invalid characters in username"),
        ({"username": "a'b"}, ATTACK),
        ({"username": "a--b"}, ATTACK),
        ({"username": "a$GTb"}, ATTACK),
        ({"username": "a=b"}, ATTACK),
        ({"username": "a*b"}, ATTACK),
        ({"email": "nope"}, "email: Invalid email"),
        ({"email": "a@b.c"}, "email: Invalid email"),
        ({"email": f"{'a' * 250}@example.com"}, "email: Invalid email"),
        ({"email": ["a"]}, "email: Expected string, received array"),
        ({"confirm_password": "password124"}, ": The passwords did not match"),
        (
            {"password": "short", "confirm_password": "short"},
            f"password: {SHORT} confirm_password: {SHORT}",
        ),
        (
            {"password": "x" * 129, "confirm_password": "x" * 129},
            f"password: {LONG} confirm_password: {LONG}",
        ),
        (
            {"password": " " * 9, "confirm_password": " " * 9},
            f"password: {SPACES} confirm_password: {SPACES}",
        ),
        ({"password": 12345678}, "password: Expected string, received number"),
    ],
)
async def test_what_is_wrong_is_said(someone: Any, changes: dict[str, Any], message: str) -> None:
    answer = await someone.register("ann@example.com", **changes)
    assert (answer.status_code, answer.json()) == (404, {"message": message})
    assert await someone.rows("users") == []


async def test_absent_members_are_required(someone: Any) -> None:
    answer = await someone.server.client.post("/api/auth/register", json={})
    assert answer.json() == {
        "message": "name: Required email: Required password: Required confirm_password: Required"
    }


@pytest.mark.parametrize(
    "username", ["Ирина", "अमित", "王小明", "محمد", "ひらカタ", "한글", "a.b@c"]
)
async def test_usernames_of_many_scripts(someone: Any, username: str) -> None:
    assert (await someone.register("ann@example.com", username=username)).status_code == 200


async def test_the_shortest_password_is_a_setting(people: Any) -> None:
    async with people({"MIN_PASSWORD_LENGTH": "12"}) as someone:
        answer = await someone.register("ann@example.com")
        assert "at least 12 character(s)" in answer.json()["message"]


async def test_a_known_address_looks_like_a_new_one(someone: Any) -> None:
    await someone.register("ann@example.com")
    before = await someone.account("ann@example.com")
    known = await someone.register("Ann@example.com")
    assert (await someone.register("new@example.com")).content == known.content
    assert await someone.account("ann@example.com") == before


async def test_registration_can_be_closed(people: Any) -> None:
    async with people({"ALLOW_REGISTRATION": "false"}) as someone:
        answer = await someone.register("ann@example.com", name="A")
        assert (answer.status_code, answer.json()) == (
            403,
            {"message": "Registration is not allowed."},
        )


async def test_domains_can_be_limited(people: Any) -> None:
    yaml = {"registration": {"allowedDomains": ["Example.com"]}}
    async with people(yaml=yaml) as someone:
        assert (await someone.register("ann@EXAMPLE.com")).status_code == 200
        for other in ("ann@example.org", "ann@sub.example.com"):
            answer = await someone.register(other)
            assert answer.status_code == 403
            assert answer.json()["message"].startswith("The email address provided cannot be used")


async def test_the_limit_is_per_hour(people: Any) -> None:
    async with people({"REGISTER_MAX": "1"}) as someone:
        assert (await someone.register("nope")).status_code == 404
        answer = await someone.register("ann@example.com")
        assert answer.status_code == 429
        assert answer.json() == {
            "message": "Too many accounts created, please try again after 60 minutes"
        }


class TestFirstAccount:
    async def test_becomes_administrator(self, someone: Any) -> None:
        await someone.register("first@example.com")
        await someone.register("second@example.com")
        assert (await someone.account("first@example.com"))["role"] == "ADMIN"
        assert (await someone.account("second@example.com"))["role"] == "USER"
        assert await someone.rows("locutory_claims") == []

    async def test_is_one_of_many_at_once(self, someone: Any) -> None:
        emails = [f"p{n}@example.com" for n in range(6)]
        await asyncio.gather(*(someone.register(email) for email in emails))
        roles = sorted(row["role"] for row in await someone.rows("users"))
        assert roles == ["ADMIN", *["USER"] * 5]

    async def test_is_one_on_two_servers(self, people: Any) -> None:
        name = "test_auth_first_on_two"
        async with people(database=name) as one, people(database=name) as two:
            try:
                await asyncio.gather(
                    *(
                        server.register(f"{where}{n}@example.com")
                        for n in range(3)
                        for where, server in (("one", one), ("two", two))
                    )
                )
                roles = sorted(row["role"] for row in await one.rows("users"))
                assert roles == ["ADMIN", *["USER"] * 5]
            finally:
                await one.server.kernel.database.client.drop_database(name)

    async def test_is_not_the_first_without_an_administrator(self, someone: Any) -> None:
        await someone.add("old@example.com")
        await someone.register("ann@example.com")
        assert (await someone.account("ann@example.com"))["role"] == "USER"
        assert await someone.rows("locutory_claims") == []

    async def test_waits_for_one_that_is_being_made(self, someone: Any) -> None:
        database = someone.server.kernel.database
        claim = {"_id": "first-account", "user": ObjectId(), "at": datetime.now(UTC)}
        await database.collection("locutory_claims").insert_one(claim)
        second = asyncio.create_task(someone.register("second@example.com"))
        await asyncio.sleep(0.2)
        assert await someone.rows("users") == []
        await someone.add("first@example.com", role="ADMIN")
        await second
        assert (await someone.account("second@example.com"))["role"] == "USER"

    async def test_survives_a_server_that_died_at_it(self, someone: Any) -> None:
        claims = someone.server.kernel.database.collection("locutory_claims")
        almost = datetime.now(UTC) - timedelta(seconds=14.5)
        await claims.insert_one({"_id": "first-account", "user": ObjectId(), "at": almost})
        await someone.register("ann@example.com")
        assert (await someone.account("ann@example.com"))["role"] == "ADMIN"
        assert await someone.rows("locutory_claims") == []


async def test_one_address_at_once_gives_one_account(someone: Any) -> None:
    answers = await asyncio.gather(*(someone.register("ann@example.com") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await someone.rows("users")) == 1


class Welcome(Plugin):
    """Remembers who was created."""

    name = "welcome"
    summary = "Remembers who was created; for tests only"

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hook
    def subscriptions(self) -> list[On]:
        async def remember(fact: AccountCreated) -> None:
            self.seen.append(fact.user_id)

        return [On(AccountCreated, remember)]


async def test_others_hear_of_a_new_account_once(serve: Any) -> None:
    welcome = Welcome()
    async with serve("auth", welcome, environment={"ALLOW_REGISTRATION": "true"}) as server:
        form = {"name": "Ann", "email": "ann@example.com"}
        form |= {"password": "password123", "confirm_password": "password123"}
        for _ in range(2):
            await server.client.post("/api/auth/register", json=form)
        stored = await server.kernel.database.collection("users").find_one({})
        assert welcome.seen == [str(stored["_id"])]


class TestInvitations:
    async def invite(self, someone: Any, email: str, days: int = 7, **more: Any) -> None:
        moment = datetime.now(UTC)
        row = {
            "userId": ObjectId(),
            "email": email,
            "token": hashlib.sha256(b"plain").hexdigest(),
            "createdAt": moment,
            "expiresAt": moment + timedelta(days=days),
            **more,
        }
        await someone.server.kernel.database.collection("tokens").insert_one(row)

    async def test_opens_a_closed_registration_once(self, people: Any) -> None:
        async with people({"ALLOW_REGISTRATION": "false"}) as someone:
            await self.invite(someone, "ann@example.com")
            answer = await someone.register("Ann@Example.com", token="plain")
            assert answer.status_code == 200
            assert await someone.rows("tokens") == []
            again = await someone.register("Ann@Example.com", token="plain")
            assert (again.status_code, again.json()) == (400, {"message": "Invalid invite token"})

    async def test_is_used_up_by_a_wrong_form(self, people: Any) -> None:
        async with people({"ALLOW_REGISTRATION": "false"}) as someone:
            await self.invite(someone, "ann@example.com")
            assert (
                await someone.register("ann@example.com", token="plain", name="A")
            ).status_code == 404
            assert await someone.rows("tokens") == []

    @pytest.mark.parametrize("wrong", ["email", "expired", "kind", "token"])
    async def test_must_fit(self, someone: Any, wrong: str) -> None:
        email = "bob@example.com" if wrong == "email" else "ann@example.com"
        more = {"type": "password_reset"} if wrong == "kind" else {}
        await self.invite(someone, email, -1 if wrong == "expired" else 7, **more)
        token: Any = ["plain"] if wrong == "token" else "plain"
        answer = await someone.register("ann@example.com", token=token)
        assert (answer.status_code, answer.json()) == (400, {"message": "Invalid invite token"})

    @pytest.mark.parametrize("token", ["", "undefined", None])
    async def test_no_invitation(self, someone: Any, token: Any) -> None:
        assert (await someone.register("ann@example.com", token=token)).status_code == 200
