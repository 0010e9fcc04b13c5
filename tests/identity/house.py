"""A server with accounts, on which people sign in through other services."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from locutory_testing import Serve, Server
from tests.identity.browser import OURS, Browser

FAILED = f"{OURS}/login?redirect=false&error=auth_failed"


@dataclass(slots=True)
class House:
    """The server, and a browser on it that has an address bar of its own."""

    server: Server

    async def arrive(self, way: str, **fields: str) -> str:
        """Sign in by a way, in a browser that is new at the provider; where it ends."""
        start = await self.server.client.get(f"/oauth/{way}")
        async with Browser() as browser:
            back = await browser.sign_in(start.headers["location"], **fields)
        answer = await self._come_back(back)
        if answer.status_code == 303:
            answer = await self.server.client.get(answer.headers["location"])
        return str(answer.headers["location"])

    async def _come_back(self, request: httpx2.Request) -> httpx2.Response:
        path = str(request.url).removeprefix(OURS)
        if request.method == "GET":
            return await self.server.client.get(path)
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        async with self.server.connect() as stranger:  # the provider's site has no cookie of ours
            return await stranger.post(path, data=form)

    async def accounts(self) -> list[dict[str, Any]]:
        """All accounts."""
        rows = self.server.kernel.database.collection("users")
        return [dict(row) for row in await rows.find({}).to_list()]

    async def only(self) -> dict[str, Any]:
        """The one account."""
        (account,) = await self.accounts()
        return account

    async def refresh(self) -> dict[str, Any]:
        """The answer to a page load, as the web client makes it."""
        answer = await self.server.client.post("/api/auth/refresh")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def is_in(self, token: str) -> bool:
        """Does the server know who has this token?"""
        headers = {"authorization": f"Bearer {token}"}
        return (await self.server.client.get("/api/user", headers=headers)).status_code == 200


@asynccontextmanager
async def open_house(
    serve: Serve, environment: Mapping[str, str], yaml: Mapping[str, Any] | None = None
) -> AsyncIterator[House]:
    """A server with this environment."""
    given = {"ALLOW_SOCIAL_LOGIN": "true", "LOGIN_MAX": "1000", **environment}
    plugins = ("auth", "roles", "users", "oauth")
    async with serve(*plugins, environment=given, yaml=dict(yaml or {})) as server:
        yield House(server)
