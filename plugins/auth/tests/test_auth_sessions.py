"""The caller's own sessions, and ending sessions at once (security §4)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook
from locutory_auth.sessions.tokens import Tokens
from locutory_contracts.chat import GENERATIONS

SESSIONS = "/api/auth/sessions"
JWT_SECRET = "test-jwt-secret-test-jwt-secret-test"


@pytest.fixture
async def ann(someone: Any) -> Any:
    """Ann, signed in twice."""
    await someone.add("ann@example.com")
    someone.one = await someone.token("ann@example.com")
    someone.two = await someone.token("ann@example.com")
    return someone


async def ask(someone: Any, token: str, method: str = "GET", path: str = "") -> Any:
    headers = {"authorization": f"Bearer {token}"}
    return await someone.server.client.request(method, SESSIONS + path, headers=headers)


async def test_lists_where_one_is_signed_in(ann: Any) -> None:
    await ann.add("bob@example.com")
    await ann.token("bob@example.com")
    answer = await ask(ann, ann.one)
    assert answer.status_code == 200
    listed = answer.json()["sessions"]
    assert [each["current"] for each in listed] == [False, True]
    for each in listed:
        assert sorted(each) == [
            "createdAt",
            "current",
            "expiresAt",
            "id",
            "ip",
            "lastUsedAt",
            "userAgent",
        ]
        assert each["ip"] == "127.0.0.1"
        assert each["userAgent"].startswith("Mozilla/5.0")
    rows = await ann.rows("sessions")
    assert {each["id"] for each in listed} < {str(row["_id"]) for row in rows}
    assert all(set(row) == {"_id", "user", "expiration", "refreshTokenHash", "__v"} for row in rows)


async def test_sessions_of_librechat_are_listed_too(ann: Any) -> None:
    user = (await ann.account("ann@example.com"))["_id"]
    sessions = ann.server.kernel.database.collection("sessions")
    moment = datetime.now(UTC)
    live = {"user": user, "refreshTokenHash": "x", "expiration": moment + timedelta(days=1)}
    over = {"user": user, "refreshTokenHash": "y", "expiration": moment - timedelta(seconds=1)}
    await sessions.insert_one(live)
    await sessions.insert_one(over)
    listed = (await ask(ann, ann.one)).json()["sessions"]
    assert len(listed) == 3
    assert sorted(listed[0]) == ["createdAt", "current", "expiresAt", "id"]


async def test_ends_one(ann: Any) -> None:
    listed = (await ask(ann, ann.one)).json()["sessions"]
    other = next(each["id"] for each in listed if not each["current"])
    answer = await ask(ann, ann.one, "DELETE", f"/{other}")
    assert (answer.status_code, answer.json()) == (200, {"ended": 1})
    assert (await ann.me(ann.two)).status_code == 401
    assert (await ann.me(ann.one)).status_code == 200
    assert (await ask(ann, ann.one, "DELETE", f"/{other}")).status_code == 404
    assert (await ann.post("/api/auth/refresh")).status_code == 401
    current = next(each["id"] for each in listed if each["current"])
    assert (await ask(ann, ann.one, "DELETE", f"/{current}")).json() == {"ended": 1}
    assert (await ann.me(ann.one)).status_code == 401
    assert await ann.rows("locutory_refresh") == []


async def test_ends_all_others(ann: Any) -> None:
    third = await ann.token("ann@example.com")
    await ann.add("bob@example.com")
    bob = await ann.token("bob@example.com")
    assert (await ask(ann, ann.one, "DELETE")).json() == {"ended": 2}
    assert [(await ann.me(t)).status_code for t in (ann.one, ann.two, third, bob)] == [
        200,
        401,
        401,
        200,
    ]
    assert (await ask(ann, ann.one, "DELETE")).json() == {"ended": 0}


async def test_others_sessions_are_unknown(ann: Any) -> None:
    await ann.add("bob@example.com")
    bob = await ann.token("bob@example.com")
    theirs = (await ask(ann, bob)).json()["sessions"][0]["id"]
    answers = [
        await ask(ann, ann.one, "DELETE", f"/{session}")
        for session in (theirs, str(ObjectId()), "nonsense", "$gt")
    ]
    assert {(a.status_code, a.text) for a in answers} == {(404, '{"message":"Session not found"}')}
    assert (await ann.me(bob)).status_code == 200


async def test_nobody_without_a_session(someone: Any) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("DELETE", f"/{ObjectId()}")):
        assert (await someone.server.client.request(method, SESSIONS + path)).status_code == 401


async def test_a_token_of_librechat_has_no_current_session(ann: Any) -> None:
    user = str((await ann.account("ann@example.com"))["_id"])
    moment = int(datetime.now(UTC).timestamp())
    token = jwt.encode({"id": user, "iat": moment, "exp": moment + 900}, JWT_SECRET)
    listed = (await ask(ann, token)).json()["sessions"]
    assert [each["current"] for each in listed] == [False, False]
    assert (await ask(ann, token, "DELETE")).json() == {"ended": 2}


async def test_signing_out_ends_the_access_token_too(ann: Any) -> None:
    answer = await ann.post("/api/auth/logout", token=ann.two)
    assert answer.status_code == 200
    assert (await ann.me(ann.two)).status_code == 401
    assert (await ann.me(ann.one)).status_code == 200


async def test_a_stolen_refresh_token_ends_the_access_tokens(ann: Any) -> None:
    stolen = ann.server.client.cookies["refreshToken"]
    fresh = (await ann.post("/api/auth/refresh")).json()["token"]
    rotations = ann.server.kernel.database.collection("locutory_refresh")
    past = datetime.now(UTC) - timedelta(seconds=1)
    for row in await rotations.find({}).to_list():
        recent = [{**entry, "until": past} for entry in row["recent"]]
        await rotations.update_one({"_id": row["_id"]}, {"$set": {"recent": recent}})
    ann.server.client.cookies.clear()
    cookie = {"cookie": f"refreshToken={stolen}"}
    assert (await ann.post("/api/auth/refresh", **cookie)).status_code == 401
    assert (await ann.me(fresh)).status_code == 401
    assert (await ann.me(ann.one)).status_code == 200


async def test_closing_all_ends_tokens_of_librechat_too(ann: Any) -> None:
    user = (await ann.account("ann@example.com"))["_id"]
    moment = int(datetime.now(UTC).timestamp())
    claims = {"id": str(user), "iat": moment, "exp": moment + 900}
    token = jwt.encode(claims, JWT_SECRET)
    undated = jwt.encode({"id": str(user), "exp": moment + 900}, JWT_SECRET)
    strange = jwt.encode({**claims, "at": 1e300, "iat": "x"}, JWT_SECRET)
    for each in (token, undated, strange):
        assert (await ann.me(each)).status_code == 200
    await ann.auth.sessions.close_all(user)
    for each in (token, undated, strange, ann.one, ann.two):
        assert (await ann.me(each)).status_code == 401
    # Whoever signs in now is in, in this same second.
    assert (await ann.me(await ann.token("ann@example.com"))).status_code == 200


async def test_a_refresh_that_began_before_gives_nothing(ann: Any) -> None:
    """Its access token bears the time at which it began."""
    user = (await ann.account("ann@example.com"))["_id"]
    tokens = Tokens(ann.server.kernel.credentials, 900)
    began = datetime.now(UTC)
    await asyncio.sleep(0.002)
    await ann.auth.sessions.close_all(user)
    late = tokens.access({"_id": user, "email": "ann@example.com"}, ObjectId(), began)
    assert (await ann.me(late)).status_code == 401


async def test_refreshing_while_all_is_closed(ann: Any) -> None:
    """Whichever comes first, nobody stays signed in."""
    user = (await ann.account("ann@example.com"))["_id"]
    refreshes = [ann.post("/api/auth/refresh") for _ in range(4)]
    answers = await asyncio.gather(*refreshes, ann.auth.sessions.close_all(user))
    for answer in answers[:-1]:
        if answer.status_code == 200:
            assert (await ann.me(answer.json()["token"])).status_code == 401
    assert (await ann.post("/api/auth/refresh")).status_code != 200


class Turns(Plugin):
    """Remembers whose turns were stopped; breaks on demand."""

    name = "turns"
    summary = "Running turns; for tests only"
    provides = (GENERATIONS,)

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.broken = False

    @hook
    def services(self) -> list[Provide]:
        return [Provide(GENERATIONS, self)]

    async def stop_all(self, user: str) -> None:
        self.stopped.append(user)
        if self.broken:
            raise RuntimeError("turns cannot be stopped")


async def test_what_another_process_ends_is_noticed(people: Any) -> None:
    """Two servers on one database, without Redis: the second one notices by itself."""
    name, turns = "test_auth_two_processes", Turns()
    yaml = {"plugins": {"auth": {"account_cache_seconds": 3600}}}
    async with (
        people(database=name, yaml=yaml) as one,
        people(database=name, yaml=yaml, plugins=[turns]) as two,
    ):
        try:
            await one.add("ann@example.com")
            user = (await one.account("ann@example.com"))["_id"]
            token = await one.token("ann@example.com")
            assert (await two.me(token)).status_code == 200
            await two.auth.revocations.watch()
            assert turns.stopped == []
            await one.auth.sessions.close_all(user)
            for _ in range(2):
                await two.auth.revocations.watch()
            assert (await two.me(token)).status_code == 401
            assert turns.stopped == [str(user)]
            # Its own are not noticed as another's.
            await two.auth.sessions.close_all(user)
            await two.auth.revocations.watch()
            assert len(turns.stopped) == 2
        finally:
            await one.server.kernel.database.client.drop_database(name)


async def test_turns_that_cannot_be_stopped_keep_no_session_alive(people: Any) -> None:
    turns = Turns()
    turns.broken = True
    async with people(plugins=[turns]) as someone:
        await someone.add("ann@example.com")
        token = await someone.token("ann@example.com")
        user = (await someone.account("ann@example.com"))["_id"]
        await someone.auth.sessions.close_all(user)
        assert (await someone.me(token)).status_code == 401
