"""API keys as bearers (contract api-keys §3, agents-api §1 to §3)."""

import asyncio
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from locutory import now
from locutory_agentsapi.service import fingerprint

MODELS = "/api/agents/v1/models"
CHAT = "/api/agents/v1/chat/completions"
READS = (MODELS, "/api/agents/v1/responses/models")
RUNS = (CHAT, "/api/agents/v1/responses")


def refusal(message: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


MISSING = refusal(
    "Missing or invalid Authorization header. Expected: Bearer <api_key>", "missing_api_key"
)
INVALID = refusal("Invalid API key", "invalid_api_key")


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (None, MISSING),
        ("", MISSING),
        ("Bearer", MISSING),
        ("bearer KEY", MISSING),
        ("BEARER KEY", MISSING),
        ("Basic KEY", MISSING),
        ("KEY", MISSING),
        ("Bearer  KEY", INVALID),
        ("Bearer KEY KEY", INVALID),
        ("Bearer KEYx", INVALID),
        ("Bearer sk-bad", INVALID),
        ("Bearer " + "x" * 8000, INVALID),
        ('Bearer {"$ne":""}', INVALID),
    ],
)
async def test_headers(world: Any, header: str | None, body: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        headers = {} if header is None else {"authorization": header.replace("KEY", key)}
        answer = await it.server.client.get(MODELS, headers=headers)
        assert answer.status_code == 401
        assert answer.json() == body


async def test_headers_that_are_not_ascii(world: Any) -> None:
    async with world() as it:
        for raw in (b"Bearer \xff\xfe\x80", "Bearer schlüssel".encode()):
            answer = await it.server.client.get(MODELS, headers=[(b"authorization", raw)])
            assert answer.json() == INVALID


async def test_other_ways_to_hand_over_a_key_are_none(world: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        for headers in ({"x-api-key": key}, {"api-key": key}, {"cookie": f"authorization={key}"}):
            assert (await it.server.client.get(MODELS, headers=headers)).json() == MISSING
        assert (await it.server.client.get(f"{MODELS}?api_key={key}")).json() == MISSING


async def test_the_stored_hash_and_prefix_are_no_keys(world: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        for text in (fingerprint(key), key[:8], key[3:], key.upper(), key + " x"):
            assert (await it.use(text)).json() == INVALID


async def test_a_session_is_no_key_and_a_key_no_session(world: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        assert (await it.use(f"{it.ann.id}:ADMIN")).json() == INVALID
        for path in ("/api/api-keys",):
            assert (await it.use(key, path=path)).status_code == 401


async def test_nobody_reaches_an_agent_yet(world: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        for path in READS:
            answer = await it.use(key, path=path)
            assert (answer.status_code, answer.json()) == (200, {"object": "list", "data": []})
        unknown = await it.use(key, path=f"{MODELS}/agent_a%2Fb")
        assert unknown.status_code == 404
        assert unknown.json() == {
            "error": {
                "message": "Model not found: agent_a/b",
                "type": "invalid_request_error",
                "param": None,
                "code": "model_not_found",
            }
        }
        stored = await it.use(key, path="/api/agents/v1/responses/resp_x")
        assert stored.status_code == 404
        assert stored.json() == {
            "error": {
                "type": "not_found",
                "message": "Response not found: resp_x",
                "code": "response_not_found",
                "param": None,
            }
        }


@pytest.mark.parametrize("path", RUNS)
async def test_running_an_agent(world: Any, path: str) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        known = await it.use(key, "POST", path, {"model": "agent_x", "messages": [], "input": "x"})
        assert known.status_code == 404
        assert known.json() == refusal("Agent not found: agent_x", "model_not_found")
        wrong: list[Any] = [{}, [], {"model": ""}, {"model": 5}]
        for body in (*wrong, {"model": {"$ne": ""}}, {"model": ["a"]}):
            answer = await it.use(key, "POST", path, body)
            assert answer.status_code == 400, body
            assert answer.json() == refusal("Model (agent ID) is required", "missing_model")
        strange = await it.server.client.post(path, json={"model": "agent_x"})
        assert strange.json() == MISSING


async def test_an_expired_key_is_unknown(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make(expiresAt="2099-01-01")
        assert (await it.use(made["key"])).status_code == 200
        past = {"$set": {"expiresAt": now() - timedelta(seconds=1)}}
        await it.rows.update_one({"_id": ObjectId(made["id"])}, past)
        assert (await it.use(made["key"])).json() == INVALID


async def test_owners_that_are_gone_or_barred(world: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        gone = refusal("User not found for this API key", "invalid_api_key")
        it.registry.barred.add(it.ann.id)
        for method, path, body in (("GET", MODELS, None), ("POST", CHAT, {"model": "agent_x"})):
            answer = await it.use(key, method, path, body)
            assert (answer.status_code, answer.json()) == (401, gone)
        it.registry.barred.clear()
        assert (await it.use(key)).status_code == 200
        del it.registry.accounts[it.ann.id]
        assert (await it.use(key)).json() == gone


async def test_losing_the_permission_disables_the_keys(world: Any) -> None:
    async with world() as it:
        key = (await it.ann.make())["key"]
        account = it.registry.accounts[it.ann.id]
        for role in ("USER", None, "INTERN"):
            account["role"] = role
            answer = await it.use(key, "POST", CHAT, {})
            assert answer.status_code == 403
            assert answer.json() == {"message": "Forbidden: Insufficient permissions"}
        account["role"] = "ADMIN"
        assert (await it.use(key)).status_code == 200


async def test_scopes_are_enforced(world: Any) -> None:
    async with world() as it:
        reader = (await it.ann.make(scopes=["agents:read"]))["key"]
        runner = (await it.ann.make(scopes=["agents:run"]))["key"]
        for path in (*READS, f"{MODELS}/x", "/api/agents/v1/responses/x"):
            assert (await it.use(reader, path=path)).status_code in (200, 404)
            assert (await it.use(runner, path=path)).status_code == 403
        for path in RUNS:
            assert (await it.use(reader, "POST", path, {"model": "x"})).status_code == 403
            assert (await it.use(runner, "POST", path, {"model": "x"})).status_code == 404


async def test_last_use_is_written_once_a_minute(world: Any) -> None:
    async with world() as it:
        made = await it.ann.make()
        row = {"_id": ObjectId(made["id"])}
        before = now()
        await asyncio.gather(*(it.use(made["key"]) for _ in range(5)))
        first = await it.rows.find_one(row)
        assert first is not None
        assert before <= first["lastUsedAt"] <= now()
        assert (await it.ann.listed())[0]["lastUsedAt"]
        await it.use(made["key"])
        assert await it.rows.find_one(row) == first
        old = now() - timedelta(seconds=61)
        await it.rows.update_one(row, {"$set": {"lastUsedAt": old}})
        await it.use(made["key"])
        later = await it.rows.find_one(row)
        assert later is not None
        assert later["lastUsedAt"] >= first["lastUsedAt"]


async def test_keys_of_librechat_are_good_here(world: Any) -> None:
    async with world() as it:
        key = "sk-" + "0123456789abcdef" * 4
        moment = now()
        await it.rows.insert_one(
            {
                "userId": ObjectId(it.ann.id),
                "name": "theirs",
                "keyHash": fingerprint(key),
                "keyPrefix": key[:8],
                "createdAt": moment,
                "updatedAt": moment,
                "__v": 0,
            }
        )
        assert (await it.use(key)).status_code == 200
        assert (await it.use(key, "POST", CHAT, {"model": "x"})).status_code == 404


async def test_keys_can_be_switched_off(world: Any) -> None:
    yaml = {"endpoints": {"agents": {"remoteApi": {"auth": {"apiKey": {"enabled": False}}}}}}
    async with world(yaml=yaml) as it:
        key = (await it.ann.make())["key"]
        for bearer in (key, "sk-bad"):
            answer = await it.use(bearer)
            assert answer.status_code == 401
            assert answer.json() == {"error": "Authentication required"}


@pytest.mark.slow
async def test_the_time_of_a_refusal_says_nothing_about_the_key(world: Any) -> None:
    """A text that shares its beginning with a key takes as long as any other."""
    async with world() as it:
        key = (await it.ann.make())["key"]
        near, far = key[:-1] + ("0" if key[-1] != "0" else "1"), "sk-" + "f" * 64
        taken: dict[str, list[float]] = {near: [], far: []}
        for _ in range(60):
            for text, times in taken.items():
                started = time.perf_counter()
                assert (await it.use(text)).status_code == 401
                times.append(time.perf_counter() - started)
        fast, slow = sorted(statistics.median(times) for times in taken.values())
        assert slow < fast * 1.5
