"""The yardstick: bare Starlette handlers that do the same find on the same database and return the
same bytes. ``BENCH_DATABASE`` is its address, ``BENCH_USER`` the id of who asks."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from bson import ObjectId
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from locutory.data.database import open_database
from locutory.settings import KernelConfig

ADDRESS = os.environ["BENCH_DATABASE"]
USER = os.environ["BENCH_USER"]
HIDDEN = {
    "_id": 0,
    "__v": 0,
    "user": 0,
    "clientId": 0,
    "invocationId": 0,
    "conversationSignature": 0,
    "summary": 0,
    "summaryTokenCount": 0,
    "contextMeta": 0,
    "_meiliIndex": 0,
}
ROW = dict.fromkeys(
    (
        "conversationId",
        "endpoint",
        "title",
        "createdAt",
        "updatedAt",
        "user",
        "model",
        "agent_id",
        "spec",
        "iconURL",
    ),
    1,
)


def default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return str(value)


def reply(content: Any) -> Response:
    body = orjson.dumps(content, default=default, option=orjson.OPT_PASSTHROUGH_DATETIME)
    return Response(body, media_type="application/json")


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Keeps the database open: ``request.state.database``."""
    client = await open_database(KernelConfig(), Path(), address=ADDRESS)
    try:
        yield {"database": client.get_default_database("LibreChat")}
    finally:
        await client.close()


async def user(request: Request) -> Response:
    users = request.state.database["users"]
    return reply(await users.find_one({"_id": ObjectId(USER)}, {"password": 0, "__v": 0}))


async def conversations(request: Request) -> Response:
    query = {
        "user": USER,
        "isArchived": {"$in": [None, False]},
        "$or": [
            {"isTemporary": False, "expiredAt": None},
            {"isTemporary": False, "expiredAt": {"$gt": datetime.now(UTC)}},
            {"isTemporary": None, "expiredAt": None},
        ],
    }
    found = request.state.database["conversations"].find(query, ROW)
    rows = await found.sort([("updatedAt", -1), ("_id", -1)]).limit(26).to_list()
    return reply({"conversations": rows[:25], "nextCursor": "x" if len(rows) > 25 else None})


async def messages(request: Request) -> Response:
    query = {"conversationId": request.path_params["id"], "user": USER}
    found = request.state.database["messages"].find(query, HIDDEN)
    return reply(await found.sort("createdAt", 1).to_list())


async def ready(_request: Request) -> Response:
    return Response("OK")


app = Starlette(
    routes=[
        Route("/readyz", ready),
        Route("/api/user", user),
        Route("/api/convos", conversations),
        Route("/api/messages/{id}", messages),
    ],
    lifespan=lifespan,
)
