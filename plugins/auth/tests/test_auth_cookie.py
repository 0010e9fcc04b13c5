"""Who a browser is that sends only its cookies (entry "cookie" of `AUTHENTICATORS`)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from locutory import AUTHENTICATORS, JSON, Context, Plugin, Request, Route, hook
from locutory.access import Public


class Pictures(Plugin):
    """Tells whose cookie it was sent, as a plugin that serves pictures would ask."""

    name = "pictures"
    summary = "Whose cookie is it; for tests only"
    wants = (AUTHENTICATORS,)

    @hook
    def routes(self, ctx: Context) -> list[Route]:
        self.services = ctx.services
        return [
            Route(
                path="/api/picture",
                endpoint=self.show,
                access=Public("asks itself"),
                summary="Whose",
            )
        ]

    async def show(self, request: Request) -> JSON:
        by_cookie = self.services.named(AUTHENTICATORS, "cookie")
        assert by_cookie is not None
        return JSON({"id": (await by_cookie.authenticate(request)).id})


class Visitor:
    """Ann's browser, with the tokens of one sign-in."""

    def __init__(self, someone: Any, answer: httpx2.Response) -> None:
        self.someone = someone
        self.access = answer.json()["token"]
        self.cookie = str(answer.cookies["refreshToken"])

    async def look(self, cookie: str | None = None, provider: str = "librechat") -> httpx2.Response:
        self.someone.server.client.cookies.clear()
        sent = f"refreshToken={cookie or self.cookie}; token_provider={provider}"
        client: httpx2.AsyncClient = self.someone.server.client
        return await client.get("/api/picture", headers={"cookie": sent})

    async def refresh(self) -> str:
        self.someone.server.client.cookies.clear()
        sent = {"cookie": f"refreshToken={self.cookie}; token_provider=librechat"}
        answer = await self.someone.server.client.post("/api/auth/refresh", headers=sent)
        assert answer.status_code == 200
        return str(answer.cookies["refreshToken"])


@pytest.fixture
async def ann(people: Any) -> Any:
    async with people(plugins=[Pictures()]) as someone:
        await someone.add("ann@example.com")
        answer = await someone.login("ann@example.com")
        yield Visitor(someone, answer)


async def test_tells_whose_session_it_is_and_changes_nothing(ann: Any) -> None:
    user = (await ann.someone.account("ann@example.com"))["_id"]
    before = [await ann.someone.rows(name) for name in ("sessions", "locutory_refresh")]
    answer = await ann.look()
    assert (answer.status_code, answer.json()) == (200, {"id": str(user)})
    assert "set-cookie" not in answer.headers
    assert [await ann.someone.rows(n) for n in ("sessions", "locutory_refresh")] == before


async def test_the_token_replaced_a_moment_ago_still_counts(ann: Any) -> None:
    fresh = await ann.refresh()
    assert (await ann.look(fresh)).status_code == 200
    assert (await ann.look()).status_code == 200  # a page that was loading meanwhile
    rotations = ann.someone.server.kernel.database.collection("locutory_refresh")
    (row,) = await rotations.find({}).to_list()
    past = datetime.now(UTC) - timedelta(seconds=1)
    recent = [{**entry, "until": past} for entry in row["recent"]]
    await rotations.update_one({"_id": row["_id"]}, {"$set": {"recent": recent}})
    assert (await ann.look()).status_code == 401
    # An old token that only looks is no theft: the session lives on.
    assert (await ann.look(fresh)).status_code == 200


async def test_nobody_without_a_live_session(ann: Any) -> None:
    for bad in ("x", "a.b.c", ann.access, ann.cookie[:-2] + "xx"):
        assert (await ann.look(bad)).status_code == 401
    assert (await ann.look(provider="openid")).status_code == 401
    assert (await ann.someone.server.client.get("/api/picture")).status_code == 401
    sessions = ann.someone.server.kernel.database.collection("sessions")
    past = datetime.now(UTC) - timedelta(seconds=1)
    await sessions.update_one({}, {"$set": {"expiration": past}})
    assert (await ann.look()).status_code == 401


async def test_nobody_after_signing_out(ann: Any) -> None:
    ann.someone.server.client.cookies.clear()
    headers = {"cookie": f"refreshToken={ann.cookie}", "authorization": f"Bearer {ann.access}"}
    assert (
        await ann.someone.server.client.post("/api/auth/logout", headers=headers)
    ).status_code == 200
    assert (await ann.look()).status_code == 401


async def test_a_cookie_opens_no_other_route(ann: Any) -> None:
    ann.someone.server.client.cookies.clear()
    sent = {"cookie": f"refreshToken={ann.cookie}; token_provider=librechat"}
    assert (await ann.someone.server.client.get("/api/me", headers=sent)).status_code == 401
