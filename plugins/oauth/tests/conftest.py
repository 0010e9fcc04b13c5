"""Accounts, browsers and providers for the tests of sign-in through other services."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import uvicorn
from beanie import Document
from bson import ObjectId
from starlette.applications import Starlette
from starlette.routing import Route as StarletteRoute

from locutory import (
    AUTHENTICATORS,
    JSON,
    Context,
    Plugin,
    Principal,
    Provide,
    Public,
    Request,
    Route,
    hook,
)
from locutory.responses import answer
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.sign_in import (
    OUTSIDE_SESSIONS,
    SIGN_INS,
    Identity,
    IdentityRefused,
    OpenedSession,
)
from locutory_oauth.plugin import OAuthPlugin
from locutory_testing import Serve, Server

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
OPEN = {"ALLOW_SOCIAL_LOGIN": "true", "ALLOW_SOCIAL_REGISTRATION": "true", "LOGIN_MAX": "1000"}


class Person(Document):
    """An account of the tests."""

    email: str

    class Settings:
        name = "people_of_tests"


class People(Plugin):
    """Accounts and sessions by the rules of the contract, so that the tests need no other
    plugin; and the routes at which others would use what the plugin offers."""

    name = "people"
    summary = "Accounts for tests"
    provides = (SIGN_INS, ACCOUNTS)

    def __init__(self) -> None:
        self.identities: list[Identity] = []
        self.opened: list[str] = []

    @hook
    def documents(self) -> list[type[Document]]:
        return [Person]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self._ctx = ctx
        return [Provide(SIGN_INS, self), Provide(ACCOUNTS, self)]

    @hook
    def routes(self) -> list[Route]:
        anybody = Public("for tests")
        return [
            Route(path="/refresh", endpoint=self._refresh, access=anybody, summary="Refresh"),
            Route(path="/logout/{id}", endpoint=self._logout, access=anybody, summary="Log out"),
            Route(path="/me", endpoint=self._me, access=anybody, summary="Who am I"),
        ]

    @property
    def rows(self) -> Any:
        return self._ctx.database[Person]

    async def add(self, **fields: Any) -> str:
        fields = {"role": "USER", **fields}
        return str((await self.rows.insert_one(fields)).inserted_id)

    async def only(self) -> dict[str, Any]:
        """The one account that there is."""
        found = await self.rows.find({}).to_list()
        assert len(found) == 1
        return dict(found[0])

    # SIGN_INS

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        self.identities.append(identity)
        key: dict[str, Any] = {identity.key: identity.subject} if identity.subject else {}
        if identity.issuer is not None:
            key["openidIssuer"] = identity.issuer
        known = await self.rows.find_one(key) if identity.subject else None
        if known is None and identity.email:
            known = await self.rows.find_one({"email": identity.email})
            if known is not None:
                if known.get("provider") != identity.provider:
                    raise IdentityRefused("other_provider", "another provider")
                bound = known.get(identity.key) and identity.provider != "saml"
                if not identity.email_verified or bound:
                    raise IdentityRefused("unverified", "an address is no proof")
        if known is None:
            if not may_register:
                raise IdentityRefused("registration_closed", "registration is closed")
            if not identity.email:
                raise IdentityRefused("no_address", "no address")
            return await self.add(
                **{"provider": identity.provider, "email": identity.email, **key},
                emailVerified=identity.email_verified,
                **identity.fields,
            )
        await self.rows.update_one({"_id": known["_id"]}, {"$set": {**key, **identity.fields}})
        return str(known["_id"])

    async def open(
        self,
        user_id: str,
        *,
        token_provider: str = "librechat",
        skip_second_factor: bool = False,
        address: str = "",
        agent: str = "",
    ) -> OpenedSession:
        assert skip_second_factor
        self.opened.append(user_id)
        cookie = f"refreshToken=session-of-{user_id}; Path=/; HttpOnly; SameSite=Strict"
        return OpenedSession("access", {}, [cookie, f"token_provider={token_provider}; Path=/"])

    async def close_all(self, user_id: str) -> None:
        raise NotImplementedError

    # ACCOUNTS

    async def find(self, user_id: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self.rows.find_one({"_id": ObjectId(user_id)})
        return found

    async def update(self, user_id: str, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        await self.rows.update_one({"_id": ObjectId(user_id)}, {"$set": dict(fields)})
        return await self.find(user_id)

    async def count(self) -> int:
        return int(await self.rows.count_documents({}))

    async def delete(self, user_id: str) -> bool:
        raise NotImplementedError

    # What the plugin for accounts does with the sessions of an identity provider

    async def _refresh(self, request: Request) -> Any:
        sessions = self._ctx.services.named(OUTSIDE_SESSIONS, "openid")
        found = None if sessions is None else await sessions.refresh(request)
        if found is None:
            return answer(418, "not mine")
        headers = {"location": found.location} if found.location else None
        response = answer(found.status, found.body, headers)
        for cookie in found.cookies:
            response.headers.append("set-cookie", cookie)
        return response

    async def _logout(self, request: Request) -> JSON:
        sessions = self._ctx.services.named(OUTSIDE_SESSIONS, "openid")
        account = await self.find(request.path_params["id"])
        assert sessions is not None
        assert account is not None
        found = await sessions.end(request, account)
        response = JSON(dict(found.members))
        for cookie in found.cookies:
            response.headers.append("set-cookie", cookie)
        return response

    async def _me(self, request: Request) -> JSON:
        authenticator = self._ctx.services.named(AUTHENTICATORS, "openid")
        assert authenticator is not None
        principal: Principal = await authenticator.authenticate(request)
        return JSON({"id": principal.id, "role": principal.role})


@dataclass(slots=True)
class Site:
    """A running server with its accounts, and a browser on it."""

    server: Server
    people: People

    @property
    def browser(self) -> httpx2.AsyncClient:
        return self.server.client

    async def start(self, name: str, browser: httpx2.AsyncClient | None = None) -> str:
        """Where a browser is sent to sign in."""
        response = await (browser or self.browser).get(f"/oauth/{name}")
        assert response.status_code == 302, response.text
        return str(response.headers["location"])

    async def come_back(
        self, location: str, browser: httpx2.AsyncClient | None = None
    ) -> httpx2.Response:
        """Follow a redirect to our public address."""
        assert location.startswith(CLIENT)
        return await (browser or self.browser).get(location.removeprefix(CLIENT))


class Open(Protocol):
    def __call__(
        self,
        environment: Mapping[str, str],
        *others: Plugin,
        addresses: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AbstractAsyncContextManager[Site]: ...


@pytest.fixture
def site(serve: Serve) -> Open:
    """``async with site({...}) as found:`` — a server on which people may sign in."""

    @asynccontextmanager
    async def start(
        environment: Mapping[str, str],
        *others: Plugin,
        addresses: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncIterator[Site]:
        people = People()
        plugin = OAuthPlugin(addresses)
        given = {**OPEN, **environment}
        async with serve(plugin, people, *others, environment=given, **options) as server:
            yield Site(server, people)

    return start


def query_of(url: str) -> dict[str, str]:
    """The query of an address, each name once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.fixture
def query() -> Callable[[str], dict[str, str]]:
    return query_of


# Providers


@asynccontextmanager
async def _listening(app: Starlette) -> AsyncIterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none", http="h11")
        server = uvicorn.Server(config)
        server.capture_signals = _nothing  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:  # noqa: ASYNC110  (uvicorn tells nobody)
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task


@contextmanager
def _nothing() -> Iterator[None]:
    yield


Listen = Callable[[list[StarletteRoute]], AbstractAsyncContextManager[str]]


@pytest.fixture
def listen() -> Listen:
    """``async with listen([...]) as address:`` — another web server."""
    return lambda routes: _listening(Starlette(routes=routes))


@dataclass(slots=True)
class LogBook:
    """Everything that was logged, as text."""

    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(self.lines)

    def codes(self) -> Collection[str]:
        """The reasons of refusals."""
        return re.findall(r"'code': '([a-z_]+)'", self.text())


@pytest.fixture
def logged() -> Iterator[LogBook]:
    """The log of this test."""
    import structlog

    book = LogBook()

    def note(_: Any, __: str, event: Any) -> Any:
        book.lines.append(str(event))
        return event

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[note, *before])
    yield book
    structlog.configure(processors=before)
