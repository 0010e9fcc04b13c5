"""Editing, rating, branching and saving messages (contract messages §3.2 to §3.7)."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from locutory import Provide
from locutory_contracts.conversations import MessageSaved
from locutory_contracts.models import TOKENS

CHILD = "01234567-89ab-8cde-b123-0123456789ab"
VIEW_ONLY = (
    "This subagent thread is view-only. "
    "Continue it from its parent agent or create a separate chat."
)


class Words:
    """Counts words, so that tests can count too."""

    def count(self, text: str) -> int:
        return len(text.split())


@pytest.fixture
async def counted(open_world: Any, offer: Any) -> Any:
    """A world with a token counter."""
    async with open_world(offer(Provide(TOKENS, Words()))) as world:
        yield world


async def placed(world: Any, **fields: Any) -> tuple[dict[str, Any], str]:
    """A message of Alice in a conversation of hers, and its path."""
    stored = await world.conversation(world.alice.id)
    message = await world.message(
        world.alice.id, stored["conversationId"], updatedAt=world.ago(days=1), **fields
    )
    return message, f"/api/messages/{stored['conversationId']}/{message['messageId']}"


async def now_stored(world: Any, message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await world.stored("messages", _id=message["_id"])
    return found


class TestWholeText:
    async def test_text_and_tokens(self, counted: Any) -> None:
        message, path = await placed(counted, content=[{"type": "text", "text": "c"}])
        answer = await counted.alice.call("PUT", path, {"text": "one two three", "model": "m"})
        assert answer.status_code == 200
        assert answer.json() == {
            "messageId": message["messageId"],
            "conversationId": message["conversationId"],
            "parentMessageId": message["parentMessageId"],
            "sender": "Fake",
            "text": "one two three",
            "isCreatedByUser": False,
            "tokenCount": 3,
            "endpoint": "Fake",
        }
        stored = await now_stored(counted, message)
        assert stored["content"] == message["content"]
        assert stored["updatedAt"] > message["updatedAt"]
        (fact,) = counted.witness.of(MessageSaved)
        assert fact.message == stored

    async def test_quotes_count_for_users(self, counted: Any) -> None:
        quotes = ["first line\n\nthird", "  ", 5, "second"]
        for mine, expected in ((True, 2 + 6 + 2), (False, 2)):
            _, path = await placed(counted, isCreatedByUser=mine, quotes=quotes)
            body = (await counted.alice.call("PUT", path, {"text": "my text"})).json()
            # "> first line", ">", "> third" are 3 + 1 + 2 words, "> second" is 2
            assert body["tokenCount"] == expected

    async def test_without_a_counter(self, world: Any) -> None:
        _, path = await placed(world)
        body = (await world.alice.call("PUT", path, {"text": "x" * 9})).json()
        assert body["tokenCount"] == 3

    async def test_errors(self, world: Any) -> None:
        message, path = await placed(world)
        for text in (..., None, 5, ["a"], {"$gt": ""}):
            body = {} if text is ... else {"text": text}
            assert (await world.alice.call("PUT", path, body)).status_code == 400
        other = await world.conversation(world.alice.id)
        for wrong in (
            path + "x",
            f"/api/messages/{other['conversationId']}/{message['messageId']}",
        ):
            answer = await world.alice.call("PUT", wrong, {"text": "x"})
            assert (answer.status_code, answer.json()) == (404, {"error": "Message not found"})
        assert await now_stored(world, message) == message


class TestParts:
    async def test_a_text_part(self, counted: Any) -> None:
        content = [None, {"type": "text", "text": "a b", "agentId": "x", "tool_call_ids": ["t"]}]
        message, path = await placed(counted, content=content, tokenCount=10)
        answer = await counted.alice.call("PUT", path, {"text": "c d e", "index": 1})
        assert answer.status_code == 200
        assert answer.json()["tokenCount"] == 11
        assert answer.json()["text"] == ""
        assert "content" not in answer.json()
        stored = await now_stored(counted, message)
        assert stored["content"] == [
            None,
            {"type": "text", "text": "c d e", "agentId": "x", "tool_call_ids": ["t"]},
        ]
        assert counted.witness.of(MessageSaved)[-1].message == stored

    async def test_parts_that_hold_an_object(self, counted: Any) -> None:
        content = [
            {"type": "text", "text": {"value": "a", "annotations": [1]}},
            {"type": "think", "think": {"value": "b"}},
        ]
        message, path = await placed(counted, content=content)
        for index in (0, 1):
            answer = await counted.alice.call("PUT", path, {"text": "new", "index": index})
            assert answer.status_code == 200
            assert "tokenCount" not in answer.json()
        assert (await now_stored(counted, message))["content"] == [
            {"type": "text", "text": {"value": "new", "annotations": [1]}},
            {"type": "think", "think": {"value": "new"}},
        ]

    async def test_reasoning_loses_its_labels(self, counted: Any) -> None:
        labels = {
            "reasoning_label": "l",
            "reasoning_label_step_id": "s",
            "reasoning_label_attempts": 1,
            "reasoning_label_submitted_chars": 2,
            "reasoning_label_revision": 3,
            "reasoning_label_status": "complete",
        }
        content = [
            {"type": "think", "think": "a", "groupId": 1, **labels},
            {"type": "text", "text": "b", **labels},
        ]
        message, path = await placed(counted, content=content)
        for index in (0, 1):
            await counted.alice.call("PUT", path, {"text": "new", "index": index})
        assert (await now_stored(counted, message))["content"] == [
            {"type": "think", "think": "new", "groupId": 1},
            {"type": "text", "text": "new", **labels},
        ]

    async def test_tokens_never_fall_below_the_new_text(self, counted: Any) -> None:
        _, path = await placed(counted, content=[{"type": "text", "text": "a b c d"}], tokenCount=1)
        answer = await counted.alice.call("PUT", path, {"text": "x y", "index": 0})
        assert answer.json()["tokenCount"] == 2

    @pytest.mark.parametrize(
        ("index", "text"),
        [
            (-1, "Invalid index"),
            (9, "Invalid index"),
            ("0", "Invalid index"),
            (None, "Invalid index"),
            (True, "Invalid index"),
            (0.5, "Invalid index"),
            ({"$gt": 0}, "Invalid index"),
            ([0], "Invalid index"),
            (2**70, "Invalid index"),
            (0, "Content part not found"),
            (1, "Cannot update non-text content"),
            (2, "Cannot update non-text content"),
        ],
    )
    async def test_errors(self, world: Any, index: Any, text: str) -> None:
        content = [None, {"type": "tool_call", "tool_call": {}}, {"type": "text", "text": 5}]
        message, path = await placed(world, content=content)
        answer = await world.alice.call("PUT", path, {"text": "x", "index": index})
        assert (answer.status_code, answer.json()) == (400, {"error": text})
        assert await now_stored(world, message) == message

    async def test_without_content(self, world: Any) -> None:
        contents: list[Any] = [..., None, "text", []]
        for content in contents:
            _, path = await placed(world, content=content)
            answer = await world.alice.call("PUT", path, {"text": "x", "index": 0})
            assert (answer.status_code, answer.json()) == (400, {"error": "Invalid index"})

    async def test_simultaneous_edits_of_two_parts_both_stay(self, world: Any) -> None:
        content = [{"type": "text", "text": f"{number}"} for number in range(4)]
        message, path = await placed(world, content=content)
        answers = await asyncio.gather(
            *(
                world.alice.call("PUT", path, {"text": f"new {number}", "index": number})
                for number in range(4)
            )
        )
        assert [answer.status_code for answer in answers] == [200] * 4
        stored = await now_stored(world, message)
        assert [part["text"] for part in stored["content"]] == [f"new {n}" for n in range(4)]


class TestFeedback:
    async def test_set_and_clear(self, world: Any) -> None:
        message, path = await placed(world)
        given = {"rating": "thumbsDown", "tag": "other", "text": "because", "user": "x"}
        answer = await world.alice.call("PUT", f"{path}/feedback", {"feedback": given})
        assert answer.status_code == 200
        body = answer.json()
        identity = body["feedback"].pop("_id")
        assert ObjectId.is_valid(identity)
        assert body == {
            "messageId": message["messageId"],
            "conversationId": message["conversationId"],
            "feedback": {"rating": "thumbsDown", "tag": "other", "text": "because"},
        }
        stored = await now_stored(world, message)
        assert stored["feedback"]["_id"] == ObjectId(identity)
        assert world.witness.of(MessageSaved)[-1].message == stored
        for body in ({}, {"feedback": None}):
            answer = await world.alice.call("PUT", f"{path}/feedback", body)
            assert answer.json()["feedback"] is None
            assert (await now_stored(world, message))["feedback"] is None

    @pytest.mark.parametrize(
        "feedback",
        [
            {},
            {"rating": "thumbsUp"},
            {"tag": "other"},
            {"rating": "thumbsUp", "tag": "other"},
            {"rating": "thumbsDown", "tag": "accurate_reliable"},
            {"rating": "great", "tag": "other"},
            {"rating": "thumbsDown", "tag": ["other"]},
            {"rating": {"$gt": ""}, "tag": "other"},
            {"rating": ["thumbsUp"], "tag": "other"},
            {"rating": "thumbsDown", "tag": "other", "text": 5},
            {"rating": "thumbsDown", "tag": "other", "text": "x" * 1025},
            "thumbsUp",
            ["thumbsUp"],
            False,
            0,
        ],
    )
    async def test_errors(self, world: Any, feedback: Any) -> None:
        message, path = await placed(world)
        answer = await world.alice.call("PUT", f"{path}/feedback", {"feedback": feedback})
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid feedback"})
        assert await now_stored(world, message) == message

    async def test_longest_text_and_unknown_message(self, world: Any) -> None:
        _, path = await placed(world)
        good = {"rating": "thumbsUp", "tag": "attention_to_detail", "text": "x" * 1024}
        answer = await world.alice.call("PUT", f"{path}/feedback", {"feedback": good})
        assert answer.status_code == 200
        answer = await world.alice.call("PUT", f"{path}x/feedback", {"feedback": good})
        assert (answer.status_code, answer.json()) == (404, {"error": "Message not found"})


class TestArtifactRoute:
    TEXT = ":::artifact{title=a}\n```html\n<p>old</p>\n```\n:::\nafter"

    async def test_in_content_and_in_text(self, world: Any) -> None:
        content = [{"type": "think", "think": self.TEXT}, {"type": "text", "text": self.TEXT}]
        for fields, place in (
            ({"content": content, "text": self.TEXT}, "content"),
            ({"text": self.TEXT}, "text"),
        ):
            message, _ = await placed(world, tokenCount=7, **fields)
            path = f"/api/messages/artifact/{message['messageId']}"
            body = {"index": 0, "original": "<p>old</p>\n", "updated": "<p>new</p>"}
            answer = await world.alice.call("POST", path, body)
            assert answer.status_code == 200, answer.text
            edited = self.TEXT.replace("old", "new")
            expected = {**message}
            if place == "text":
                expected["text"] = edited
            else:
                expected["content"] = [content[0], {"type": "text", "text": edited}]
            shown = answer.json()
            assert set(shown) == {"conversationId", "text"} | set(fields)
            assert all(shown[name] == expected[name] for name in shown)
            stored = await now_stored(world, message)
            assert stored["updatedAt"] > message["updatedAt"]
            assert {**stored, "updatedAt": 0} == {**expected, "updatedAt": 0}

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ({}, "Invalid request parameters"),
            ({"index": -1, "original": "a", "updated": "b"}, "Invalid request parameters"),
            ({"index": "0", "original": "a", "updated": "b"}, "Invalid request parameters"),
            ({"index": True, "original": "a", "updated": "b"}, "Invalid request parameters"),
            ({"index": 0.5, "original": "a", "updated": "b"}, "Invalid request parameters"),
            ({"index": 0, "original": None, "updated": "b"}, "Invalid request parameters"),
            ({"index": 0, "original": "a", "updated": {"$gt": 1}}, "Invalid request parameters"),
            ({"index": 0, "original": ["a"], "updated": "b"}, "Invalid request parameters"),
            ({"index": 1, "original": "a", "updated": "b"}, "Artifact index out of bounds"),
            ({"index": 2**62, "original": "a", "updated": "b"}, "Artifact index out of bounds"),
            (
                {"index": 0, "original": "zzz", "updated": "b"},
                "Original content not found in target artifact",
            ),
            (
                {"index": 0, "original": "", "updated": "b"},
                "Original content not found in target artifact",
            ),
        ],
    )
    async def test_errors(self, world: Any, body: dict[str, Any], text: str) -> None:
        message, _ = await placed(world, text=self.TEXT)
        path = f"/api/messages/artifact/{message['messageId']}"
        answer = await world.alice.call("POST", path, body)
        assert (answer.status_code, answer.json()) == (400, {"error": text})
        assert await now_stored(world, message) == message
        if "out of bounds" in text or "not found in" in text:
            answer = await world.bob.call("POST", path, body)
            assert (answer.status_code, answer.json()) == (404, {"error": "Message not found"})


class TestBranch:
    CONTENT = (
        None,
        {"type": "text", "text": "a", "agentId": "one", "groupId": 1},
        {"type": "text", "text": "b", "agentId": "two", "groupId": 1},
        {"type": "tool_call", "tool_call": {"args": ""}, "agentId": "one"},
    )

    async def test_a_sibling_with_one_agents_parts(self, world: Any) -> None:
        source, _ = await placed(
            world,
            content=list(self.CONTENT),
            attachments=[{"a": 1}],
            model="agent_x",
            iconURL="i",
            tokenCount=5,
            feedback={"rating": "thumbsUp"},
        )
        body = {"messageId": source["messageId"], "agentId": "one"}
        answer = await world.alice.call("POST", "/api/messages/branch", body)
        assert answer.status_code == 201
        made = answer.json()
        assert made["messageId"] != source["messageId"]
        for name in ("conversationId", "parentMessageId", "attachments", "model", "iconURL"):
            assert made[name] == source[name]
        assert (made["endpoint"], made["sender"]) == ("Fake", "Fake")
        assert made["content"] == [
            {"type": "text", "text": "a"},
            {"type": "tool_call", "tool_call": {"args": ""}},
        ]
        assert (made["isCreatedByUser"], made["unfinished"], made["error"]) == (False,) * 3
        assert not {"feedback", "tokenCount", "_meiliIndex"} & set(made)
        stored = await world.stored("conversations", conversationId=source["conversationId"])
        assert [str(identity) for identity in stored["messages"]] == [made["_id"]]
        assert await now_stored(world, source) == source

    async def test_a_branch_of_a_temporary_chat_is_temporary(self, world: Any) -> None:
        source, _ = await placed(
            world, content=list(self.CONTENT), isTemporary=True, expiredAt=world.ago(days=-1)
        )
        body = {"messageId": source["messageId"], "agentId": "two"}
        made = (await world.alice.call("POST", "/api/messages/branch", body)).json()
        assert made["isTemporary"] is True
        assert made["expiredAt"] is not None

    async def test_errors(self, world: Any) -> None:
        async def branch(message_id: Any, agent: Any = "one") -> tuple[int, str]:
            body = {"messageId": message_id, "agentId": agent}
            answer = await world.alice.call("POST", "/api/messages/branch", body)
            return answer.status_code, answer.json()["error"]

        needed = (400, "messageId and agentId are required")
        for message_id, agent in (
            (None, "a"),
            ("", "a"),
            ("m", None),
            ("m", ["a"]),
            ({"$gt": ""}, "a"),
            (5, "a"),
        ):
            assert await branch(message_id, agent) == needed
        assert await branch("unknown") == (404, "Source message not found")
        cases: list[tuple[dict[str, Any], str]] = [
            ({"isCreatedByUser": True}, "Cannot branch from user messages"),
            ({}, "Message does not have content"),
            ({"content": "x"}, "Message does not have content"),
            (
                {"content": [{"type": "text", "text": "a"}, None]},
                "Message does not have parallel content with attributions",
            ),
            ({"content": [{"agentId": "two"}]}, "No content found for the specified agentId"),
        ]
        for fields, text in cases:
            message, _ = await placed(world, **fields)
            assert await branch(message["messageId"]) == (400, text)
        foreign = await world.message(world.bob.id, str(uuid4()), content=list(self.CONTENT))
        assert await branch(foreign["messageId"]) == (404, "Source message not found")


class TestDrafts:
    async def test_fields_are_allow_listed(self, world: Any) -> None:
        stored = await world.conversation(world.alice.id, title="T")
        conversation_id = stored["conversationId"]
        body = {
            "messageId": "mine_",
            "text": "Hello",
            "sender": "User",
            "isCreatedByUser": True,
            "endpoint": "openAI",
            "model": "m",
            "iconURL": "i",
            "content": [None, {"type": "text", "text": "a", "deep": {"$x": 1, "y": 2}}],
            "user": world.bob.id,
            "tenantId": "t",
            "_id": "x",
            "createdAt": "2020-01-01",
            "expiredAt": "2020-01-01",
            "subagentTask": {"status": "running"},
            "langfuseSampled": True,
            "feedback": {"rating": "thumbsUp"},
            "unknown": 1,
        }
        answer = await world.alice.call("POST", f"/api/messages/{conversation_id}", body)
        assert answer.status_code == 201
        saved = await world.stored("messages", messageId="mine_")
        assert saved["user"] == world.alice.id
        assert saved["content"] == [None, {"type": "text", "text": "a", "deep": {"y": 2}}]
        assert set(saved) == {
            *("_id", "__v", "_meiliIndex", "messageId", "conversationId", "user", "text"),
            *("sender", "isCreatedByUser", "endpoint", "model", "iconURL", "content"),
            *("unfinished", "error", "isTemporary", "createdAt", "updatedAt"),
        }
        assert answer.json()["messageId"] == "mine_"
        assert "_meiliIndex" not in answer.json()
        document = await world.stored("conversations", _id=stored["_id"])
        assert document["messages"] == [saved["_id"]]
        assert (document["endpoint"], document["model"], document["iconURL"]) == (
            "openAI",
            "m",
            "i",
        )
        again = await world.alice.call(
            "POST",
            f"/api/messages/{conversation_id}",
            {"messageId": "mine_", "text": "Bye", "isTemporary": True},
        )
        assert again.json()["_id"] == answer.json()["_id"]
        assert (again.json()["text"], again.json()["isTemporary"]) == ("Bye", True)

    async def test_errors(self, world: Any) -> None:
        stored = await world.conversation(world.alice.id)
        path = f"/api/messages/{stored['conversationId']}"
        deep: Any = "x"
        for _ in range(200):
            deep = [deep]
        for wrong in (
            {},
            {"messageId": ""},
            {"messageId": 5},
            {"messageId": {"$gt": ""}},
            {"messageId": "x" * 300},
            {"messageId": "m", "text": 5},
            {"messageId": "m", "isCreatedByUser": "yes"},
            {"messageId": "m", "content": "text"},
            {"messageId": "m", "metadata": ["a"]},
            {"messageId": "m", "quotes": [1]},
            {"messageId": "m", "tokenCount": "5"},
            {"messageId": "m", "content": [2**63]},
            {"messageId": "m", "content": [deep]},
        ):
            answer = await world.alice.call("POST", path, wrong)
            assert answer.status_code == 400, wrong
        odd = await world.conversation(world.alice.id, conversationId="not-a-uuid")
        answer = await world.alice.call("POST", "/api/messages/not-a-uuid", {"messageId": "m"})
        assert (answer.status_code, answer.json()) == (400, {"error": "Message not saved"})
        assert await world.collection("messages").count_documents({}) == 0
        assert await world.stored("conversations", _id=odd["_id"]) == odd


async def test_child_threads_are_view_only(world: Any) -> None:
    thread = {"parentConversationId": "p", "depth": 1}
    rows = [
        await world.conversation(world.alice.id, subagentThread=thread),
        await world.conversation(world.alice.id, conversationId=CHILD),
    ]
    for row in rows:
        message = await world.message(
            world.alice.id, row["conversationId"], content=list(TestBranch.CONTENT)
        )
        path = f"/api/messages/{row['conversationId']}"
        one = f"{path}/{message['messageId']}"
        for method, where, body in (
            ("PUT", one, {"text": "x"}),
            ("POST", path, {"messageId": "m"}),
            ("DELETE", one, None),
            (
                "POST",
                f"/api/messages/artifact/{message['messageId']}",
                {"index": 0, "original": "a", "updated": "b"},
            ),
            (
                "POST",
                "/api/messages/branch",
                {"messageId": message["messageId"], "agentId": "one"},
            ),
        ):
            answer = await world.alice.call(method, where, body)
            assert (answer.status_code, answer.json()) == (409, {"error": VIEW_ONLY}), where
        assert (await world.alice.call("PUT", f"{one}/feedback", {})).status_code == 200
        assert (await world.alice.get(path)).status_code == 200
