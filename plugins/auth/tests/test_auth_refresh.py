"""``POST /api/auth/refresh`` and ``/logout`` (contract auth §3, §4; security §4)."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
import structlog
from bson import ObjectId

from locutory.settings import KernelConfig
from locutory_auth.sessions.cookies import secure
from locutory_configfile import environment_values

REFRESH_SECRET = "test-refresh-secret-test-refresh-secret"
CLEARED = "Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"


def cookie(answer: httpx2.Response) -> str:
    """The refresh token that an answer hands out."""
    first = answer.headers.get_list("set-cookie")[0]
    assert first.startswith("refreshToken=")
    return first.partition("=")[2].partition(";")[0]


@pytest.fixture
async def signed_in(someone: Any) -> Any:
    """Somebody signed in: a server, his access token and his refresh token."""
    await someone.add("ann@example.com")
    answer = await someone.login("ann@example.com")
    someone.server.client.cookies.clear()
    someone.token, someone.cookie = answer.json()["token"], cookie(answer)
    return someone


async def refresh(someone: Any, token: str, query: str = "", **headers: str) -> httpx2.Response:
    sent = {"cookie": f"refreshToken={token}; token_provider=librechat", **headers}
    client: httpx2.AsyncClient = someone.server.client
    answer = await client.post(f"/api/auth/refresh{query}", headers=sent)
    client.cookies.clear()
    return answer


async def age(someone: Any) -> None:
    """Let the grace of replaced tokens end."""
    rotations = someone.server.kernel.database.collection("locutory_refresh")
    past = datetime.now(UTC) - timedelta(seconds=1)
    for row in await rotations.find({}).to_list():
        recent = [{**entry, "until": past} for entry in row["recent"]]
        await rotations.update_one({"_id": row["_id"]}, {"$set": {"recent": recent}})


async def test_gives_a_new_token_of_the_same_session(signed_in: Any) -> None:
    before = (await signed_in.rows("sessions"))[0]
    answer = await refresh(signed_in, signed_in.cookie)
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["token", "user"]
    assert body["token"] != signed_in.token
    assert body["user"]["email"] == "ann@example.com"
    assert "id" not in body["user"]
    assert (await signed_in.me(body["token"])).status_code == 200
    after = (await signed_in.rows("sessions"))[0]
    assert after["expiration"] == before["expiration"]
    assert set(after) == set(before)
    assert after["refreshTokenHash"] == hashlib.sha256(cookie(answer).encode()).hexdigest()
    flags = answer.headers.get_list("set-cookie")[0].partition("; ")[2]
    expires = after["expiration"].strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert flags == f"Path=/; Expires={expires}; HttpOnly; SameSite=Strict"
    claims = jwt.decode(cookie(answer), REFRESH_SECRET, algorithms=["HS256"])
    assert claims["id"] == str(after["user"])
    assert claims["sessionId"] == str(after["_id"])
    assert claims["exp"] == int(after["expiration"].timestamp())


async def test_without_cookie_is_a_plain_200(someone: Any) -> None:
    for headers in ({}, {"cookie": "refreshToken="}, {"cookie": "other=1"}):
        answer = await someone.server.client.post("/api/auth/refresh", headers=headers)
        assert answer.status_code == 200
        assert answer.text == "Refresh token not provided"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_ten_at_once_get_one_successor(signed_in: Any) -> None:
    answers = await asyncio.gather(*(refresh(signed_in, signed_in.cookie) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    successors = {cookie(answer) for answer in answers}
    assert len(successors) == 1
    assert len(await signed_in.rows("sessions")) == 1
    assert len(await signed_in.rows("locutory_refresh")) == 1
    again = await asyncio.gather(*(refresh(signed_in, *successors) for _ in range(10)))
    assert {answer.status_code for answer in again} == {200}
    assert len({cookie(answer) for answer in again}) == 1


async def test_ten_at_once_on_two_servers_get_one_successor(people: Any) -> None:
    name = "test_auth_refresh_on_two"
    async with people(database=name) as one, people(database=name) as two:
        try:
            await one.add("ann@example.com")
            token = cookie(await one.login("ann@example.com"))
            answers = await asyncio.gather(
                *(refresh(server, token) for _ in range(5) for server in (one, two))
            )
            assert {answer.status_code for answer in answers} == {200}
            assert len({cookie(answer) for answer in answers}) == 1
        finally:
            await one.server.kernel.database.client.drop_database(name)


async def test_the_previous_token_gets_the_same_successor_for_a_while(signed_in: Any) -> None:
    first = cookie(await refresh(signed_in, signed_in.cookie))
    assert cookie(await refresh(signed_in, signed_in.cookie)) == first
    # A late tab, two turns behind, still within its own grace.
    second = cookie(await refresh(signed_in, first))
    assert cookie(await refresh(signed_in, signed_in.cookie)) == second


async def test_reuse_after_the_grace_ends_the_session_for_everybody(signed_in: Any) -> None:
    current = cookie(await refresh(signed_in, signed_in.cookie))
    await age(signed_in)
    stolen = await refresh(signed_in, signed_in.cookie)
    assert stolen.status_code == 401
    assert stolen.text == "Refresh token expired or not found for this user"
    assert await signed_in.rows("sessions") == []
    assert await signed_in.rows("locutory_refresh") == []
    owner = await refresh(signed_in, current)
    assert owner.status_code == 401
    assert (await refresh(signed_in, current, "?retry=true")).status_code == 403


async def test_another_session_of_the_owner_stays(signed_in: Any) -> None:
    other = cookie(await signed_in.login("ann@example.com"))
    await refresh(signed_in, signed_in.cookie)
    await age(signed_in)
    assert (await refresh(signed_in, signed_in.cookie)).status_code == 401
    assert (await refresh(signed_in, other)).status_code == 200


async def test_a_server_that_died_between_two_writes_costs_nothing(signed_in: Any) -> None:
    """The rotation was decided, the session not yet written, no answer sent."""
    sessions = signed_in.server.kernel.database.collection("sessions")
    old = hashlib.sha256(signed_in.cookie.encode()).hexdigest()
    successor = cookie(await refresh(signed_in, signed_in.cookie))
    await sessions.update_one({}, {"$set": {"refreshTokenHash": old}})
    assert cookie(await refresh(signed_in, signed_in.cookie)) == successor
    assert (await refresh(signed_in, successor)).status_code == 200

    again = cookie(await signed_in.login("ann@example.com"))
    before = hashlib.sha256(again.encode()).hexdigest()
    await refresh(signed_in, again)
    await age(signed_in)
    where = {"_id": ObjectId(jwt.decode(again, options={"verify_signature": False})["sessionId"])}
    await sessions.update_one(where, {"$set": {"refreshTokenHash": before}})
    assert (await refresh(signed_in, again)).status_code == 200


async def test_a_session_that_librechat_made_and_turned(signed_in: Any) -> None:
    account = await signed_in.account("ann@example.com")
    session, expires = ObjectId(), datetime.now(UTC) + timedelta(days=1)
    tokens = [
        jwt.encode(
            {"id": str(account["_id"]), "sessionId": str(session), "iat": n, "exp": expires},
            REFRESH_SECRET,
        )
        for n in (1, 2)
    ]
    hashes = [hashlib.sha256(token.encode()).hexdigest() for token in tokens]
    sessions = signed_in.server.kernel.database.collection("sessions")
    row = {"_id": session, "user": account["_id"], "expiration": expires, "__v": 0}
    await sessions.insert_one({**row, "refreshTokenHash": hashes[0]})
    assert (await refresh(signed_in, tokens[0])).status_code == 200
    await sessions.update_one({"_id": session}, {"$set": {"refreshTokenHash": hashes[1]}})
    assert (await refresh(signed_in, tokens[1])).status_code == 200


async def test_an_expired_session_is_over(signed_in: Any) -> None:
    sessions = signed_in.server.kernel.database.collection("sessions")
    past = datetime.now(UTC) - timedelta(seconds=1)
    await sessions.update_one({}, {"$set": {"expiration": past}})
    answer = await refresh(signed_in, signed_in.cookie)
    assert answer.status_code == 401
    retried = await refresh(signed_in, signed_in.cookie, "?retry=true")
    assert (retried.status_code, retried.text) == (403, "No session found")


async def test_a_gone_account_goes_to_the_login_page(signed_in: Any) -> None:
    user = str((await signed_in.account("ann@example.com"))["_id"])
    await signed_in.server.kernel.database.collection("users").delete_many({})
    token = jwt.encode({"id": user[:-4] + "beef", "sessionId": user, "exp": 2**32}, REFRESH_SECRET)
    answer = await refresh(signed_in, token)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/login"


@pytest.mark.parametrize("kind", ["signature", "access", "none", "expired", "endless", "text"])
async def test_a_token_that_does_not_verify(signed_in: Any, kind: str) -> None:
    good = jwt.decode(signed_in.cookie, REFRESH_SECRET, algorithms=["HS256"])
    tokens = {
        "signature": jwt.encode(good, "another-secret-another-secret-another"),
        "access": signed_in.token,
        "none": jwt.encode(good, "", algorithm="none"),
        "expired": jwt.encode({**good, "exp": 1}, REFRESH_SECRET),
        "endless": jwt.encode({k: v for k, v in good.items() if k != "exp"}, REFRESH_SECRET),
        "text": "not-a-token",
    }
    answer = await refresh(signed_in, tokens[kind])
    assert (answer.status_code, answer.text) == (403, "Invalid refresh token")


async def test_of_two_cookies_the_first_counts(signed_in: Any) -> None:
    headers = {"cookie": f"a=b; refreshToken={signed_in.cookie}; refreshToken=old"}
    answer = await signed_in.server.client.post("/api/auth/refresh", headers=headers)
    assert answer.status_code == 200


class TestOtherSites:
    """Browsers send the cookie for the page of another site only if something is wrong; then
    the server does not act on it."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ],
    )
    async def test_are_refused(self, signed_in: Any, headers: dict[str, str]) -> None:
        before = await signed_in.rows("sessions")
        answer = await refresh(signed_in, signed_in.cookie, **headers)
        assert answer.status_code == 403
        sent = {
            **headers,
            "cookie": f"refreshToken={signed_in.cookie}",
            "authorization": f"Bearer {signed_in.token}",
        }
        form = await signed_in.server.client.post("/api/auth/logout", headers=sent, data={"a": "b"})
        assert form.status_code == 403
        assert await signed_in.rows("sessions") == before

    OWN: tuple[dict[str, str], ...] = (
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-site", "origin": "https://chat.example"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:3080"},
        {"origin": "http://127.0.0.1:5000"},
        {"origin": "https://chat.example", "x-forwarded-host": "chat.example"},
        {"origin": "capacitor://localhost"},
    )

    async def test_own_pages_and_programs_are_not(self, signed_in: Any) -> None:
        for headers in self.OWN:
            answer = await refresh(signed_in, signed_in.cookie, **headers)
            assert answer.status_code == 200, headers

    async def test_of_several_proxies_the_first_was_asked(self, signed_in: Any) -> None:
        headers = {"origin": "http://nas.example:3421", "host": "127.0.0.1:3080"}
        hosts = "inner.example, nas.example:3421"
        answer = await refresh(
            signed_in, signed_in.cookie, **headers, **{"x-forwarded-host": hosts}
        )
        assert answer.status_code == 403
        hosts = "nas.example:3421, inner.example"
        answer = await refresh(
            signed_in, signed_in.cookie, **headers, **{"x-forwarded-host": hosts}
        )
        assert answer.status_code == 200

    async def test_a_refusal_names_the_setting(self, signed_in: Any) -> None:
        """A proxy that passes no Host on makes every page look like another site's."""
        headers = {"origin": "http://nas.example:3421", "host": "127.0.0.1:3080"}
        with structlog.testing.capture_logs() as logs:
            answer = await refresh(signed_in, signed_in.cookie, **headers)
        assert answer.status_code == 403
        text = answer.json()["message"]
        assert all(part in text for part in ("nas.example", "127.0.0.1", "DOMAIN_CLIENT"))
        line = next(line for line in logs if line["event"] == "auth.cross_site_refused")
        assert (line["page"], line["asked"]) == ("nas.example", "127.0.0.1")

    async def test_without_a_cookie_nothing_is_at_stake(self, someone: Any) -> None:
        headers = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        answer = await someone.server.client.post("/api/auth/refresh", headers=headers)
        assert answer.text == "Refresh token not provided"


@pytest.mark.parametrize(
    ("environment", "is_secure"),
    [
        ({}, False),
        ({"NODE_ENV": "production"}, False),
        ({"NODE_ENV": "production", "DOMAIN_SERVER": "https://chat.example"}, True),
        ({"NODE_ENV": "production", "DOMAIN_SERVER": "chat.example:8443"}, True),
        ({"NODE_ENV": "production", "DOMAIN_SERVER": "http://my.localhost:3080"}, False),
        ({"NODE_ENV": "production", "DOMAIN_SERVER": "http://[::1]:3080"}, False),
        ({"DOMAIN_SERVER": "https://chat.example"}, True),
        ({"DOMAIN_CLIENT": "HTTPS://chat.example/chat"}, True),
        ({"DOMAIN_SERVER": "https://chat.example", "NODE_ENV": "development"}, True),
        # A browser keeps no Secure cookie of a plain address, and would sign in at each reload.
        ({"NODE_ENV": "production", "DOMAIN_SERVER": "http://nas.example:3421"}, False),
        ({"DOMAIN_SERVER": "http://192.168.1.5:3080"}, False),
        ({"DOMAIN_SERVER": "localhost:3080"}, False),
        ({"SESSION_COOKIE_SECURE": "TRUE"}, True),
        (
            {
                "SESSION_COOKIE_SECURE": "false",
                "NODE_ENV": "production",
                "DOMAIN_SERVER": "https://chat.example",
            },
            False,
        ),
    ],
)
def test_cookies_are_secure_where_they_can_be(environment: dict[str, str], is_secure: bool) -> None:
    kernel = KernelConfig.model_validate(environment_values(KernelConfig, environment))
    assert secure(kernel, environment.get("SESSION_COOKIE_SECURE", "")) is is_secure


async def test_secure_cookies(people: Any) -> None:
    async with people({"SESSION_COOKIE_SECURE": "true"}) as someone:
        await someone.add("ann@example.com")
        answer = await someone.login("ann@example.com")
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 2
        assert all(text.endswith("GMT; HttpOnly; Secure; SameSite=Strict") for text in cookies)


async def test_sessions_last_as_configured(people: Any) -> None:
    environment = {"REFRESH_TOKEN_EXPIRY": "1000 * 60", "SESSION_EXPIRY": "1000 * 30"}
    async with people(environment) as someone:
        await someone.add("ann@example.com")
        answer = await someone.login("ann@example.com")
        row = (await someone.rows("sessions"))[0]
        left = row["expiration"] - datetime.now(UTC)
        assert timedelta(seconds=50) < left <= timedelta(seconds=60)
        claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 30


class TestLogout:
    async def logout(self, someone: Any, token: str, cookies: str = "") -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        if cookies:
            headers["cookie"] = cookies
        client: httpx2.AsyncClient = someone.server.client
        return await client.post("/api/auth/logout", headers=headers, json={})

    async def test_ends_the_session_of_the_cookie(self, signed_in: Any) -> None:
        other = await signed_in.login("ann@example.com")
        signed_in.server.client.cookies.clear()
        current = cookie(await refresh(signed_in, signed_in.cookie))
        answer = await self.logout(signed_in, signed_in.token, f"refreshToken={current}")
        assert (answer.status_code, answer.json()) == (200, {"message": "Logout successful"})
        assert answer.headers.get_list("set-cookie") == [
            f"{name}=; {CLEARED}"
            for name in (
                "refreshToken",
                "openid_access_token",
                "openid_id_token",
                "openid_user_id",
                "token_provider",
            )
        ]
        assert (await refresh(signed_in, current)).status_code == 401
        assert (await refresh(signed_in, cookie(other))).status_code == 200
        assert len(await signed_in.rows("sessions")) == 1

    @pytest.mark.parametrize("cookies", ["", "refreshToken=nonsense"])
    async def test_without_a_session_is_fine_and_ends_none(
        self, signed_in: Any, cookies: str
    ) -> None:
        answer = await self.logout(signed_in, signed_in.token, cookies)
        assert answer.status_code == 200
        assert len(await signed_in.rows("sessions")) == 1

    async def test_never_ends_a_stranger_s_session(self, signed_in: Any) -> None:
        await signed_in.add("bob@example.com")
        stranger = (await signed_in.login("bob@example.com")).json()["token"]
        signed_in.server.client.cookies.clear()
        await self.logout(signed_in, stranger, f"refreshToken={signed_in.cookie}")
        assert (await refresh(signed_in, signed_in.cookie)).status_code == 200

    async def test_of_somebody_who_has_just_deleted_his_account(self, signed_in: Any) -> None:
        """LibreChat's client signs out then, and shows a refusal as a failed sign-in."""
        user = str((await signed_in.account("ann@example.com"))["_id"])
        assert await signed_in.auth.accounts.delete(user)
        current = f"refreshToken={signed_in.cookie}"
        answer = await self.logout(signed_in, signed_in.token, current)
        assert (answer.status_code, answer.json()) == (200, {"message": "Logout successful"})
        assert len(answer.headers.get_list("set-cookie")) == 5
        for token in ("nonsense", f"{signed_in.token}x"):
            assert (await self.logout(signed_in, token, current)).status_code == 401
