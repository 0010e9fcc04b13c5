"""Whole chat turns against a real server process: time to the first token, CPU, memory."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp

from locutory_testing.database import Databases
from tests.bench.measure import (
    Running,
    cpu_seconds,
    free_port,
    locutory,
    process,
    resident_mb,
    table,
)
from tests.bench.routes import BROWSER, sign_in

ROOT = "00000000-0000-0000-0000-000000000000"
# LibreChat's Node server on a machine of this size: seconds to the first token (low, high).
LIBRECHAT = {1: (0.033, 0.033), 10: (0.2, 0.2), 50: (0.9, 1.3), 100: (1.9, 2.5)}
TOKENS = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """One turn as its reader saw it: seconds to the first token and to the end."""

    first: float
    last: float
    tokens: int


async def turn(session: aiohttp.ClientSession, base: str, model: str) -> Seen:
    """Start a chat, follow its stream to the end."""
    started = time.perf_counter()
    body = {
        "text": "go",
        "parentMessageId": ROOT,
        "messageId": str(uuid4()),
        "endpoint": "Fake",
        "endpointType": "custom",
        "model": model,
        "isContinued": False,
        "generationProtocolVersion": 2,
    }
    async with session.post(f"{base}/api/agents/chat/Fake", json=body) as answer:
        stream = (await answer.json())["streamId"]
    first, tokens = 0.0, 0
    async with session.get(f"{base}/api/agents/chat/stream/{stream}") as answer:
        async for line in answer.content:
            if not line.startswith(b"data: "):
                continue
            if b'"on_message_delta"' in line:
                first = first or time.perf_counter() - started
                event = json.loads(line[6:])
                tokens += sum(
                    part["text"].count("tok") for part in event["data"]["delta"]["content"]
                )
            elif b'"final"' in line:
                break
    return Seen(first, time.perf_counter() - started, tokens)


async def crowd(base: str, token: str, chats: int, model: str) -> list[Seen]:
    """That many turns at once."""
    headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        return await asyncio.gather(*(turn(session, base, model) for _ in range(chats)))


@contextmanager
def serving(databases: Databases, folder: Path) -> Iterator[Running]:
    """A server with an endpoint whose models are served by `tests.bench.model`."""
    port, llm = free_port(), free_port()
    (folder / "librechat.yaml").write_text(
        "endpoints:\n  custom:\n    - {name: Fake, apiKey: k, titleConvo: false,"
        f" baseURL: 'http://127.0.0.1:{llm}/v1',"
        " models: {default: [fast, paced], fetch: false}}\n"
    )
    environment = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MONGO_URI": databases.address(f"turns_{port}"),
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        "ALLOW_REGISTRATION": "true",
        "LOGIN_MAX": "1000000",
        "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true",
        "CONFIG_PATH": str(folder / "librechat.yaml"),
    }
    root = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    model = [sys.executable, "-m", "tests.bench.model", str(llm)]
    with (
        process(model, llm, root, folder / "llm.log"),
        process([locutory(), "serve"], port, environment, folder / "ours.log") as ours,
    ):
        yield ours


def run(databases: Databases, folder: Path) -> str:
    """The whole benchmark as text."""
    rows = []
    with serving(databases, folder) as ours:
        idle = resident_mb(ours.pid)
        _, token = sign_in(ours.url)
        asyncio.run(crowd(ours.url, token, 3, "fast"))
        for chats in (1, 10, 50, 100):
            before = cpu_seconds(ours.pid)
            seen = asyncio.run(crowd(ours.url, token, chats, "paced"))
            cpu = (cpu_seconds(ours.pid) - before) * 1000 / chats
            assert all(each.tokens == TOKENS for each in seen)
            first = statistics.median(each.first for each in seen)
            low, high = LIBRECHAT[chats]
            rows.append(
                [
                    str(chats),
                    f"{first * 1000:.0f}",
                    f"{low * 1000:.0f}–{high * 1000:.0f}",
                    f"{first / ((low + high) / 2):.2f}",
                    f"{cpu:.1f}",
                    f"{cpu * 1000 / TOKENS:.0f}",
                    f"{resident_mb(ours.pid):.0f}",
                ]
            )
        before = cpu_seconds(ours.pid)
        for _ in range(10):
            asyncio.run(crowd(ours.url, token, 1, "fast"))
        burst = (cpu_seconds(ours.pid) - before) * 1000 / 10
    head = (
        "chats",
        "first token ms",
        "LibreChat ms",
        "ratio",
        "CPU ms a turn",
        "CPU µs a token",
        "MB",
    )
    return (
        f"{table(head, rows)}\n\nA turn of {TOKENS} tokens that all come at once: {burst:.1f} ms CPU "
        f"(LibreChat 55–70 ms). Idle {idle:.0f} MB, ready in {ours.seconds_to_ready:.2f} s."
    )
