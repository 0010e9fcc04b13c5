"""Several worker processes with Redis behave as one server."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from locutory_testing.database import Databases
from locutory_testing.programs import redis_server
from locutory_testing.server import BROWSER
from locutory_testing.waiting import PATIENCE
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis-compatible server on a free port."""
    with redis_server(tmp_path) as (url, _):
        yield url


def with_workers(folder: Path, redis_url: str, **more: str) -> dict[str, Any]:
    """Arguments of `subprocess` for a server of two workers on a Redis."""
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "HOST": "127.0.0.1",
        "USE_REDIS": "true",
        "REDIS_URI": redis_url,
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        **more,
    }
    command = [str(Path(sys.executable).with_name("locutory")), "serve", "--workers", "2"]
    return {"args": command, "env": environment, "cwd": folder}


def settings(folder: Path, port: int, databases: Databases) -> dict[str, str]:
    """Variables of one that has a port, a file and a database."""
    return {
        "PORT": str(port),
        "CONFIG_PATH": str(folder / "librechat.yaml"),
        "MONGO_URI": databases.address(f"workers_{port}"),
    }


@pytest.mark.slow
async def test_any_worker_serves_any_chat(
    redis_url: str, databases: Databases, fake_model: str, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "librechat.yaml").write_text(json.dumps(custom_endpoint(fake_model)), "utf-8")
    log = (tmp_path / "server.log").open("wb")
    command = with_workers(tmp_path, redis_url, **settings(tmp_path, port, databases))
    process = subprocess.Popen(**command, stdout=log, stderr=log)  # noqa: ASYNC220  (returns at once)
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient(
            base_url=base,
            headers={"user-agent": BROWSER},
            timeout=PATIENCE,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
        ) as client:
            for _ in range(1200):
                try:
                    if (await client.get("/readyz")).status_code == 200:
                        break
                except httpx2.TransportError:
                    assert process.poll() is None, (tmp_path / "server.log").read_text("utf-8")
                await asyncio.sleep(0.1)
            person = await Person(client).join("many@example.com")
            # A new connection each time: the kernel of the machine spreads them over workers.
            for number in range(12):
                final = await person.say(f"number {number}")
                assert final["responseMessage"]["content"][0]["text"].strip() == f"number {number}"
            listed = (await client.get("/api/convos")).json()["conversations"]
            assert len(listed) == 12
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, (tmp_path / "server.log").read_text("utf-8")
        log.close()


@pytest.mark.slow
async def test_workers_end_with_their_supervisor(
    redis_url: str, databases: Databases, tmp_path: Path
) -> None:
    """However it ends: who starts the server again finds the port free."""
    port = free_port()
    (tmp_path / "librechat.yaml").write_text("version: 1.3.11\n", "utf-8")
    command = with_workers(tmp_path, redis_url, **settings(tmp_path, port, databases))

    async def started(name: str) -> "subprocess.Popen[bytes]":
        path = tmp_path / name
        with path.open("wb") as log:
            process = subprocess.Popen(**command, stdout=log, stderr=log)  # noqa: ASYNC220  (returns at once)
        async with asyncio.timeout(90):
            while "is ready" not in path.read_text("utf-8"):
                assert process.poll() is None, path.read_text("utf-8")
                await asyncio.sleep(0.1)
        # It says so when the workers serve, not before.
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert b" 200 OK" in connection.recv(1000)
        return process

    first = await started("first.log")
    first.kill()
    first.wait()
    async with asyncio.timeout(60):
        while True:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                    break
                except OSError:
                    await asyncio.sleep(0.2)
    second = await started("second.log")
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0


@pytest.mark.slow
async def test_workers_that_cannot_start_are_not_called_ready(tmp_path: Path) -> None:
    command = with_workers(tmp_path, "redis://127.0.0.1:1", PORT="0")
    run = partial(subprocess.run, **command, capture_output=True, text=True)
    done = await asyncio.to_thread(run)
    assert done.returncode == 1
    assert "is ready" not in done.stderr + done.stdout
    assert "Redis does not answer" in done.stderr + done.stdout
