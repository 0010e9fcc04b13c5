"""Words for a running turn (chat-stream §9)."""

import asyncio
import json
from typing import Any

from plugins.agents.tests.conftest import Kit

from locutory_testing import Serve, SignIn


def call(*calls: tuple[str, Any]) -> str:
    return "CALL:" + json.dumps(calls)


async def test_steer_at_a_tool_boundary(serve: Serve, kit: Kit) -> None:
    models, history, tools = kit.Models(), kit.History(), kit.Tools()
    async with serve("agents", SignIn(), models, history, tools) as server:
        user = kit.chatter(server)
        started = await user.start(call(("wait", {})))
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: tools.running == 1)
        conversation = started["conversationId"]
        body = {
            "conversationId": conversation,
            "generationCreatedAt": started["generationCreatedAt"],
            "generationProtocolVersion": 2,
            "clientSteerId": "mine-1",
            "text": " ECHO:in other words ",
        }
        answer = await user.post("/steer", body)
        assert answer.status_code == 202
        queued = answer.json()
        assert queued == {
            "status": "queued",
            "steerId": queued["steerId"],
            "position": 1,
            "conversationId": conversation,
            "preempt": False,
            "generationProtocolVersion": 2,
        }
        again = (await user.post("/steer", body)).json()
        assert again["replayed"] is True
        assert again["steerId"] == queued["steerId"]
        conflict = await user.post("/steer", body | {"text": "something else"})
        assert (conflict.status_code, conflict.json()["code"]) == (
            409,
            "STEER_IDEMPOTENCY_CONFLICT",
        )
        tools.go_on.set()
        events = await reader
        applied = next(event.data["data"] for event in events if event.name == "on_steer_applied")
        assert applied["index"] == 2
        assert applied["part"]["steer"] == "ECHO:in other words"
        assert applied["clientSteerId"] == "mine-1"
        assert applied["responseMessageId"] == events[-1].data["responseMessage"]["messageId"]
        content = events[-1].data["responseMessage"]["content"]
        assert [part["type"] for part in content] == ["tool_call", "steer", "text"]
        assert content[2]["text"] == "in other words"
        assert models.calls[1].messages[-1] == {"role": "user", "content": "ECHO:in other words"}
        assert "pendingSteers" not in events[-1].data
        settled = await user.post("/steer", body)
        assert (settled.status_code, settled.json()["code"]) == (404, "NO_ACTIVE_RUN")


async def test_armed_steer_interrupts(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        reader = asyncio.create_task(user.events(started))
        await kit.until(lambda: models.tokens > 5)
        conversation = started["conversationId"]
        body = {
            "conversationId": conversation,
            "text": "ECHO:stop that",
            "generationProtocolVersion": 2,
        }
        queued = (await user.post("/steer", body)).json()
        armed = await user.post(
            "/steer/arm",
            {
                "conversationId": conversation,
                "steerId": queued["steerId"],
                "generationProtocolVersion": 2,
            },
        )
        assert armed.json() == {
            "armed": True,
            "preemptRevision": 1,
            "generationProtocolVersion": 2,
        }
        events = await reader
        content = events[-1].data["responseMessage"]["content"]
        assert [part["type"] for part in content] == ["text", "steer", "text"]
        assert content[0]["text"].startswith("tok0 tok1")
        assert content[2]["text"] == "stop that"
        sent = models.calls[1].messages
        assert sent[-2] == {"role": "assistant", "content": content[0]["text"]}
        assert models.closed == 2
        closed = [e.data["data"]["status"] for e in events if e.name == "on_run_step_closed"]
        assert closed == ["cancelled", "completed"]


async def test_preempt_at_once(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("HANG")
        await user.events(started, stop=4)
        body = {"conversationId": started["conversationId"], "text": "ECHO:now", "preempt": True}
        answer = (await user.post("/steer", body | {"generationProtocolVersion": 2})).json()
        assert (answer["preempt"], answer["preemptRevision"]) == (True, 1)
        events = await user.events(started)
        assert events[-1].data["responseMessage"]["content"][-1]["text"] == "now"


async def test_cancel(serve: Serve, kit: Kit) -> None:
    tools = kit.Tools()
    async with serve("agents", SignIn(), kit.Models(), kit.History(), tools) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other)
        started = await user.start(call(("wait", {})))
        await kit.until(lambda: tools.running == 1)
        base = {"conversationId": started["conversationId"]}
        queued = (await user.post("/steer", base | {"text": "x"})).json()
        named = base | {"steerId": queued["steerId"]}
        foreign = await other.post("/steer/cancel", named)
        assert (foreign.status_code, foreign.json()["code"]) == (403, "UNAUTHORIZED")
        assert (await user.post("/steer/cancel", named)).json()["removed"] is True
        again = (await user.post("/steer/cancel", named)).json()
        assert (again["removed"], again["replayed"]) == (True, True)
        unknown = base | {"steerId": "nope"}
        assert (await user.post("/steer/cancel", unknown)).json()["removed"] is False
        assert (await user.post("/steer/arm", unknown)).json()["armed"] is False
        tools.go_on.set()
        events = await user.events(started)
        assert "on_steer_applied" not in kit.names(events)


async def test_left_over_steers(serve: Serve, kit: Kit) -> None:
    """A steer that no model saw comes back with the end, and to a client that missed it."""
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        conversation = started["conversationId"]
        body = {"conversationId": conversation, "text": "too late", "clientSteerId": "c1"}
        queued = (await user.post("/steer", body)).json()
        models.enough.set()
        events = await user.events(started)
        pending = events[-1].data["pendingSteers"]
        assert pending == [
            {
                "steerId": queued["steerId"],
                "clientSteerId": "c1",
                "text": "too late",
                "createdAt": pending[0]["createdAt"],
            }
        ]
        for _ in range(2):
            status = (await user.get(f"/status/{conversation}")).json()
            assert status["unrecoveredSteers"] == pending
        fields = {
            "conversationId": conversation,
            "parentMessageId": events[-1].data["responseMessage"]["messageId"],
            "recoverySteerId": queued["steerId"],
        }
        wrong = await user.post("/Fake", user.body("other words", clientRequestId="r1", **fields))
        assert wrong.json()["code"] == "RECOVERY_PAYLOAD_MISMATCH"
        missing = await user.post("/Fake", user.body("too late", **fields))
        assert missing.json()["code"] == "INVALID_RECOVERY_REQUEST"
        await user.chat("too late", clientRequestId="r2", **fields)
        status = (await user.get(f"/status/{conversation}")).json()
        assert "unrecoveredSteers" not in status
        models.enough.clear()
        started = await user.start("ON")
        body = {"conversationId": started["conversationId"], "text": "again"}
        await user.post("/steer", body)
        stopped = (await user.stop(started)).json()
        assert [steer["text"] for steer in stopped["pendingSteers"]] == ["again"]
        old = kit.chatter(server, protocol=None)
        path = f"/status/{started['conversationId']}"
        assert len((await old.get(path)).json()["unrecoveredSteers"]) == 1
        assert "unrecoveredSteers" not in (await old.get(path)).json()


async def test_wrong_steers(serve: Serve, kit: Kit) -> None:
    environment = {"STEER_MAX_LENGTH": "10"}
    async with serve(
        "agents", SignIn(), kit.Models(), kit.History(), environment=environment
    ) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other)
        started = await user.start("ON")
        base = {"conversationId": started["conversationId"], "text": "hi"}
        cases: list[tuple[dict[str, Any], int, str]] = [
            ({"conversationId": None}, 400, "INVALID_CONVERSATION"),
            ({"conversationId": "new"}, 400, "INVALID_CONVERSATION"),
            ({"conversationId": {"$gt": ""}}, 400, "INVALID_CONVERSATION"),
            ({"generationCreatedAt": "x"}, 400, "INVALID_GENERATION_IDENTITY"),
            ({"generationCreatedAt": 5}, 409, "RUN_REPLACED"),
            ({"text": "  "}, 400, "EMPTY_TEXT"),
            ({"text": ["x"]}, 400, "EMPTY_TEXT"),
            ({"text": "x" * 11}, 413, "STEER_TOO_LONG"),
            ({"clientSteerId": "a b"}, 400, "INVALID_CLIENT_STEER_ID"),
            ({"files": [{}] * 11}, 400, "TOO_MANY_FILES"),
            ({"conversationId": "unknown"}, 404, "NO_ACTIVE_RUN"),
        ]
        for fields, status, code in cases:
            answer = await user.post("/steer", base | fields)
            assert (answer.status_code, answer.json()["code"]) == (status, code), fields
        assert (await other.post("/steer", base)).status_code == 403
        strict = await user.post("/steer/deliver", base)
        assert strict.json()["code"] == "CLIENT_STEER_ID_REQUIRED"
        strict = await user.post("/steer/deliver", base | {"clientSteerId": "c", "agentId": "x"})
        assert (strict.status_code, strict.json()["code"]) == (403, "FORBIDDEN")
        known = "Fake__fake-1___Fake"
        strict = await user.post("/steer/deliver", base | {"clientSteerId": "c", "agentId": known})
        assert strict.status_code == 202
        for number in range(9):
            assert (await user.post("/steer", base)).status_code == 202, number
        full = await user.post("/steer", base)
        assert (full.status_code, full.json()["code"]) == (429, "STEER_QUEUE_FULL")
        for path in ("/steer/cancel", "/steer/arm"):
            answer = await user.post(path, {"conversationId": started["conversationId"]})
            assert answer.json()["code"] == "INVALID_STEER_ID"
        await user.stop(started)
