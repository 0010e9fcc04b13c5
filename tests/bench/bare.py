"""The yardstick: bare Starlette handlers that do the same find and return the same bytes."""

import os
from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
    os.environ["BENCH_MONGO_URI"], tz_aware=True
)
database = client[os.environ["BENCH_DATABASE"]]
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


async def user(_request: Request) -> Response:
    return reply(
        await database["users"].find_one({"_id": ObjectId(USER)}, {"password": 0, "__v": 0})
    )


async def conversations(_request: Request) -> Response:
    query = {
        "user": USER,
        "isArchived": {"$in": [None, False]},
        "$or": [
            {"isTemporary": False, "expiredAt": None},
            {"isTemporary": False, "expiredAt": {"$gt": datetime.now(UTC)}},
            {"isTemporary": None, "expiredAt": None},
        ],
    }
    cursor = (
        database["conversations"].find(query, ROW).sort([("updatedAt", -1), ("_id", -1)]).limit(26)
    )
    rows = await cursor.to_list()
    return reply({"conversations": rows[:25], "nextCursor": "x" if len(rows) > 25 else None})


async def messages(request: Request) -> Response:
    query = {"conversationId": request.path_params["id"], "user": USER}
    return reply(await database["messages"].find(query, HIDDEN).sort("createdAt", 1).to_list())


async def ready(_request: Request) -> Response:
    return Response("OK")


app = Starlette(
    routes=[
        Route("/readyz", ready),
        Route("/api/user", user),
        Route("/api/convos", conversations),
        Route("/api/messages/{id}", messages),
    ]
)
