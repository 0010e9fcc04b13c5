"""What a chat request must pass (chat-stream §4, §11; kernel §5, §11)."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from plugins.agents.tests.conftest import Kit

from locutory import LimitExceeded, On, Plugin, hook
from locutory.access import POLICY, Decision, Principal
from locutory.services import Provide
from locutory_testing import Serve, SignIn
from locutory_testing.network import ForwardProxy

CONVERSATION = "11111111-1111-4111-9111-111111111111"


class Violations(Plugin):
    """Collects what limits refused."""

    name = "violations"
    summary = "Violations for tests"

    def __init__(self) -> None:
        self.seen: list[LimitExceeded] = []

    @hook
    def subscriptions(self) -> list[On]:
        return [On(LimitExceeded, self._note)]

    async def _note(self, fact: LimitExceeded) -> None:
        self.seen.append(fact)


class Strict(Plugin):
    """A policy that allows nothing."""

    name = "strict"
    summary = "Policy for tests"
    provides = (POLICY,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(POLICY, self)]

    async def allows(self, principal: Principal, group: str, action: str) -> Decision:
        return Decision(False, "a test")

    async def holds(self, principal: Principal, capability: str) -> Decision:
        return Decision(False, "a test")


def parse(text: str) -> list[tuple[str, Any]]:
    blocks = [block for block in text.split("\n\n") if block]
    return [
        (block.split("\n")[0].removeprefix("event: "), json.loads(block.split("data: ", 1)[1]))
        for block in blocks
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"clientRequestId": "a b"}, "INVALID_CLIENT_REQUEST_ID"),
        ({"clientRequestId": ""}, "INVALID_CLIENT_REQUEST_ID"),
        ({"clientRequestId": "x" * 129}, "INVALID_CLIENT_REQUEST_ID"),
        ({"clientRequestId": {"$ne": 1}}, "INVALID_CLIENT_REQUEST_ID"),
        ({"expectedPredecessorCreatedAt": -1}, "INVALID_GENERATION_PREDECESSOR"),
        ({"expectedPredecessorCreatedAt": "5"}, "INVALID_GENERATION_PREDECESSOR"),
        ({"recoverySteerId": "a b", "clientRequestId": "x"}, "INVALID_RECOVERY_REQUEST"),
        (
            {"recoverySteerId": "a", "clientRequestId": "x", "isRegenerate": True},
            "INVALID_RECOVERY_REQUEST",
        ),
        (
            {"clientRequestId": "steer-recovery:a", "recoverySteerId": "b"},
            "INVALID_RECOVERY_REQUEST",
        ),
        ({"conversationId": "../../etc"}, "INVALID_CONVERSATION"),
        ({"conversationId": {"$gt": ""}}, None),
        ({"conversationId": ["x"]}, None),
        ({"conversationId": 5}, None),
        ({"text": {"$gt": ""}}, None),
        ({"text": 5}, None),
        ({"parentMessageId": ["x"]}, None),
        ({"parentMessageId": "x" * 129}, None),
        ({"overrideParentMessageId": {"a": 1}}, None),
        ({"responseMessageId": 5}, None),
        ({"endpoint": {"a": 1}}, None),
        ({"editedContent": "x"}, None),
        ({"editedContent": {"index": -1, "type": "text", "text": "x"}}, None),
        ({"editedContent": {"index": 0, "type": "tool_call", "tool_call": {}}}, None),
        ({"ephemeralAgent": "x"}, None),
        ({"addedConvo": ["x"]}, None),
    ],
)
async def test_wrong_fields(
    serve: Serve, kit: Kit, fields: dict[str, Any], code: str | None
) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user = kit.chatter(server)
        answer = await user.post("/Fake", user.body("ECHO:hi") | fields)
        assert answer.status_code == 400, answer.text
        assert answer.json()["generationProtocolVersion"] == 2
        assert isinstance(answer.json()["error"], str)
        assert answer.json().get("code") == code
        assert history.stored == {}
        assert (await user.get("/active")).json() == {"activeJobIds": []}


async def test_odd_but_harmless_fields(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        events = await user.chat(
            "ECHO:fine",
            quotes="x",
            files=[{"file_id": "f", "user": "someone", "filename": "a.txt", "width": "x"}, 5, {}],
            manualSkills={"a": 1},
            isTemporary="yes",
            isRegenerate="yes",
            timezone="Nowhere/Land",
            clientTimestamp="soon",
            conversationId="new",
        )
        asked = events[-1].data["requestMessage"]
        assert asked["files"] == [{"file_id": "f", "filename": "a.txt"}]
        assert "quotes" not in asked
        answer = await user.post("/Fake", [1])
        assert answer.status_code == 400
        nothing = await server.client.post(
            "/api/agents/chat", json={"text": "x"}, headers=user.headers
        )
        assert nothing.status_code == 200
        assert "content-type" not in nothing.headers
        assert parse(nothing.text) == [("error", {"text": "Error parsing conversation"})]


async def test_not_signed_in(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models()) as server:
        answer = await server.client.post("/api/agents/chat/Fake", json={"text": "x"})
        assert (answer.status_code, answer.json()) == (401, {"message": "No auth token"})


async def test_gate_while_starting(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models()) as server:
        server.kernel.lifecycle.ready = False
        gated = [
            ("/Fake", 503),
            ("", 503),
            ("/steer", 503),
            ("/steer/cancel", 503),
            ("/steer/arm", 503),
            ("/steer/deliver", 503),
            ("/resume", 503),
            ("/abort", 401),
        ]
        for path, status in gated:
            answer = await server.client.post(f"/api/agents/chat{path}", json={})
            assert answer.status_code == status, path
            if status == 503:
                assert answer.headers["retry-after"] == "1"
                assert answer.json() == {
                    "code": "SERVER_NOT_READY",
                    "error": "Server is still starting. Please retry shortly.",
                }
        assert (await kit.chatter(server).get("/active")).status_code == 200


async def test_permissions(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History(), Strict()) as server:
        user = kit.chatter(server)
        refused = await user.post("/agents", user.body("x", endpoint="agents", agent_id="agent_x"))
        assert refused.status_code == 403
        assert refused.json() == {"message": "Forbidden: Insufficient permissions"}
        added = {"endpoint": "Other", "model": "m"}
        refused = await user.post("/Fake", user.body("x", addedConvo=added))
        assert refused.status_code == 403
        assert refused.json()["error"] == "Forbidden"
        assert (await user.chat("ECHO:x"))[-1].name == "final"


async def test_stored_agents_do_not_exist_yet(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models()) as server:
        user = kit.chatter(server)
        missing = await user.post("/agents", user.body("x", endpoint="agents", agent_id="agent_x"))
        assert (missing.status_code, missing.json()["message"]) == (404, "agent not found")
        added = {"endpoint": "agents", "agent_id": "agent_x"}
        missing = await user.post("/Fake", user.body("x", addedConvo=added))
        assert missing.status_code == 404


async def test_foreign_conversation(serve: Serve, kit: Kit) -> None:
    history, violations = kit.History(), Violations()
    environment = {"CONVO_ACCESS_VIOLATION_SCORE": "3"}
    async with serve(
        "agents", SignIn(), kit.Models(), history, violations, environment=environment
    ) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other)
        final = (await user.chat("ECHO:mine"))[-1].data
        conversation = final["conversation"]["conversationId"]
        before = len(history.stored)
        body = other.body(
            "ECHO:steal",
            conversationId=conversation,
            parentMessageId=final["responseMessage"]["messageId"],
        )
        answer = await other.post("/Fake", body)
        assert answer.status_code == 200
        created, error = parse(answer.text)
        assert created[1]["created"] is True
        assert error[0] == "error"
        assert json.loads(error[1]["text"])["type"] == "convo_access"
        assert error[1]["parentMessageId"] == body["messageId"]
        assert len(history.stored) == before
        assert [(v.violation, v.score, v.user) for v in violations.seen] == [
            ("convo_access", 3, kit.other)
        ]
        running = await user.start("ON")
        stolen = await other.post("/Fake", other.body("x", conversationId=running["streamId"]))
        assert json.loads(parse(stolen.text)[1][1]["text"])["type"] == "convo_access"
        assert (await user.get("/active")).json()["activeJobIds"] == [running["streamId"]]
        await user.stop(running)


async def test_read_only_threads(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user = kit.chatter(server)
        reserved = "11111111-1111-8111-b111-111111111111"
        answer = await user.post("/Fake", user.body("x", conversationId=reserved))
        assert answer.status_code == 409
        await history.save(kit.user, CONVERSATION, {"subagentThread": {"depth": 1}})
        answer = await user.post("/Fake", user.body("x", conversationId=CONVERSATION))
        assert answer.status_code == 409
        assert "view-only" in answer.json()["error"]


async def test_parent_that_is_not_saved(serve: Serve, kit: Kit) -> None:
    history = kit.History()
    async with serve("agents", SignIn(), kit.Models(), history) as server:
        user = kit.chatter(server)
        body = user.body("x", conversationId=CONVERSATION, parentMessageId="abc_")
        answer = await user.post("/Fake", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "PARENT_NOT_READY")
        await history.save_message(
            kit.user,
            {"messageId": "abc_", "conversationId": CONVERSATION, "isCreatedByUser": False},
        )
        assert (await user.post("/Fake", body)).status_code == 200


async def test_message_limits(serve: Serve, kit: Kit) -> None:
    history, violations = kit.History(), Violations()
    environment = {
        "LIMIT_MESSAGE_USER": "true",
        "MESSAGE_USER_MAX": "2",
        "MESSAGE_VIOLATION_SCORE": "2",
    }
    async with serve(
        "agents", SignIn(), kit.Models(), history, violations, environment=environment
    ) as server:
        user = kit.chatter(server)
        first = await user.post("/Fake", user.body("ECHO:1"))
        assert first.headers["x-ratelimit-remaining"] == "1"
        final = (await user.events(first.json()))[-1].data
        await user.chat("ECHO:2")
        body = user.body(
            "ECHO:3",
            conversationId=final["conversation"]["conversationId"],
            parentMessageId=final["responseMessage"]["messageId"],
        )
        refused = await user.post("/Fake", body)
        assert refused.status_code == 200
        assert refused.headers["x-ratelimit-limit"] == "2"
        assert "retry-after" in refused.headers
        created, error = parse(refused.text)
        assert created == (
            "message",
            {
                "message": {
                    "sender": "User",
                    "messageId": body["messageId"],
                    "parentMessageId": body["parentMessageId"],
                    "conversationId": body["conversationId"],
                    "isCreatedByUser": True,
                    "text": "ECHO:3",
                },
                "created": True,
            },
        )
        told = error[1]
        assert (told["error"], told["final"], told["unfinished"]) == (True, True, False)
        assert json.loads(told["text"]) == {
            "type": "message_limit",
            "max": 2,
            "limiter": "user",
            "windowInMinutes": 1,
        }
        saved = history.stored[(kit.user, told["messageId"])]
        assert (saved["error"], saved["text"]) == (True, told["text"])
        assert (kit.user, body["messageId"]) in history.stored
        assert [(v.violation, v.score) for v in violations.seen] == [("message_limit", 2)]
        assert (await user.post("/steer", {"conversationId": "x"})).text.startswith(
            "event: message"
        )
        assert (await user.post("/steer/cancel", {})).text.startswith("event: message")
        other = kit.chatter(server, kit.other)
        assert (await other.post("/Fake", other.body("ECHO:x"))).status_code == 200


async def test_too_many_turns_at_once(serve: Serve, kit: Kit) -> None:
    violations = Violations()
    environment = {"LIMIT_CONCURRENT_MESSAGES": "true"}
    async with serve(
        "agents", SignIn(), kit.Models(), kit.History(), violations, environment=environment
    ) as server:
        user = kit.chatter(server)
        first = await user.start("ON", clientRequestId="one")
        second = await user.start("ON")
        for number in range(2):
            refused = await user.post("/Fake", user.body("ECHO:x", clientRequestId="three"))
            assert refused.status_code == 429
            body = refused.json()
            assert body.pop("date").endswith("Z")
            assert body == {
                "type": "concurrent",
                "limit": 2,
                "pendingRequests": 2,
                "score": 1,
                "prev_count": number,
                "violation_count": number + 1,
                "generationProtocolVersion": 2,
            }
        repeated = await user.start("ON", clientRequestId="one")
        assert repeated["status"] == "resumed"
        again = await user.start("ON", conversationId=first["streamId"])
        assert again["status"] == "started"
        await user.stop(second)
        third = await user.post("/Fake", user.body("ECHO:x", clientRequestId="three"))
        assert third.status_code == 200
        await user.stop(again)
        assert [v.violation for v in violations.seen] == ["concurrent", "concurrent"]


async def test_one_generation_per_request_id(serve: Serve, kit: Kit) -> None:
    models, history = kit.Models(), kit.History()
    async with serve("agents", SignIn(), models, history) as server:
        user, old, other = (
            kit.chatter(server),
            kit.chatter(server, protocol=None),
            kit.chatter(server, kit.other),
        )
        bodies = [user.body("ON", clientRequestId="r-1") for _ in range(5)]
        answers = await asyncio.gather(*(user.post("/Fake", body) for body in bodies))
        found = [answer.json() for answer in answers]
        assert sorted(body["status"] for body in found) == ["resumed"] * 4 + ["started"]
        assert len({(b["streamId"], b["generationCreatedAt"]) for b in found}) == 1
        theirs = await other.start("ECHO:x", clientRequestId="r-1")
        assert theirs["status"] == "started"
        assert theirs["streamId"] != found[0]["streamId"]
        stream = found[0]["streamId"]
        misplaced = await user.post(
            "/Fake", user.body("x", clientRequestId="r-1", conversationId=CONVERSATION)
        )
        assert misplaced.json()["code"] == "INVALID_CLIENT_REQUEST_ID"
        models.enough.set()
        events = await user.events(found[0])
        models.enough.clear()
        settled = (await user.post("/Fake", bodies[0])).json()
        assert settled == {
            "conversationId": stream,
            "status": "settled",
            "generationProtocolVersion": 2,
        }
        legacy = (await old.post("/Fake", old.body("x", clientRequestId="r-1"))).json()
        assert (legacy["status"], legacy["streamId"]) == ("resumed", stream)
        newer = await user.start(
            "ON",
            conversationId=stream,
            parentMessageId=events[-1].data["responseMessage"]["messageId"],
        )
        replaced = (await user.post("/Fake", bodies[0])).json()
        assert replaced["status"] == "replaced"
        assert replaced["generationCreatedAt"] == newer["generationCreatedAt"]
        gone = await old.post("/Fake", old.body("x", clientRequestId="r-1"))
        assert (gone.status_code, gone.json()["code"]) == (409, "RUN_REPLACED")
        await user.stop(newer)
        assert len(models.calls) == 3


async def test_claim_without_a_job(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        body = user.body("ECHO:x", clientRequestId="r", conversationId=CONVERSATION)
        cache, key = server.kernel.cache, f"{kit.user}:r"
        fresh = {"stream": CONVERSATION, "claimed": 99999999999999}
        await cache.set("agents:requests", key, fresh)
        waiting = await user.post("/Fake", body)
        assert (waiting.status_code, waiting.json()["code"]) == (503, "SERVER_NOT_READY")
        assert waiting.headers["retry-after"] == "1"
        await cache.set("agents:requests", key, {"stream": CONVERSATION, "claimed": 1})
        assert (await user.post("/Fake", body)).status_code == 503
        assert (await user.post("/Fake", body)).json()["status"] == "started"


async def test_predecessor_fence(serve: Serve, kit: Kit) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        user = kit.chatter(server)
        started = await user.start("ON")
        stream, epoch = started["streamId"], started["generationCreatedAt"]

        def follow_up(expected: int) -> dict[str, Any]:
            return user.body("ECHO:x", conversationId=stream, expectedPredecessorCreatedAt=expected)

        running = await user.post("/Fake", follow_up(epoch))
        assert running.status_code == 409
        body = running.json()
        assert body.pop("error")
        assert body == {
            "status": "predecessor_mismatch",
            "code": "GENERATION_PREDECESSOR_MISMATCH",
            "streamId": stream,
            "conversationId": stream,
            "generationCreatedAt": epoch,
            "predecessorVerified": True,
            "active": True,
            "generationProtocolVersion": 2,
        }
        models.enough.set()
        await user.events(started)
        other = (await user.post("/Fake", follow_up(epoch - 1))).json()
        assert (other["predecessorVerified"], other["active"]) == (False, False)
        answer = await user.post("/Fake", follow_up(epoch))
        assert answer.json()["status"] == "started"
        await user.events(answer.json())
        idle = user.body("ECHO:x", conversationId=CONVERSATION, expectedPredecessorCreatedAt=5)
        assert (await user.post("/Fake", idle)).json()["status"] == "started"


async def test_settings_that_are_refused_at_once(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user = kit.chatter(server)
        for _ in range(2):
            body = user.body("x", endpoint="Spec", clientRequestId="r")
            answer = await user.post("/Spec", body)
            assert answer.status_code == 200
            assert parse(answer.text) == [("error", {"text": "No model spec selected"})]
        assert (await user.get("/active")).json() == {"activeJobIds": []}


async def test_illegal_model_counts_as_violation(serve: Serve, kit: Kit) -> None:
    violations = Violations()
    environment = {"ILLEGAL_MODEL_REQ_SCORE": "5"}
    async with serve(
        "agents", SignIn(), kit.Models(), kit.History(), violations, environment=environment
    ) as server:
        events = await kit.chatter(server).chat("x", model="illegal")
        assert events[-1].data["error"] == '{"type":"illegal_model_request"}'
        await kit.until(lambda: violations.seen)
        fact = violations.seen[0]
        assert (fact.violation, fact.score, fact.ip) == ("illegal_model_request", 5, "127.0.0.1")


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"text": "my key is sk-abc123"}, "sk- prefix token"),
        ({"text": "x", "quotes": ["Authorization: bearer abc.def"]}, "Bearer token"),
        ({"text": "API-Key: zzz"}, "api-key header"),
        ({"text": "the secret word"}, "secret"),
        ({"text": "harmless"}, None),
    ],
)
async def test_secrets_are_refused(
    serve: Serve, kit: Kit, fields: dict[str, Any], label: str | None
) -> None:
    custom = [{"id": "w", "label": "secret", "regex": "secret w(or|ro)d"}]
    yaml = {"messageFilter": {"pii": {"customPatterns": custom}}}
    async with serve("agents", SignIn(), kit.Models(), kit.History(), yaml=yaml) as server:
        user = kit.chatter(server)
        answer = await user.post("/Fake", user.body("x") | fields)
        if label is None:
            assert answer.status_code == 200
            return
        assert answer.status_code == 400
        assert answer.json() == {
            "error": "message_filter_pii_block",
            "message": f"Message contains a {label}. Remove it and try again.",
        }
        steer = await user.post("/steer", {"conversationId": "x", "text": "sk-abc"})
        assert steer.status_code == 400
        resume = await user.post("/resume", {"decisions": [{"editedArguments": {"a": ["sk-abc"]}}]})
        assert resume.json()["error"] == "message_filter_pii_block"


async def test_broken_pattern_blocks(serve: Serve, kit: Kit) -> None:
    custom = [{"id": "w", "label": "x", "regex": "(?=x)"}]
    yaml = {"messageFilter": {"pii": {"starterPatterns": [], "customPatterns": custom}}}
    async with serve("agents", SignIn(), kit.Models(), yaml=yaml) as server:
        answer = await kit.chatter(server).post("/Fake", {"text": "anything"})
        assert answer.status_code == 400
        assert "misconfigured" in answer.json()["message"]


async def test_moderation(serve: Serve, kit: Kit) -> None:
    """A real HTTP service judges; a dead one blocks."""
    asked: list[Any] = []

    async def judge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        asked.append((head, body["input"]))
        flagged = "bad" in json.dumps(body["input"])
        content = json.dumps({"results": [{"flagged": flagged}]}).encode()
        told = f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
        writer.write(told.encode() + content)
        await writer.drain()
        writer.close()

    service = await asyncio.start_server(judge, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    environment = {
        "OPENAI_MODERATION": "true",
        "OPENAI_MODERATION_API_KEY": "mod-key",
        "OPENAI_MODERATION_REVERSE_PROXY": f"http://127.0.0.1:{port}/v1/moderations",
    }
    async with serve(
        "agents", SignIn(), kit.Models(), kit.History(), environment=environment
    ) as server:
        user = kit.chatter(server)
        assert (await user.chat("ECHO:good"))[-1].name == "final"
        assert b"authorization: bearer mod-key" in asked[0][0].lower()
        refused = await user.post("/Fake", user.body("fine", quotes=["bad"]))
        assert json.loads(parse(refused.text)[1][1]["text"]) == {"type": "moderation"}
        assert asked[1][1] == ["fine", "bad", "> bad\n\nfine"]
        async with ForwardProxy().running() as proxy:
            behind = {**environment, "HTTP_PROXY": proxy.place}
            async with serve(
                "agents", SignIn(), kit.Models(), kit.History(), environment=behind
            ) as other:
                assert (await kit.chatter(other).chat("ECHO:good"))[-1].name == "final"
            assert proxy.seen == [f"POST http://127.0.0.1:{port}/v1/moderations"]
        service.close()
        await service.wait_closed()
        refused = await user.post("/Fake", user.body("fine"))
        assert parse(refused.text)[1][1]["text"] == "error in moderation check"
        steer = await user.post("/steer", {"text": "x"})
        assert parse(steer.text)[1][1]["text"] == "error in moderation check"


async def test_an_endless_judgement_blocks(serve: Serve, kit: Kit) -> None:
    """What a foreign server sends is read to its limit, and no further."""
    sent = 0

    async def judge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        with suppress(ConnectionError):
            while sent < 100_000_000:
                writer.write(b"x" * 100_000)
                sent += 100_000
                await writer.drain()
        writer.close()

    service = await asyncio.start_server(judge, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    environment = {
        "OPENAI_MODERATION": "true",
        "OPENAI_MODERATION_REVERSE_PROXY": f"http://127.0.0.1:{port}/v1/moderations",
    }
    async with service, serve("agents", SignIn(), kit.Models(), environment=environment) as server:
        user = kit.chatter(server)
        refused = await user.post("/Fake", user.body("fine"))
        assert parse(refused.text)[1][1]["text"] == "error in moderation check"
        assert sent < 50_000_000


async def test_resume_finds_nothing_to_resume(serve: Serve, kit: Kit) -> None:
    async with serve("agents", SignIn(), kit.Models(), kit.History()) as server:
        user, other = kit.chatter(server), kit.chatter(server, kit.other)
        base = {"conversationId": CONVERSATION, "actionId": "a"}
        cases: list[tuple[dict[str, Any], int]] = [
            ({"conversationId": None}, 400),
            ({"conversationId": {"$gt": ""}}, 400),
            ({"actionId": 5}, 400),
            ({"generationCreatedAt": "x"}, 400),
            ({"answer": "x" * 16_001}, 400),
            ({"answer": {}}, 400),
            ({}, 404),
        ]
        for fields, status in cases:
            answer = await user.post("/resume", base | fields)
            assert answer.status_code == status, fields
            assert isinstance(answer.json()["error"], str)
        started = await user.start("ON")
        running = base | {"conversationId": started["streamId"]}
        assert (await other.post("/resume", running)).status_code == 403
        stale = await user.post("/resume", running | {"generationCreatedAt": 5})
        assert (stale.status_code, stale.json()["code"]) == (409, "RUN_REPLACED")
        answer = await user.post("/resume", running)
        assert answer.status_code == 409
        assert answer.json()["error"] == "No live pending action to resume"
        await user.stop(started)


async def test_store_is_full(serve: Serve, kit: Kit) -> None:
    yaml = {"plugins": {"agents": {"max_jobs": 2}}}
    async with serve("agents", SignIn(), kit.Models(), kit.History(), yaml=yaml) as server:
        user = kit.chatter(server)
        running = [await user.start("ON") for _ in range(2)]
        full = await user.post("/Fake", user.body("x"))
        assert (full.status_code, full.json()["code"]) == (503, "SERVER_NOT_READY")
        await user.stop(running[0])
        assert (await user.post("/Fake", user.body("ECHO:x"))).status_code == 200
        await user.stop(running[1])
