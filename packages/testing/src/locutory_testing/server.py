"""A kernel served on a free port of 127.0.0.1, for tests."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import uvicorn
from bson import ObjectId

from locutory.access import AUTHENTICATORS, Principal
from locutory.config.configuration import Sources
from locutory.errors import Unauthorized
from locutory.http.request import Request
from locutory.plugins import discovery
from locutory.plugins.plugin import Plugin, hook
from locutory.run.kernel import Kernel
from locutory.services import Provide
from locutory_httpserver.protocol import Protocol
from locutory_testing.database import Databases
from locutory_testing.waiting import PATIENCE

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

STOP_SECONDS = 5.0

SECRETS = {
    "JWT_SECRET": "test-jwt-secret-test-jwt-secret-test",
    "JWT_REFRESH_SECRET": "test-refresh-secret-test-refresh-secret",
    "CREDS_KEY": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "CREDS_IV": "000102030405060708090a0b0c0d0e0f",
}

_TOKEN = re.compile(r"Bearer ([0-9a-f]{24})(?::([A-Z_]+))?")


class SignIn(Plugin):
    """Authenticates ``Authorization: Bearer <24-hex id>[:<ROLE>]``, so that a plugin's tests
    need no other plugin."""

    name = "signin"
    summary = "Signs in whoever the bearer names; for tests only"
    provides = (AUTHENTICATORS,)

    def __init__(self, accounts: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._accounts = dict(accounts or {})

    @hook
    def services(self) -> list[Provide]:
        return [Provide(AUTHENTICATORS, self, "session")]

    async def authenticate(self, request: Request) -> Principal:
        found = _TOKEN.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise Unauthorized("No auth token")
        user, role = found[1], found[2] or "USER"
        account = self._accounts.get(user) or {
            "_id": ObjectId(user),
            "name": "Test User",
            "username": "test",
            "email": f"{user}@example.com",
            "role": role,
            "provider": "local",
        }
        return Principal(id=user, role=role, account=account)


@dataclass(slots=True)
class Server:
    """A running server: its kernel, its address, a client for it, and the name of its database,
    which another server may share."""

    kernel: Kernel
    url: str
    client: httpx2.AsyncClient
    database: str

    def connect(self, bearer: str | None = None) -> httpx2.AsyncClient:
        """Another client with its own cookies; close it with ``async with``."""
        headers = {"user-agent": BROWSER}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        return httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False
        )


class _Uvicorn(uvicorn.Server):
    """uvicorn's server without the pauses at start and stop, which would take most of a test's
    time."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks = set(self.server_state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
        while self.server_state.connections:  # noqa: ASYNC110  (uvicorn tells nobody)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def listening(kernel: Kernel) -> AsyncIterator[str]:
    """Serve a started kernel on a free port; yields its address."""
    # Named as TCP, so that asyncio switches Nagle's delay off.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    config = uvicorn.Config(
        kernel,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=Protocol,
        ws="none",
    )
    server = _Uvicorn(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.001)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stopping.set()
        await task
        sock.close()


class Serve:
    """Starts kernels for a test; call it with plugin names or plugin instances."""

    def __init__(self, databases: Databases, data_dir: Path) -> None:
        self._databases = databases
        self._data_dir = data_dir

    @asynccontextmanager
    async def __call__(
        self,
        *plugins: str | Plugin,
        environment: Mapping[str, str] | None = None,
        yaml: Mapping[str, Any] | None = None,
        database: str | None = None,
    ) -> AsyncIterator[Server]:
        """Start a server. ``database`` names a database to share or keep between servers; without
        it the database is new, and dropped at the end."""
        installed = discovery.available()
        names = [plugin for plugin in plugins if isinstance(plugin, str)]
        loaded = discovery.load(installed, names)
        loaded += [plugin for plugin in plugins if isinstance(plugin, Plugin)]
        name = database or f"test_{uuid4().hex}"
        address = {"MONGO_URI": self._databases.address(name)}
        sources = Sources({**SECRETS, **address, **(environment or {})}, dict(yaml or {}))
        kernel = Kernel(sources, loaded, data_dir=self._data_dir, installed=list(installed))
        await kernel.start()
        try:
            async with listening(kernel) as url:
                server = Server(
                    kernel,
                    url,
                    httpx2.AsyncClient(
                        base_url=url,
                        headers={"user-agent": BROWSER},
                        timeout=PATIENCE,
                        trust_env=False,
                    ),
                    name,
                )
                async with server.client:
                    yield server
                await kernel.lifecycle.drain(PATIENCE)
        finally:
            if database is None:
                await kernel.database.client.drop_database(name)
            await kernel.stop()
