"""Nothing private leaves with a link (contract share §3)."""

from typing import Any

from bson import ObjectId

from locutory_share.redaction import without_markers

ALLOWED = {
    "messageId",
    "parentMessageId",
    "conversationId",
    "sender",
    "text",
    "content",
    "isCreatedByUser",
    "createdAt",
    "updatedAt",
    "tokenCount",
    "unfinished",
    "error",
    "finish_reason",
    "iconURL",
    "model",
    "manualSkills",
    "alwaysAppliedSkills",
    "quotes",
    "files",
    "attachments",
}
P = "PRIVATE"
"""Planted wherever something private may be stored."""

PRIVATE_MESSAGE: dict[str, Any] = {
    "endpoint": P,
    "conversationSignature": P,
    "clientId": P,
    "invocationId": 77123456,
    "summary": P,
    "summaryTokenCount": 77123456,
    "feedback": {"rating": "thumbsUp", "text": P, "_id": ObjectId()},
    "langfuseSampled": True,
    "langfuseDestinationIds": [P],
    "_meiliIndex": True,
    "thread_id": P,
    "metadata": {"usage": P, "thoughtSignatures": P, "contextUsage": {"runId": P}},
    "subagentTranscript": {"taskId": P, "mode": "append", "messagesJson": P},
    "subagentTask": {"attemptKey": P, "status": "running"},
    "contextMeta": {"encoding": P},
    "expiredAt": None,
    "addedConvo": True,
    "isTemporary": False,
    "tenantId": P,
    "plugin": P,
    "plugins": [P],
    "somethingNew": P,
    "model": f"gpt-{P}",
}
PRIVATE_FILE: dict[str, Any] = {
    "_id": ObjectId(),
    "__v": 7,
    "user": P,
    "tenantId": P,
    "storageRegion": P,
    "storageKey": P,
    "temp_file_id": P,
    "message": P,
    "source": P,
    "filterSource": P,
    "context": P,
    "embedded": True,
    "usage": 77123456,
    "metadata": {"codeEnvRef": {"id": P}},
    "filepath": f"/images/{P}/x.png",
    "preview": f"/images/{P}/x.png",
}
PRIVATE_CONVERSATION: dict[str, Any] = {
    "promptPrefix": P,
    "system": P,
    "instructions": P,
    "agent_id": P,
    "assistant_id": P,
    "tags": [P],
    "chatProjectId": P,
    "files": [P],
    "tools": [P],
    "spec": P,
    "model": P,
    "subagentThread": {"rootConversationId": P},
    "subagentThreadLease": {"token": P},
    "tenantId": P,
}
TOOL_CALL = {
    "id": "call_1",
    "name": "search",
    "type": "tool_call",
    "args": "{}",
    "output": "found",
    "progress": 1,
    "auth": f"https://login.example/{P}",
    "expires_at": 77123456,
    "approval": {"actionId": P, "allowed_decisions": ["approve"]},
}


async def test_only_the_allowed_fields_leave(world: Any) -> None:
    user = world.alice.id
    chat = await world.chat(user, **PRIVATE_CONVERSATION)
    shown_file = {
        "file_id": "unknown",
        "filename": "a.png",
        "type": "image/png",
        "width": 3,
        "conversationId": chat,
        "messageId": "m-stored",
    }
    web = {
        "turn": 0,
        "organic": [{"link": "https://example.com", "sitelinks": P, "highlights": P, "user": P}],
        "topStories": [{"title": "News", "highlights": P}],
        "knowledgeGraph": P,
        "peopleAlsoAsk": P,
        "relatedSearches": P,
        "shopping": P,
        "places": P,
        "news": P,
    }
    cited = {"fileName": "a.txt", "content": "cited", "metadata": {"storageType": P}}
    planted = {
        **PRIVATE_MESSAGE,
        "messageId": "m-stored",
        "sender": "GPT",
        "text": "",
        "isCreatedByUser": False,
        "tokenCount": 12,
        "unfinished": False,
        "error": False,
        "finish_reason": "stop",
        "iconURL": "https://example.com/icon.png",
        "manualSkills": ["a"],
        "alwaysAppliedSkills": ["b"],
        "quotes": ["c"],
        "files": [{**PRIVATE_FILE, **shown_file}, "junk", None, {"_id": P}],
        "attachments": [
            {**PRIVATE_FILE, **shown_file, "toolCallId": "call_1"},
            {"type": "web_search", "web_search": web, "toolCallId": "call_1"},
            {"type": "file_search", "file_search": {"sources": [cited]}, "toolCallId": "call_1"},
            {"type": "memory", "memory": {"key": P, "value": P}},
            {"type": "ui_resources", "ui_resources": [{"uri": P}]},
            {"filename": "late.txt", "filepath": f"/api/files/{P}", "expiresAt": 1},
        ],
        "content": [
            {"type": "text", "text": "Answer"},
            None,
            {"type": "tool_call", "tool_call": TOOL_CALL},
            {
                "type": "tool_call",
                "tool_call": {
                    "name": "subagent",
                    "args": "",
                    "subagent_content": [
                        {"type": "tool_call", "tool_call": TOOL_CALL},
                        {"type": "steer", "steer": "more", "files": [PRIVATE_FILE]},
                    ],
                },
            },
            {"type": "steer", "steer": "faster", "files": [{**PRIVATE_FILE, **shown_file}]},
            {"type": "image_file", "image_file": {**PRIVATE_FILE, **shown_file}},
            {"type": "think", "think": "Hm"},
        ],
    }
    await world.say(user, chat, "00000000-0000-0000-0000-000000000000", **planted)
    made = await world.alice.share(chat)
    answer = await world.bob.get(f"/api/share/{made['shareId']}")
    body = answer.json()
    text = answer.text
    for secret in (P, user, chat, "77123456", "m-stored", made["_id"]):
        assert secret not in text, f"{secret} in {text}"
    (message,) = body["messages"]
    assert set(message) == ALLOWED - {"model"}
    assert message["content"] == [
        {"type": "text", "text": "Answer"},
        None,
        {"type": "tool_call", "tool_call": _public(TOOL_CALL)},
        {
            "type": "tool_call",
            "tool_call": {
                "name": "subagent",
                "args": "",
                "subagent_content": [
                    {"type": "tool_call", "tool_call": _public(TOOL_CALL)},
                    {"type": "steer", "steer": "more"},
                ],
            },
        },
        {
            "type": "steer",
            "steer": "faster",
            "files": [
                {
                    "file_id": "unknown",
                    "filename": "a.png",
                    "type": "image/png",
                    "width": 3,
                    "conversationId": body["conversationId"],
                    "messageId": message["messageId"],
                }
            ],
        },
        None,
        {"type": "think", "think": "Hm"},
    ]
    assert message["files"] == message["content"][4]["files"]
    ids = {"conversationId": body["conversationId"], "messageId": message["messageId"]}
    organic = [{"link": "https://example.com"}]
    assert message["attachments"] == [
        {**message["files"][0], "toolCallId": "call_1"},
        {
            "type": "web_search",
            "web_search": {"turn": 0, "organic": organic, "topStories": [{"title": "News"}]},
            "toolCallId": "call_1",
            **ids,
        },
        {
            "type": "file_search",
            "file_search": {"sources": [{"fileName": "a.txt", "content": "cited"}]},
            "toolCallId": "call_1",
            **ids,
        },
        {"filename": "late.txt", "expiresAt": 1, **ids},
    ]


def _public(call: dict[str, Any]) -> dict[str, Any]:
    return {name: call[name] for name in ("id", "name", "type", "args", "output", "progress")}


async def test_a_fork_takes_nothing_private_along(world: Any) -> None:
    user = world.alice.id
    chat = await world.chat(user, **PRIVATE_CONVERSATION)
    message = {**PRIVATE_MESSAGE, "files": [{**PRIVATE_FILE, "file_id": "f"}]}
    await world.say(user, chat, "", **message)
    made = await world.alice.share(chat)
    answer = await world.bob.call("POST", f"/api/share/{made['shareId']}/fork", {})
    assert answer.status_code == 201
    for secret in (P, user, chat, "77123456", '"f"'):
        assert secret not in answer.text, secret


async def test_absent_fields_stay_absent(world: Any) -> None:
    chat = await world.chat(world.alice.id)
    await world.say(world.alice.id, chat, "", text=None, tokenCount=None)
    made = await world.alice.share(chat)
    (message,) = (await world.bob.read(made["shareId"]))["messages"]
    assert set(message) == {
        "messageId",
        "parentMessageId",
        "conversationId",
        "sender",
        "isCreatedByUser",
        "createdAt",
        "updatedAt",
    }


async def test_only_assistants_are_named_and_by_another_name(world: Any) -> None:
    chat = await world.chat(world.alice.id)
    first = await world.say(world.alice.id, chat, "", model="asst_1")
    second = await world.say(world.alice.id, chat, first, model="asst_1")
    third = await world.say(world.alice.id, chat, second, model="asst_2")
    await world.say(world.alice.id, chat, third, model="gpt-4o")
    made = await world.alice.share(chat)
    models = [m.get("model") for m in (await world.bob.read(made["shareId"]))["messages"]]
    assert models[0] == models[1] != models[2]
    assert models[0].startswith("a_")
    assert models[3] is None


async def test_markers_leave_answers_only(world: Any) -> None:
    chat = await world.chat(world.alice.id)
    marked = r"See \ui{a,b} here"
    first = await world.say(world.alice.id, chat, "", text=marked)
    answer = {
        "isCreatedByUser": False,
        "text": marked,
        "content": [
            {"type": "text", "text": marked},
            {"type": "text", "text": {"value": marked, "annotations": []}},
            {"type": "think", "think": marked},
        ],
    }
    second = await world.say(world.alice.id, chat, first, **answer)
    await world.say(world.alice.id, chat, second, isCreatedByUser=False, text=marked, error=True)
    made = await world.alice.share(chat)
    messages = (await world.bob.read(made["shareId"]))["messages"]
    assert messages[0]["text"] == marked
    assert messages[1]["text"] == "See  here"
    assert messages[1]["content"] == [
        {"type": "text", "text": "See  here"},
        {"type": "text", "text": {"value": "See  here", "annotations": []}},
        {"type": "think", "think": marked},
    ]
    assert messages[2]["text"] == marked


def test_markers_in_code_are_code() -> None:
    assert without_markers(r"a \ui{x} `\ui{x}` b") == r"a  `\ui{x}` b"
    assert without_markers("```\n\\ui{x}\n```\\ui{x}") == "```\n\\ui{x}\n```"
    assert without_markers(r"\ui{} \ui{a b} \u{x}") == r"\ui{} \ui{a b} \u{x}"
    assert without_markers("`" * 20_000 + r"\ui{x}") is not None
    assert without_markers("`a\n" * 20_000 + r"\ui{x}") is not None
    assert without_markers("```a`" * 20_000 + r"\ui{x}") is not None
