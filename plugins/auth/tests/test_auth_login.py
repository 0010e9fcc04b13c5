"""``POST /api/auth/login`` (contract auth §2)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import jwt
import pytest

SECRET = "test-jwt-secret-test-jwt-secret-test"
PASSWORD = "password123"


async def test_answers_token_account_and_cookies(someone: Any) -> None:
    await someone.register("Ann@Example.com")
    answer = await someone.login("ANN@example.com")
    assert answer.status_code == 200
    body = answer.json()
    stored = await someone.account("ann@example.com")
    assert list(body) == ["token", "user"]
    assert list(body["user"]) == [
        "_id",
        "name",
        "username",
        "email",
        "emailVerified",
        "avatar",
        "provider",
        "role",
        "plugins",
        "twoFactorEnabled",
        "termsAccepted",
        "termsAcceptedAt",
        "personalization",
        "refreshToken",
        "favorites",
        "skillStates",
        "createdAt",
        "updatedAt",
        "id",
    ]
    assert body["user"]["id"] == body["user"]["_id"] == str(stored["_id"])
    claims = jwt.decode(body["token"], SECRET, algorithms=["HS256"])
    assert claims["id"] == str(stored["_id"])
    assert claims["email"] == "ann@example.com"
    assert claims["username"] == "alice"
    assert claims["provider"] == "local"
    assert claims["exp"] - claims["iat"] == 900
    session = (await someone.rows("sessions"))[0]
    assert session["user"] == stored["_id"]
    assert session["__v"] == 0
    expires = session["expiration"].strftime("%a, %d %b %Y %H:%M:%S GMT")
    refresh, provider = answer.headers.get_list("set-cookie")
    assert refresh.startswith("refreshToken=ey")
    assert refresh.partition("; ")[2] == f"Path=/; Expires={expires}; HttpOnly; SameSite=Strict"
    assert provider == (
        f"token_provider=librechat; Path=/; Expires={expires}; HttpOnly; SameSite=Strict"
    )
    assert answer.headers["x-ratelimit-limit"] == "1000"


async def test_two_tokens_of_one_moment_differ(someone: Any) -> None:
    await someone.add("ann@example.com")
    both = await asyncio.gather(*(someone.login("ann@example.com") for _ in range(2)))
    assert both[0].json()["token"] != both[1].json()["token"]
    assert len(await someone.rows("sessions")) == 2


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({}, "Missing credentials"),
    ({"email": "", "password": PASSWORD}, "Missing credentials"),
    ({"email": "ann@example.com", "password": None}, "Missing credentials"),
    ({"email": "ann", "password": PASSWORD}, "email: Invalid email"),
    ({"email": " ann@example.com ", "password": PASSWORD}, "email: Invalid email"),
    ({"email": ".a@example.com", "password": PASSWORD}, "email: Invalid email"),
    ({"email": "a..b@example.com", "password": PASSWORD}, "email: Invalid email"),
    (
        {"email": "ann@example.com", "password": "short"},
        "password: String must contain at least 8 character(s)",
    ),
    (
        {"email": "ann@example.com", "password": "x" * 129},
        "password: String must contain at most 128 character(s)",
    ),
    (
        {"email": "ann@example.com", "password": " " * 9},
        "password: Password cannot be only spaces",
    ),
    (
        {"email": "no", "password": " "},
        "email: Invalid email password: String must contain at least 8 character(s) "
        "password: Password cannot be only spaces",
    ),
    ({"email": ["a"], "password": PASSWORD}, "email: Expected string, received array"),
    ({"email": {"gt": ""}, "password": PASSWORD}, "email: Expected string, received object"),
    (
        {"email": 7, "password": True},
        "email: Expected string, received number password: Expected string, received boolean",
    ),
    ({"email": "nobody@example.com", "password": PASSWORD}, "Email does not exist."),
    ({"email": "ann@example.com", "password": "wrongwrong1"}, "Incorrect password."),
]


async def test_refusals_are_404_with_a_message(someone: Any) -> None:
    await someone.add("ann@example.com")
    for body, message in REFUSALS:
        answer = await someone.server.client.post("/api/auth/login", json=body)
        assert (answer.status_code, answer.json()) == (404, {"message": message}), body
        assert "set-cookie" not in answer.headers


async def test_a_list_as_body_is_refused(someone: Any) -> None:
    answer = await someone.server.client.post("/api/auth/login", json=["a"])
    assert answer.status_code == 400


async def test_accounts_can_be_hidden(people: Any) -> None:
    async with people({"LOCUTORY_HIDE_ACCOUNTS": "true"}) as someone:
        await someone.add("ann@example.com")
        unknown = await someone.login("nobody@example.com")
        wrong = await someone.login("ann@example.com", "wrongwrong1")
        assert unknown.status_code == wrong.status_code == 404
        assert unknown.content == wrong.content


async def test_email_login_can_be_switched_off(people: Any) -> None:
    async with people({"ALLOW_EMAIL_LOGIN": "false"}) as someone:
        await someone.add("ann@example.com")
        answer = await someone.login("ann@example.com")
        assert (answer.status_code, answer.json()) == (
            403,
            {"message": "Email login is not allowed."},
        )
    override = {"ALLOW_EMAIL_LOGIN": "false", "ALLOW_EMAIL_LOGIN_OVERRIDE": "true"}
    async with people(override) as someone:
        await someone.add("ann@example.com")
        assert (await someone.login("ann@example.com")).status_code == 200


async def test_a_directory_shuts_out_stored_passwords(people: Any) -> None:
    directory = {"LDAP_URL": "ldap://127.0.0.1", "LDAP_USER_SEARCH_BASE": "dc=example"}
    async with people(directory) as someone:
        await someone.add("ann@example.com")
        assert (await someone.login("ann@example.com")).status_code == 503


async def test_the_limit_counts_every_request(people: Any) -> None:
    async with people({"LOGIN_MAX": "2", "LOGIN_WINDOW": "5"}) as someone:
        for _ in range(2):
            assert (await someone.login("nobody@example.com", "x")).status_code == 404
        answer = await someone.login("nobody@example.com", "x")
        assert answer.status_code == 429
        assert answer.json() == {
            "message": "Too many login attempts, please try again after 5 minutes."
        }
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert 1 <= int(answer.headers["retry-after"]) <= 301


async def test_a_second_factor_leaves_the_session_pending(someone: Any) -> None:
    await someone.add("ann@example.com")
    users = someone.server.kernel.database.collection("users")
    await users.update_one({"email": "ann@example.com"}, {"$set": {"twoFactorEnabled": True}})
    answer = await someone.login("ann@example.com")
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["twoFAPending", "tempToken"]
    assert "set-cookie" not in answer.headers
    assert await someone.rows("sessions") == []
    claims = jwt.decode(body["tempToken"], SECRET, algorithms=["HS256"])
    assert claims["twoFAPending"] is True
    assert claims["exp"] - claims["iat"] == 300
    assert (await someone.me(body["tempToken"])).json() == {"message": "Unauthorized"}


async def test_hidden_members_never_leave(someone: Any) -> None:
    await someone.add("ann@example.com")
    users = someone.server.kernel.database.collection("users")
    secrets = {
        "totpSecret": "SECRET",
        "pendingTotpSecret": "SECRET",
        "backupCodes": [{"codeHash": "SECRET"}],
        "pendingBackupCodes": [{"codeHash": "SECRET"}],
        "subagentAdmissionFences": [{"token": "SECRET"}],
    }
    await users.update_one({"email": "ann@example.com"}, {"$set": secrets})
    stored = await someone.account("ann@example.com")
    answer = await someone.login("ann@example.com")
    refreshed = await someone.server.client.post("/api/auth/refresh")
    seen = await someone.me(answer.json()["token"])
    for text in (answer.text, refreshed.text, seen.text):
        assert "SECRET" not in text
        assert stored["password"] not in text
        assert '"__v"' not in text


class TestVerification:
    """Accounts whose e-mail address is not verified."""

    async def test_is_needed_when_mail_is_configured(self, people: Any, mailbox: Any) -> None:
        async with people(mailbox.settings) as someone:
            await someone.register("ann@example.com")
            stored = await someone.account("ann@example.com")
            assert stored["emailVerified"] is False
            week = stored["createdAt"] + timedelta(days=7)
            assert stored["expiresAt"] == week
            answer = await someone.login("ann@example.com")
            assert (answer.status_code, answer.json()) == (422, {"message": "Email not verified."})

    async def test_can_be_waived(self, people: Any, mailbox: Any) -> None:
        waived = {**mailbox.settings, "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true"}
        async with people(waived) as someone:
            await someone.register("ann@example.com")
            assert "expiresAt" not in await someone.account("ann@example.com")
            users = someone.server.kernel.database.collection("users")
            soon = datetime.now(UTC) + timedelta(days=1)
            await users.update_one({}, {"$set": {"expiresAt": soon}})
            assert (await someone.login("ann@example.com")).status_code == 200
            assert "expiresAt" not in await someone.account("ann@example.com")

    async def test_is_not_asked_of_accounts_older_than_it(self, someone: Any) -> None:
        await someone.add("ann@example.com")
        users = someone.server.kernel.database.collection("users")
        old = datetime(2024, 6, 1, tzinfo=UTC)
        await users.update_one({}, {"$set": {"emailVerified": False, "createdAt": old}})
        answer = await someone.login("ann@example.com")
        assert answer.status_code == 200
        assert answer.json()["user"]["emailVerified"] is True
        assert (await someone.account("ann@example.com"))["emailVerified"] is True
        fresh = datetime(2024, 6, 8, tzinfo=UTC)
        await users.update_one({}, {"$set": {"emailVerified": False, "createdAt": fresh}})
        assert (await someone.login("ann@example.com")).status_code == 422


class TestMigratedPasswords:
    """Hashes that LibreChat wrote."""

    async def store(self, someone: Any, password: str, variant: str = "$2a$") -> str:
        await someone.add("ann@example.com")
        salt = bcrypt.gensalt(10)
        # bcryptjs cuts silently what our library refuses.
        stored = variant + bcrypt.hashpw(password.encode()[:72], salt).decode()[4:]
        users = someone.server.kernel.database.collection("users")
        await users.update_one({}, {"$set": {"password": stored}})
        return stored

    async def test_longer_than_72_bytes(self, someone: Any) -> None:
        password = "pässwörd " * 14
        assert len(password.encode()) > 72
        await self.store(someone, password)
        assert (await someone.login("ann@example.com", password)).status_code == 200
        assert (await someone.login("ann@example.com", "y" + password[1:])).status_code == 404

    async def test_stay_as_they_are_by_default(self, someone: Any) -> None:
        stored = await self.store(someone, PASSWORD)
        assert (await someone.login("ann@example.com")).status_code == 200
        assert (await someone.account("ann@example.com"))["password"] == stored

    async def test_become_argon2_on_demand(self, people: Any) -> None:
        async with people({"PASSWORD_REHASH": "true"}) as someone:
            await self.store(someone, PASSWORD, "$2b$")
            assert (await someone.login("ann@example.com", "wrongwrong1")).status_code == 404
            assert (await someone.account("ann@example.com"))["password"].startswith("$2b$")
            assert (await someone.login("ann@example.com")).status_code == 200
            fresh = (await someone.account("ann@example.com"))["password"]
            assert fresh.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
            assert (await someone.login("ann@example.com")).status_code == 200
            assert (await someone.account("ann@example.com"))["password"] == fresh

    async def test_argon2_is_read_without_being_asked_for(self, people: Any) -> None:
        name = "test_auth_argon2_stays"
        async with people({"PASSWORD_REHASH": "true"}, database=name) as someone:
            await someone.register("ann@example.com")
        async with people(database=name) as someone:
            try:
                assert (await someone.login("ann@example.com")).status_code == 200
            finally:
                await someone.server.kernel.database.client.drop_database(name)

    @pytest.mark.parametrize("stored", ["", "plain", "$2b$10$short", "$argon2id$broken"])
    async def test_a_broken_hash_opens_nothing(self, someone: Any, stored: str) -> None:
        await someone.add("ann@example.com")
        users = someone.server.kernel.database.collection("users")
        await users.update_one({}, {"$set": {"password": stored}})
        assert (await someone.login("ann@example.com")).status_code == 404


async def test_a_social_account_has_no_password(someone: Any) -> None:
    await someone.add("ann@example.com")
    users = someone.server.kernel.database.collection("users")
    await users.update_one({}, {"$unset": {"password": ""}, "$set": {"provider": "google"}})
    answer = await someone.login("ann@example.com")
    assert answer.json() == {"message": "Email does not exist."}
