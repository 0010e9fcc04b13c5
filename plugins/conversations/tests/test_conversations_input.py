"""Every route with input that is missing, of a wrong type, too large, an operator, or another
user's id: always the contract's refusal, never a server error, never somebody else's data."""

import itertools
from typing import Any

import pytest

OPERATORS: tuple[Any, ...] = (
    {"$gt": ""},
    {"$ne": None},
    {"$regex": ".*"},
    ["a"],
    {"a": {"b": 1}},
    5,
    1.5,
    True,
    None,
    "",
    "x" * 10_000,
    "a\0b",
    "\U0001f600",
    2**64,
)
WRONG_BODIES: tuple[Any, ...] = ([], [1, 2], {}, {"arg": []}, {"arg": "x"}, {"arg": None})

WRITES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/convos/update", {"arg": {"conversationId": "ID", "title": "t"}}),
    ("POST", "/api/convos/archive", {"arg": {"conversationId": "ID", "isArchived": True}}),
    ("POST", "/api/convos/pin", {"arg": {"conversationId": "ID", "pinned": True}}),
    ("DELETE", "/api/convos", {"arg": {"conversationId": "ID", "source": "button"}}),
    ("PUT", "/api/messages/ID/MID", {"text": "t", "index": 0}),
    ("PUT", "/api/messages/ID/MID/feedback", {"feedback": {"rating": "thumbsUp", "tag": "x"}}),
    ("POST", "/api/messages/artifact/MID", {"index": 0, "original": "a", "updated": "b"}),
    ("POST", "/api/messages/branch", {"messageId": "MID", "agentId": "a"}),
    ("POST", "/api/messages/ID", {"messageId": "MID", "text": "t"}),
    ("DELETE", "/api/messages/ID/MID", {}),
)
READS = (
    "/api/convos/ID",
    "/api/messages/ID",
    "/api/messages/ID/MID",
    "/api/messages?conversationId=ID",
    "/api/messages?conversationId=ID&messageId=MID",
    "/api/convos",
)
QUERIES = {
    "/api/convos": (
        *("cursor", "limit", "isArchived", "pinned", "tags", "sortBy", "sortDirection"),
        "projectId",
    ),
    "/api/messages": ("conversationId", "messageId", "cursor", "pageSize", "sortBy", "search"),
}


def filled(value: Any, conversation_id: str, message_id: str) -> Any:
    if isinstance(value, dict):
        return {key: filled(inner, conversation_id, message_id) for key, inner in value.items()}
    if isinstance(value, str):
        return value.replace("MID", message_id).replace("ID", conversation_id)
    return value


def paths_of(body: Any) -> list[tuple[str, ...]]:
    """Every member of a body, at any depth."""
    found: list[tuple[str, ...]] = []
    for key, inner in body.items():
        found.append((key,))
        if isinstance(inner, dict):
            found += [(key, *rest) for rest in paths_of(inner)]
    return found


def changed(body: Any, path: tuple[str, ...], value: Any) -> Any:
    head, *rest = path
    return {**body, head: changed(body[head], tuple(rest), value) if rest else value}


def dropped(body: Any, path: tuple[str, ...]) -> Any:
    head, *rest = path
    if rest:
        return {**body, head: dropped(body[head], tuple(rest))}
    return {key: value for key, value in body.items() if key != head}


async def everything(world: Any, user: str) -> list[Any]:
    return [
        await world.collection(name).find({"user": user}).sort("_id").to_list()
        for name in ("conversations", "messages")
    ]


async def furnished(world: Any, user: str) -> tuple[str, str]:
    stored = await world.conversation(user)
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "agentId": "a"}]
    message = await world.message(user, stored["conversationId"], content=content)
    return stored["conversationId"], message["messageId"]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: str(value)[:40])
async def test_writes_with_wrong_members(world: Any, method: str, path: str, body: Any) -> None:
    """Each member in turn missing, null, of a wrong type, huge, or an operator."""
    conversation_id, message_id = await furnished(world, world.alice.id)
    await furnished(world, world.bob.id)
    before = await everything(world, world.bob.id)
    path = filled(path, conversation_id, message_id)
    body = filled(body, conversation_id, message_id)
    bodies: list[Any] = [*WRONG_BODIES]
    for member in paths_of(body):
        bodies.append(dropped(body, member))
        bodies += [changed(body, member, value) for value in OPERATORS]
    for wrong in bodies:
        answer = await world.alice.call(method, path, wrong)
        assert answer.status_code < 500, (wrong, answer.text)
    assert await everything(world, world.bob.id) == before


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=lambda value: str(value)[:40])
async def test_writes_to_what_is_not_yours(world: Any, method: str, path: str, body: Any) -> None:
    """Another user's ids are refused, and nothing of his changes."""
    conversation_id, message_id = await furnished(world, world.alice.id)
    before = await everything(world, world.alice.id)
    answer = await world.bob.call(
        method,
        filled(path, conversation_id, message_id),
        filled(body, conversation_id, message_id),
    )
    assert answer.status_code in (403, 404)
    assert await everything(world, world.alice.id) == before
    assert await everything(world, world.bob.id) == [[], []]


@pytest.mark.parametrize("path", READS)
async def test_reads_of_what_is_not_yours(world: Any, path: str) -> None:
    conversation_id, message_id = await furnished(world, world.alice.id)
    answer = await world.bob.get(filled(path, conversation_id, message_id))
    assert answer.status_code in (200, 404)
    assert conversation_id not in answer.text
    assert message_id not in answer.text


@pytest.mark.parametrize("path", QUERIES)
async def test_queries(world: Any, path: str) -> None:
    """Search is not configured: it finds nothing."""
    await furnished(world, world.alice.id)
    values = ("", " ", "x" * 5000, "-1", "1e9", "NaN", "[]", '{"$gt":""}', "\0", "null", "AAAA")
    for name, value in itertools.product(QUERIES[path], values):
        for query in ({name: value}, {name: [value, value]}, {f"{name}[$gt]": value}):
            answer = await world.alice.get(path, **query)
            assert answer.status_code in (200, 400)


@pytest.mark.parametrize(
    "part", ["%24ne", "%00", "..%2f", "%ff%fe", "x" * 4000, "%7B%22a%22%3A1%7D"]
)
async def test_odd_path_parameters(world: Any, part: str) -> None:
    for method, path in (
        ("GET", f"/api/convos/{part}"),
        ("GET", f"/api/messages/{part}"),
        ("GET", f"/api/messages/{part}/{part}"),
        ("PUT", f"/api/messages/{part}/{part}"),
        ("PUT", f"/api/messages/{part}/{part}/feedback"),
        ("POST", f"/api/messages/{part}"),
        ("POST", f"/api/messages/artifact/{part}"),
        ("DELETE", f"/api/messages/{part}/{part}"),
    ):
        body = {"text": "x", "index": 0, "original": "a", "updated": "b"}
        answer = await world.alice.call(method, path, None if method == "GET" else body)
        assert answer.status_code in (400, 404), (method, path, answer.text)


async def test_strangers_get_nothing(world: Any) -> None:
    """Without a session every route is 401, whatever the body says."""
    for method, path, body in WRITES:
        answer = await world.server.client.request(method, filled(path, "a", "b"), json=body)
        assert answer.status_code == 401
    for path in READS:
        assert (await world.server.client.get(path)).status_code == 401
