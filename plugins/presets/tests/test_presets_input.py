"""Input that is of a wrong type, too large, an operator, or another user's: always a refusal,
never a server error, never somebody else's data."""

from typing import Any

import pytest

from locutory_contracts.account_data import ACCOUNT_DATA
from locutory_presets.fields import READERS
from locutory_testing import Serve, SignIn

JUNK: tuple[Any, ...] = (
    *({"$gt": ""}, {"$ne": None}, {"$regex": ".*"}, {"a": {"b": 1}}, ["a"], [1], [[]], {}, []),
    *(5, 1.5, True, None, "", "x" * 10_000, "a\0b", "\U0001f600", 2**64, 10**400, -(2**63) - 1),
)
WRONG_BODIES: tuple[Any, ...] = ([], [1, 2], "text", 5, True)


@pytest.mark.parametrize("member", sorted([*READERS, "presetId", "newPresetId"]))
async def test_members_of_a_wrong_type(world: Any, member: str) -> None:
    for value in JUNK:
        answer = await world.alice.call("POST", "/api/presets", {member: value})
        assert answer.status_code in (201, 400, 409), (value, answer.text)
        if isinstance(value, dict):
            assert answer.status_code == 400
            assert member in answer.json()["message"]
    assert (await world.alice.call("GET", "/api/presets")).status_code == 200
    assert await world.bob.presets() == []


@pytest.mark.parametrize("path", ["/api/presets", "/api/presets/delete"])
async def test_bodies_that_are_no_object(world: Any, path: str) -> None:
    kept = await world.alice.save()
    for body in WRONG_BODIES:
        answer = await world.alice.call("POST", path, body)
        assert answer.status_code == 400, (body, answer.text)
    assert await world.alice.presets() == [kept]


@pytest.mark.parametrize(
    "body",
    [
        *({"presetId": value} for value in JUNK if not isinstance(value, str)),
        {"presetId": ""},
        {"presetId": "x" * 300},
        {"title": "a preset without an id"},
        {"$where": "1"},
        {"preset.id": "x"},
        {"presetid": "x"},
    ],
    ids=lambda body: str(body)[:40],
)
async def test_one_never_becomes_all(world: Any, body: Any) -> None:
    kept = await world.alice.save()
    answer = await world.alice.call("POST", "/api/presets/delete", body)
    assert answer.status_code == 400
    assert await world.alice.presets() == [kept]


async def test_one_never_becomes_all_by_the_form_of_the_body(world: Any) -> None:
    """A body that the server does not parse, or only in part."""
    kept = await world.alice.save()
    text = f'{{"presetId":"{kept["presetId"]}"}}'

    async def pieces() -> Any:
        yield text.encode()

    for content, kind in ((text, "text/plain"), (pieces(), "text/plain"), (text, None)):
        headers = {} if kind is None else {"content-type": kind}
        answer = await world.alice.call(
            "POST", "/api/presets/delete", content=content, headers=headers
        )
        assert answer.status_code == 400, kind
    for content in ("{", '{"presetId":', "[", "nonsense", "null"):
        answer = await world.alice.call(
            "POST",
            "/api/presets/delete",
            content=content,
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 400
    assert await world.alice.presets() == [kept]


async def test_a_form(world: Any) -> None:
    kept, gone = await world.alice.save(), await world.alice.save()
    answer = await world.alice.call(
        "POST", "/api/presets/delete", data={"presetId": gone["presetId"]}
    )
    assert (answer.status_code, answer.json()["deletedCount"]) == (201, 1)
    assert await world.alice.presets() == [kept]


async def test_too_large(world: Any) -> None:
    body = {"promptPrefix": "x" * (3 * 1024 * 1024)}
    answer = await world.alice.call("POST", "/api/presets", body)
    assert answer.status_code == 413
    assert await world.alice.presets() == []


async def test_operators_inside_examples_are_dropped(world: Any) -> None:
    made = await world.alice.save(examples=[{"$set": {"a": 1}, "input": {"content": "x"}}])
    assert made["examples"] == [{"input": {"content": "x"}}]


async def test_nested_too_deeply(world: Any) -> None:
    """A database keeps 100 levels at most."""
    for inner in ([], {}):
        deep: Any = inner
        for _ in range(45):
            deep = [{"a": deep}] if isinstance(inner, dict) else [deep]
        answer = await world.alice.call("POST", "/api/presets", {"examples": deep})
        assert answer.status_code == (400 if isinstance(inner, dict) else 201)


async def test_limits(serve: Serve) -> None:
    """Size of one, and number of all: what is there can still be changed."""
    yaml = {"plugins": {"presets": {"most": 2, "largest_bytes": 2000}}}
    async with serve("presets", SignIn(), yaml=yaml) as server:
        headers = {"authorization": f"Bearer {'a' * 24}"}

        async def saved(**body: Any) -> int:
            answer = await server.client.post("/api/presets", json=body, headers=headers)
            return int(answer.status_code)

        assert await saved(promptPrefix="x" * 3000) == 400
        for number in "12":
            assert await saved(presetId=number) == 201
        assert await saved(presetId="3") == 400
        assert await saved(title="4") == 400
        assert await saved(presetId="2", title="2", defaultPreset=True) == 201
        data = server.kernel.services.named(ACCOUNT_DATA, "presets")
        assert data is not None
        with pytest.raises(ValueError, match="presets already"):
            await data.restore("a" * 24, {"kind": "preset", "presetId": "5"}, {})
