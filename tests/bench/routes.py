"""CPU of the read routes: ours against bare Starlette handlers on the same database, which each of
the two opens itself: there is no other process."""

import asyncio
import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from bson import ObjectId

from locutory_testing.database import Databases
from tests.bench.measure import Running, cost, free_port, locutory, process, resident_mb, table

# Route → at most this many times the bare handler.
LIMITS = {"/api/user": 3.0, "/api/convos": 2.0, "/api/messages/:id": 2.5}
# LibreChat's Node server on a machine of this size, CPU milliseconds a request (low, high).
LIBRECHAT = {
    "/api/user": (1.0, 1.5),
    "/api/config": (1.7, 2.7),
    "/api/endpoints": (1.1, 1.9),
    "/api/convos": (2.3, 4.1),
    "/api/messages/:id": (1.5, 1.9),
}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"


def post(base: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """A JSON POST; returns the JSON answer."""
    request = urllib.request.Request(  # noqa: S310
        base + path,
        json.dumps(body).encode(),
        {"content-type": "application/json", "user-agent": BROWSER},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found


def sign_in(base: str) -> tuple[str, str]:
    """(user id, access token) of a new account."""
    email, password = f"{uuid4().hex}@example.com", "password123"
    fields = {"name": "Bench", "username": "", "email": email, "password": password}
    post(base, "/api/auth/register", {**fields, "confirm_password": password})
    answer = post(base, "/api/auth/login", {"email": email, "password": password})
    return str(answer["user"]["_id"]), str(answer["token"])


def seed(
    databases: Databases, database: str, user: str, conversations: int = 500, messages: int = 50
) -> str:
    """Write the history of one user as LibreChat stores it; returns the conversation with
    messages."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = []
    for number in range(conversations):
        moment = start + timedelta(minutes=number)
        rows.append(
            {
                "_id": ObjectId(),
                "conversationId": str(uuid4()),
                "user": user,
                "title": f"Conversation {number}",
                "endpoint": "Fake",
                "endpointType": "custom",
                "model": "fake-20-0",
                "messages": [],
                "tags": [],
                "files": [],
                "isArchived": False,
                "isTemporary": False,
                "expiredAt": None,
                "createdAt": moment,
                "updatedAt": moment,
                "__v": 0,
            }
        )
    chosen = rows[-1]["conversationId"]
    parent = "00000000-0000-0000-0000-000000000000"
    lines = []
    for number in range(messages):
        moment, own = start + timedelta(seconds=number), number % 2 == 0
        message_id = str(uuid4())
        body: dict[str, Any] = (
            {"text": "How does it work? " * 10}
            if own
            else {"text": "", "content": [{"type": "text", "text": "It works like this. " * 60}]}
        )
        lines.append(
            {
                "_id": ObjectId(),
                "messageId": message_id,
                "conversationId": chosen,
                "user": user,
                "parentMessageId": parent,
                "sender": "User" if own else "Fake",
                "isCreatedByUser": own,
                "endpoint": "Fake",
                "model": None if own else "fake-20-0",
                "tokenCount": 40,
                "unfinished": False,
                "error": False,
                "isTemporary": False,
                "expiredAt": None,
                "createdAt": moment,
                "updatedAt": moment,
                "__v": 0,
                **body,
            }
        )
        parent = message_id

    async def write() -> None:
        async with databases.opened(database) as store:
            await store["conversations"].insert_many(rows)
            await store["messages"].insert_many(lines)

    asyncio.run(write())
    return str(chosen)


@contextmanager
def bare_handlers(address: str, user: str, log: Path) -> Iterator[Running]:
    """`tests.bench.bare` for a user, on the database of an address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.bench.bare:app", "--port", str(port)]
    quiet = ["--no-access-log", "--log-level", "error"]
    environment = {
        "BENCH_DATABASE": address,
        "BENCH_USER": user,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    with process([*command, *quiet], port, environment, log) as running:
        yield running


def measure(
    ours: Running, bare: Running | None, token: str, chosen: str, count: int
) -> list[list[str]]:
    """Rows of the table: ours, bare, ratio, limit, LibreChat's figure."""
    headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER}
    paths = {
        "/api/user": "/api/user",
        "/api/config": "/api/config",
        "/api/endpoints": "/api/endpoints",
        "/api/convos": "/api/convos",
        "/api/messages/:id": f"/api/messages/{chosen}",
    }
    rows = []
    for name, path in paths.items():
        mine, size = cost(ours, path, count, headers)
        cells = [name, f"{size / 1024:.1f}", f"{mine:.3f}"]
        if bare is not None and name in LIMITS:
            other, _ = cost(bare, path, count, headers)
            cells += [f"{other:.3f}", f"{mine / other:.2f}", f"≤ {LIMITS[name]}"]
        else:
            cells += ["–", "–", "–"]
        low, high = LIBRECHAT[name]
        rows.append([*cells, f"{low}–{high}", f"{mine / ((low + high) / 2):.2f}"])
    return rows


def run(databases: Databases, folder: Path, count: int = 400) -> str:
    """The whole benchmark as text."""
    database = f"bench_{uuid4().hex[:8]}"
    port = free_port()
    environment = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MONGO_URI": databases.address(database),
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        "ALLOW_REGISTRATION": "true",
        "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true",
        "CONFIG_PATH": str(folder / "librechat.yaml"),
    }
    (folder / "librechat.yaml").write_text(
        "endpoints:\n  custom:\n    - {name: Fake, apiKey: k, baseURL: 'http://127.0.0.1:9/v1',"
        " models: {default: [fake-20-0], fetch: false}}\n"
    )
    with process([locutory(), "serve"], port, environment, folder / "ours.log") as ours:
        idle = resident_mb(ours.pid)
        user, token = sign_in(ours.url)
        chosen = seed(databases, database, user)
        with bare_handlers(databases.address(database), user, folder / "bare.log") as bare:
            rows = measure(ours, bare, token, chosen, count)
        text = table(
            ("route", "kB", "ours ms", "bare ms", "ratio", "limit", "LibreChat ms", "of LibreChat"),
            rows,
        )
        return (
            f"{text}\n\nready in {ours.seconds_to_ready:.2f} s, {idle:.0f} MB resident idle, "
            f"{resident_mb(ours.pid):.0f} MB after the requests"
        )
