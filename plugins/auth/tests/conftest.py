"""People for the tests of sign-in, and a route that says who is signed in."""

import asyncio
import base64
import hashlib
import hmac
import re
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol

import bcrypt
import httpx2
import pytest
from aiosmtpd.smtp import SMTP, Envelope

from locutory import JSON, Plugin, Request, Route, SignedIn, hook
from locutory_auth.second_factor import codes
from locutory_testing import Serve, Server
from locutory_testing.programs import redis_server
from locutory_testing.waiting import until

PASSWORD = "password123"
QUICK_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
OPEN = {"ALLOW_REGISTRATION": "true", "LOGIN_MAX": "1000", "REGISTER_MAX": "1000"}


def backup(*codes: str) -> list[dict[str, Any]]:
    """Backup codes as they are stored."""
    return [
        {"codeHash": hashlib.sha256(code.encode()).hexdigest(), "used": False, "usedAt": None}
        for code in codes
    ]


@pytest.fixture
def stored_codes() -> Callable[..., list[dict[str, Any]]]:
    """``stored_codes("0011aabb")``: backup codes as they are stored."""
    return backup


def _code_of(moment: float, secret: str, steps: int = 0) -> str:
    """What an app shows at a moment, or some steps of 30 seconds from it (RFC 6238)."""
    step = struct.pack(">Q", int(moment) // 30 + steps)
    digest = hmac.digest(base64.b32decode(secret), step, "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


@pytest.fixture
def still_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the cache of the process does not run out, however long the test takes."""
    moment = time.monotonic()
    monkeypatch.setattr("locutory.data.cache.time", SimpleNamespace(monotonic=lambda: moment))


@pytest.fixture
def code_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``code_of(secret)``: what an app shows. The clock of the codes stands still."""
    moment = time.time()
    monkeypatch.setattr(codes, "time", SimpleNamespace(time=lambda: moment))
    return partial(_code_of, moment)


class Mailbox:
    """A mail server that keeps what it is sent. ``refuse``: it answers so instead."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse = ""
        self.refused = 0
        self.port = 0

    @property
    def settings(self) -> dict[str, str]:
        return {
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(self.port),
            "EMAIL_FROM": "us@example.com",
            "APP_TITLE": "Test Chat",
            "RESET_PASSWORD_MAX": "1000",
            "VERIFY_EMAIL_MAX": "1000",
        }

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse:
            self.refused += 1
            return self.refuse
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    async def next(self, count: int = 1) -> EmailMessage:
        """The newest letter, once so many are here."""
        await until(lambda: len(self.messages) >= count, "no mail came")
        return self.messages[-1]

    async def link(self, count: int = 1) -> httpx2.URL:
        """The link of the newest letter, the same in its text and its HTML."""
        message = await self.next(count)
        found = {
            address.replace("&amp;", "&")
            for kind in ("plain", "html")
            if (part := message.get_body((kind,))) is not None
            for address in re.findall(r"https?://[^\s\"<]+", part.get_content())
        }
        assert len(found) == 1, found
        return httpx2.URL(found.pop())


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server on a port of its own."""
    box = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, enable_SMTPUTF8=True), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


class Mirror(Plugin):
    """Tells the caller who they are."""

    name = "mirror"
    summary = "Tells the caller who they are; for tests only"

    @hook
    def routes(self) -> list[Route]:
        return [Route(path="/api/me", endpoint=self.show, access=SignedIn(), summary="Who am I")]

    async def show(self, request: Request) -> JSON:
        caller = request.caller
        return JSON({"id": caller.id, "role": caller.role, "account": caller.account})


class People:
    """Registers and signs people in on one server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @staticmethod
    def form(email: str, /, **changes: Any) -> dict[str, Any]:
        """A registration; ``None`` as a change removes nothing, it is sent as null."""
        return {
            "name": "Alice Example",
            "username": "alice",
            "email": email,
            "password": PASSWORD,
            "confirm_password": PASSWORD,
            **changes,
        }

    async def add(self, email: str, **changes: Any) -> None:
        """An account as LibreChat stores it, with `PASSWORD` at a cost that tests can pay."""
        moment = datetime.now(UTC)
        document = {
            "name": "Alice Example",
            "username": "alice",
            "email": email,
            "emailVerified": True,
            "password": QUICK_HASH,
            "avatar": None,
            "provider": "local",
            "role": "USER",
            "plugins": [],
            "twoFactorEnabled": False,
            "backupCodes": [],
            "termsAccepted": False,
            "termsAcceptedAt": None,
            "personalization": {"memories": True, "statefulCodeEnvironment": "user"},
            "refreshToken": [],
            "favorites": [],
            "skillStates": {},
            "createdAt": moment,
            "updatedAt": moment,
            "__v": 0,
            **changes,
        }
        await self.server.kernel.database.collection("users").insert_one(document)

    async def register(self, email: str, /, **changes: Any) -> httpx2.Response:
        return await self.server.client.post("/api/auth/register", json=self.form(email, **changes))

    async def login(
        self, email: str, password: str = PASSWORD, client: httpx2.AsyncClient | None = None
    ) -> httpx2.Response:
        body = {"email": email, "password": password}
        return await (client or self.server.client).post("/api/auth/login", json=body)

    async def account(self, email: str) -> dict[str, Any]:
        """The stored document."""
        found = await self.server.kernel.database.collection("users").find_one({"email": email})
        assert found is not None
        return found

    async def rows(self, collection: str) -> list[dict[str, Any]]:
        return await self.server.kernel.database.collection(collection).find({}).to_list()

    async def post(
        self, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        sent = {} if body is None else body
        return await self.server.client.post(path, json=sent, headers=headers)

    async def token(self, email: str, password: str = PASSWORD) -> str:
        """An access token of a new session."""
        return str((await self.login(email, password)).json()["token"])

    async def change(self, email: str, **fields: Any) -> None:
        """Change the stored document behind the server's back."""
        users = self.server.kernel.database.collection("users")
        await users.update_one({"email": email}, {"$set": fields})

    async def protect(self, stored: str, *codes: str, email: str = "ann@example.com") -> None:
        """Give somebody a second factor, as LibreChat would have stored it."""
        factor = {"twoFactorEnabled": True, "totpSecret": stored, "backupCodes": backup(*codes)}
        await self.change(email, **factor)
        self.auth.cache.clear()

    async def pending(self, email: str = "ann@example.com") -> str:
        """The temporary token of somebody with a second factor."""
        return str((await self.login(email)).json()["tempToken"])

    @property
    def auth(self) -> Any:
        """The plugin's container."""
        return next(p for p in self.server.kernel.plugins if p.name == "auth").container  # type: ignore[attr-defined]

    async def me(self, token: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        return await self.server.client.get("/api/me", headers=headers)


class Open(Protocol):
    def __call__(
        self, environment: dict[str, str] | None = None, **options: Any
    ) -> AbstractAsyncContextManager[People]: ...


@pytest.fixture
def people(serve: Serve) -> Open:
    """``async with people({...}) as someone:`` — a server on which anybody may register."""

    @asynccontextmanager
    async def start(
        environment: dict[str, str] | None = None, plugins: Any = (), **options: Any
    ) -> AsyncIterator[People]:
        async with serve(
            "auth", Mirror(), *plugins, environment={**OPEN, **(environment or {})}, **options
        ) as server:
            yield People(server)

    return start


@pytest.fixture
async def someone(people: Open) -> AsyncIterator[People]:
    """Such a server, ready."""
    async with people() as found:
        yield found


@pytest.fixture(scope="session")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of our own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as (url, _):
        yield url
