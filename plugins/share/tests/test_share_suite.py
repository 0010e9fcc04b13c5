"""What every plugin must hold, the declaration of the collection, and hostile input."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from locutory.data.database import indexes_of
from locutory_share.documents import SharedLink
from locutory_testing import PluginSuite

INDEXES = """title_1 user_1 shareId_1 targetMessageId_1 tenantId_1 expiredAt_1 updatedAt_-1
    conversationId_1_user_1_targetMessageId_1_tenantId_1
    user_1_createdAt_1__id_1 user_1_title_1__id_1"""
OPERATOR = {"$ne": None}
ODD = [
    "%7B%22%24ne%22%3Anull%7D",
    "[$ne]=",
    "%00",
    "%2e%2e%2f",
    quote("ü" * 50),
    "x" * 4000,
    "a%2Fb",
    "$where",
]


class TestShare(PluginSuite):
    plugin = "share"
    readme = Path(__file__).parents[1] / "README.md"


def test_indexes_are_those_of_the_contract() -> None:
    declared = {index.document["name"]: index.document for index in indexes_of(SharedLink)}
    assert sorted(declared) == sorted(INDEXES.split())
    assert declared["expiredAt_1"]["expireAfterSeconds"] == 0
    assert not any(index.get("unique") for index in declared.values())


@pytest.mark.parametrize("odd", ODD)
async def test_odd_ids_find_nothing(world: Any, odd: str) -> None:
    await world.alice.share(await world.chat(world.alice.id, "Hi"))
    for method, path in (
        ("GET", f"/api/share/{odd}"),
        ("GET", f"/api/share/{odd}/config"),
        ("POST", f"/api/share/{odd}/fork"),
        ("GET", f"/api/share/{odd}/files/{odd}"),
        ("GET", f"/api/share/{odd}/files/{odd}/download"),
        ("GET", f"/api/share/{odd}/files/{odd}/preview"),
        ("POST", f"/api/share/{odd}"),
        ("PATCH", f"/api/share/{odd}"),
        ("DELETE", f"/api/share/{odd}"),
    ):
        body: Any = {} if method in ("POST", "PATCH") else None
        answer = await world.bob.call(method, path, body)
        assert answer.status_code == 404, f"{method} {path}: {answer.text}"
    answer = await world.bob.get(f"/api/share/link/{odd}")
    assert answer.status_code == 200
    assert answer.json()["success"] is False


@pytest.mark.parametrize("broken", ["%", "%zz", "%ff"])
async def test_broken_encodings_are_refused(world: Any, broken: str) -> None:
    for path in (f"/api/share/{broken}", f"/api/share/x/files/{broken}"):
        assert (await world.bob.get(path)).status_code in (400, 404)


@pytest.mark.parametrize("value", [OPERATOR, ["a"], {"$regex": ".*"}, 3, 1e300, {"a.b": 1}])
async def test_operators_never_reach_the_database(world: Any, value: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    path = f"/api/share/{made['shareId']}"
    for method, at in (("POST", path), ("PATCH", path)):
        answer = await world.alice.call(method, at, {"targetMessageId": value})
        assert answer.status_code == 400
    for body in ({"shareRevision": value}, [value]):
        assert (await world.bob.call("POST", f"{path}/fork", body)).status_code == 400
    assert (await world.alice.call("PATCH", path, [value])).status_code == 400


async def test_a_foreign_link_answers_as_one_that_does_not_exist(world: Any) -> None:
    made = await world.alice.share(await world.chat(world.alice.id, "Hi"))
    for method, path in (("PATCH", ""), ("DELETE", "")):
        answers = [
            await world.bob.call(method, f"/api/share/{share}{path}", {})
            for share in (made["shareId"], "n" * 21)
        ]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].content == answers[1].content
    chats = [made["conversationId"], "00000000-0000-4000-8000-000000000000"]
    answers = [await world.bob.call("POST", f"/api/share/{chat}", {}) for chat in chats]
    assert answers[0].content == answers[1].content
    found = [(await world.bob.get(f"/api/share/link/{chat}")).json() for chat in chats]
    assert [one.pop("conversationId") for one in found] == chats
    assert found[0] == found[1]


async def test_bodies_are_bounded(world: Any) -> None:
    body = {"targetMessageId": "x" * (4 * 1024 * 1024)}
    answer = await world.alice.call("POST", "/api/share/x", body)
    assert answer.status_code == 413
