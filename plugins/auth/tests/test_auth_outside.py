"""Sessions that an identity provider keeps (contract oauth §5.4, §5.5; kernel §6)."""

from collections.abc import Mapping
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import AUTHENTICATORS, Principal, Provide, Request, Unauthorized, hook
from locutory.plugins.plugin import Plugin
from locutory_contracts.sign_in import (
    OUTSIDE_SESSIONS,
    OutsideAnswer,
    OutsideEnd,
    OutsideSession,
)

COOKIE = {"cookie": "token_provider=remote; refreshToken=theirs"}


class Remote(Plugin):
    """An identity provider whose token is the account's id. ``session_id`` and ``began`` are
    those of its only session; ``answer`` and ``fault`` what it does then."""

    name = "remote"
    summary = "Keeps sessions; for tests only"
    provides = (OUTSIDE_SESSIONS, AUTHENTICATORS)

    def __init__(self) -> None:
        self.user = ""
        self.session_id: str | None = str(ObjectId())
        self.began = datetime.now(UTC)
        self.answer: OutsideAnswer | None = OutsideAnswer(200, {"token": "t"}, ["a=b; Path=/"])
        self.fault: Exception | None = None
        self.ended: list[str] = []

    @hook
    def services(self) -> list[Provide]:
        return [Provide(OUTSIDE_SESSIONS, self, "remote"), Provide(AUTHENTICATORS, self, "remote")]

    def session(self, request: Request) -> OutsideSession | None:
        return OutsideSession(self.user, self.session_id, self.began) if self.user else None

    async def refresh(self, request: Request) -> OutsideAnswer | None:
        return self.answer

    async def end(self, request: Request, account: Mapping[str, Any]) -> OutsideEnd:
        if self.fault is not None:
            raise self.fault
        self.ended.append(str(account["_id"]))
        return OutsideEnd({"redirect": "https://id.example/bye"}, ["gone=; Path=/"])

    async def authenticate(self, request: Request) -> Principal:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if not ObjectId.is_valid(token):
            raise Unauthorized("their token")
        return Principal(token)


@pytest.fixture
async def remote(people: Any) -> Any:
    """A server with Ann, who has signed in there."""
    provider = Remote()
    async with people(plugins=[provider]) as someone:
        await someone.add("ann@example.com")
        someone.remote = provider
        provider.user = str((await someone.account("ann@example.com"))["_id"])
        yield someone


async def me(remote: Any, token: str, cookie: Mapping[str, str] = COOKIE) -> Any:
    headers = {"authorization": f"Bearer {token}", **cookie}
    return await remote.server.client.get("/api/me", headers=headers)


class TestRecognising:
    async def test_by_their_token_then_by_ours(self, remote: Any) -> None:
        user = remote.remote.user
        assert (await me(remote, user)).json()["id"] == user
        ours = await remote.token("ann@example.com")
        assert (await me(remote, ours)).json()["id"] == user
        refused = await me(remote, "nonsense")
        assert (refused.status_code, refused.json()) == (401, {"message": "their token"})

    @pytest.mark.parametrize("name", ["", "session", "librechat", "nobody", "remote2"])
    async def test_only_where_the_cookie_names_a_provider(self, remote: Any, name: str) -> None:
        cookie = {"cookie": f"token_provider={name}"}
        assert (await me(remote, remote.remote.user, cookie)).status_code == 401

    async def test_only_its_own_session(self, remote: Any) -> None:
        assert (await me(remote, str(ObjectId()))).status_code == 401
        user, remote.remote.user = remote.remote.user, ""
        assert (await me(remote, user)).status_code == 401

    async def test_what_the_account_decides(self, remote: Any) -> None:
        user = remote.remote.user
        await remote.auth.sessions.close_all(ObjectId(user))
        assert (await me(remote, user)).status_code == 401
        remote.remote.began = datetime.now(UTC)
        assert (await me(remote, user)).status_code == 200
        await remote.change("ann@example.com", agentTriggerDeletionStartedAt=datetime.now(UTC))
        remote.auth.cache.clear()
        answer = await me(remote, user)
        assert answer.json()["code"] == "ACCOUNT_DELETION_IN_PROGRESS"


class TestByCookie:
    """Entry "cookie" of `AUTHENTICATORS`, for what a page shows."""

    async def test_is_enough_while_the_session_lives(self, remote: Any) -> None:
        by_cookie = remote.server.kernel.services.named(AUTHENTICATORS, "cookie")

        def request(cookie: str) -> Request:
            headers = [(b"cookie", cookie.encode())]
            scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
            # Not the request that later tests are in.
            unread: Any = None
            return copy_context().run(Request, scope, unread, unread, remote.server.kernel)

        theirs = request(COOKIE["cookie"])
        assert (await by_cookie.authenticate(theirs)).id == remote.remote.user
        for other in ("token_provider=nobody; refreshToken=theirs", "refreshToken=theirs"):
            with pytest.raises(Unauthorized):
                await by_cookie.authenticate(request(other))
        await remote.auth.sessions.close_all(ObjectId(remote.remote.user))
        with pytest.raises(Unauthorized):
            await by_cookie.authenticate(theirs)
        remote.remote.user = ""
        with pytest.raises(Unauthorized):
            await by_cookie.authenticate(theirs)


class TestRefreshing:
    async def test_is_theirs(self, remote: Any) -> None:
        answer = await remote.post("/api/auth/refresh", **COOKIE)
        assert (answer.status_code, answer.json()) == (200, {"token": "t"})
        assert answer.headers["set-cookie"] == "a=b; Path=/"
        remote.remote.answer = OutsideAnswer(302, None, location="/login")
        answer = await remote.post("/api/auth/refresh", **COOKIE)
        assert (answer.status_code, answer.headers["location"]) == (302, "/login")

    async def test_is_ours_when_they_do_not_want_it(self, remote: Any) -> None:
        remote.remote.answer = None
        answer = await remote.post("/api/auth/refresh", **COOKIE)
        assert (answer.status_code, answer.text) == (403, "Invalid refresh token")

    async def test_not_once_it_was_ended(self, remote: Any) -> None:
        await remote.auth.sessions.close_all(ObjectId(remote.remote.user))
        answer = await remote.post("/api/auth/refresh", **COOKIE)
        assert (answer.status_code, answer.text) == (403, "Invalid refresh token")
        remote.remote.began = datetime.now(UTC)
        assert (await remote.post("/api/auth/refresh", **COOKIE)).status_code == 200

    async def test_not_for_those_who_are_banned_or_gone(self, remote: Any) -> None:
        await remote.auth.bans.put("general", 0, None, user=remote.remote.user)
        remote.auth.cache.clear()
        assert (await remote.post("/api/auth/refresh", **COOKIE)).status_code == 403
        await remote.auth.bans.lift(remote.remote.user)
        await remote.change("ann@example.com", agentTriggerDeletionStartedAt=datetime.now(UTC))
        remote.auth.cache.clear()
        assert (await remote.post("/api/auth/refresh", **COOKIE)).status_code == 401
        remote.remote.user = str(ObjectId())
        assert (await remote.post("/api/auth/refresh", **COOKIE)).status_code == 302


class TestLoggingOut:
    async def test_ends_it_there_and_here(self, remote: Any) -> None:
        user = remote.remote.user
        answer = await remote.post("/api/auth/logout", token=user, **COOKIE)
        assert answer.json() == {
            "redirect": "https://id.example/bye",
            "message": "Logout successful",
        }
        assert answer.headers.get_list("set-cookie")[-1] == "gone=; Path=/"
        assert remote.remote.ended == [user]
        assert (await me(remote, user)).status_code == 401
        assert (await remote.post("/api/auth/refresh", **COOKIE)).status_code == 403
        remote.remote.session_id = str(ObjectId())  # another browser's
        assert (await me(remote, user)).status_code == 200

    async def test_of_a_session_of_ours_is_told_too(self, remote: Any) -> None:
        token = await remote.token("ann@example.com")
        answer = await remote.post("/api/auth/logout", token=token)
        assert answer.json()["redirect"] == "https://id.example/bye"
        assert (await me(remote, remote.remote.user)).status_code == 200

    async def test_of_an_account_that_is_gone(self, remote: Any) -> None:
        user = remote.remote.user
        assert await remote.auth.accounts.delete(user)
        answer = await remote.post("/api/auth/logout", token=user, **COOKIE)
        assert (answer.status_code, answer.json()) == (200, {"message": "Logout successful"})

    async def test_when_they_are_broken(self, remote: Any) -> None:
        remote.remote.fault = RuntimeError("no")
        answer = await remote.post("/api/auth/logout", token=remote.remote.user, **COOKIE)
        assert (answer.status_code, answer.json()) == (200, {"message": "Logout successful"})
        assert (await me(remote, remote.remote.user)).status_code == 401
