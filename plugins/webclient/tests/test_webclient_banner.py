"""``GET /api/banner`` (contract user §12)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from locutory_testing import Serve, Server, SignIn

USER = {"Authorization": f"Bearer {'a' * 24}"}
MOMENT = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


async def add(server: Server, name: str, **fields: Any) -> None:
    document = {
        "bannerId": name,
        "message": f"<b>{name}</b>",
        "displayFrom": MOMENT - HOUR,
        "type": "banner",
        "isPublic": True,
        "persistable": False,
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
        "__v": 0,
        **fields,
    }
    await server.kernel.database.collection("banners").insert_one(document)


async def test_nothing_is_an_empty_answer(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        for headers in ({}, USER, {"Authorization": "Bearer bad"}):
            answer = await server.client.get("/api/banner", headers=headers)
            assert (answer.status_code, answer.content) == (200, b"")
            assert "content-type" not in answer.headers


async def test_the_whole_document(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        await add(server, "one", displayTo=MOMENT + HOUR)
        answer = await server.client.get("/api/banner")
        assert answer.status_code == 200
        banner = answer.json()
        assert len(banner.pop("_id")) == 24
        stamp = MOMENT.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        assert banner == {
            "bannerId": "one",
            "message": "<b>one</b>",
            "displayFrom": (MOMENT - HOUR).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "displayTo": (MOMENT + HOUR).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "type": "banner",
            "isPublic": True,
            "persistable": False,
            "createdAt": stamp,
            "updatedAt": stamp,
            "__v": 0,
        }


async def test_only_the_first_in_force_counts(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        await add(server, "later", displayFrom=MOMENT + HOUR)
        await add(server, "over", displayTo=MOMENT - timedelta(minutes=1))
        await add(server, "popup", type="popup")
        await add(server, "members", isPublic=False, displayTo=None)
        await add(server, "public")
        assert (await server.client.get("/api/banner")).content == b""
        banner = (await server.client.get("/api/banner", headers=USER)).json()
        assert banner["bannerId"] == "members"
