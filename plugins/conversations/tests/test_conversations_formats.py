"""The formats of imports, without a server (contract convos §5)."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.formats import chatbotui, chatgpt, claude, librechat
from locutory_conversations.importing.reading import format_of, items
from locutory_conversations.importing.size_limited_file import SizeLimitedFile

OFFERED = AvailableModels(("Fake", "openAI"), {"openAI": ["gpt-9"], "Fake": ["fake-1"]})
MEGABYTE = 1024 * 1024


def limited_file(content: Any, largest: int = MEGABYTE) -> SizeLimitedFile:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return SizeLimitedFile(io.BytesIO(data), len(data), largest)


def test_claude_a_chain_with_thoughts() -> None:
    moment = "2026-01-01T10:00:00.000000Z"
    whole = claude.conversation(
        {
            "name": "",
            "created_at": moment,
            "chat_messages": [
                {"sender": "human", "created_at": moment, "text": "Hello", "content": []},
                {"sender": "assistant", "content": [{"type": "tool_use"}]},
                {
                    "sender": "assistant",
                    "created_at": moment,
                    "text": "ignored",
                    "content": [
                        {"type": "thinking", "thinking": "Hm. "},
                        {"type": "thinking", "thinking": "Yes."},
                        {"type": "text", "text": "Good "},
                        {"type": "text", "text": "day"},
                    ],
                },
            ],
        },
        AvailableModels(),
    )
    question, answer = whole.messages
    assert (question["text"], question["sender"]) == ("Hello", "user")
    assert (answer["text"], answer["sender"]) == ("Good day", "Claude")
    assert answer["content"] == [
        {"type": "think", "think": "Hm. Yes."},
        {"type": "text", "text": "Good day"},
    ]
    assert answer["parentMessageId"] == question["messageId"]
    assert (answer["createdAt"] - question["createdAt"]).total_seconds() == 0.001
    assert whole.conversation["title"] == "Imported Claude Chat"
    assert whole.conversation["model"] == "claude-3-5-sonnet-latest"
    assert whole.conversation["createdAt"] == datetime(2026, 1, 1, 10, tzinfo=UTC)


def test_claude_documents_and_attachments() -> None:
    artifact = {"command": "create", "title": "Plan", "type": "text/markdown", "content": "```\nx"}
    code = {"command": "rewrite", "language": "python\n", "type": "application/vnd.ant.code"}
    whole = claude.conversation(
        {
            "chat_messages": [
                {
                    "sender": "human",
                    "content": [{"type": "text", "text": "Read this"}],
                    "attachments": [
                        {"file_name": "a.txt", "extracted_content": "words"},
                        {"file_name": "b.pdf", "extracted_content": ""},
                        {"extracted_content": "pasted"},
                        7,
                    ],
                    "files": [{"file_name": "a.txt"}, {"file_name": "c.png"}],
                },
                {
                    "sender": "assistant",
                    "content": [
                        {"type": "text", "text": "Here:"},
                        {"type": "tool_use", "name": "artifacts", "input": artifact},
                        {"type": "tool_result", "content": [{"type": "text", "text": "OK"}]},
                        {"type": "text", "text": "Done."},
                    ],
                },
                {
                    "sender": "assistant",
                    "content": [
                        {"type": "tool_use", "input": {**code, "content": "1"}},
                        {"type": "tool_use", "input": {"command": "update", "new_str": "2"}},
                        {"type": "tool_use", "input": "no object"},
                    ],
                },
                {"sender": "human", "text": "", "files": [{"file_name": "d.png"}]},
                {"sender": "human", "text": "", "files": [{}], "attachments": None},
            ]
        },
        OFFERED,
    )
    assert [message["text"] for message in whole.messages] == [
        "Read this\n\n**a.txt**\n\n```\nwords\n```\n\n```\npasted\n```\n\n`b.pdf`, `c.png`",
        "Here:\n\n**Plan**\n\n````markdown\n```\nx\n````\n\nDone.",
        "```python\n1\n```",
        "`d.png`",
    ]


def test_chatbot_ui_a_chain_with_dates() -> None:
    whole = chatbotui.conversation(
        {
            "name": "Old chat",
            "model": {"id": "gpt-3.5-turbo"},
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a"},
            ],
        },
        OFFERED,
    )
    question, answer = whole.messages
    assert (question["sender"], question.get("model")) == ("user", None)
    assert (answer["sender"], answer["model"]) == ("GPT-3.5", "gpt-3.5-turbo")
    assert answer["parentMessageId"] == question["messageId"]
    assert answer["createdAt"] > question["createdAt"]
    assert whole.conversation["title"] == "Old chat"


def test_chatbot_ui_messages_with_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    parts = [{"type": "text", "text": "What"}, picture, {"type": "text", "text": "is it?"}, 7]
    whole = chatbotui.conversation(
        {"messages": [{"role": "user", "content": parts}, {"role": "user", "content": {}}]}, OFFERED
    )
    assert [message["text"] for message in whole.messages] == ["What\nis it?", ""]


FLAT = [
    {
        "messageId": "m1",
        "parentMessageId": NO_PARENT,
        "text": "hi \\ui{kept}",
        "isCreatedByUser": True,
        "createdAt": "2025-05-05T10:00:00.000Z",
        "user": "somebody",
        "tokenCount": 3,
        "tenantId": "t",
        "isTemporary": True,
        "expiredAt": "2020-01-01",
    },
    {
        "messageId": "m2",
        "parentMessageId": "m1",
        "text": "see \\ui{a,b} there",
        "createdAt": "2025-05-05T09:00:00.000Z",
        "content": {"type": "text", "text": "x\\ui{a}", "inner": [{"value": "\\ui{b}y"}]},
        "attachments": [{"type": "ui_resources"}, {"messageId": "m2", "filepath": "/x"}],
        "feedback": {"rating": "thumbsUp", "tag": "other"},
        "tokenCount": "many",
        "metadata": {"$where": "1", "a.b": 2, "usage": {"input": 1}},
    },
]


def test_librechat_flat() -> None:
    whole = librechat.conversation(
        {
            "conversationId": "old",
            "endpoint": "gone",
            "title": "Mine",
            "recursive": False,
            "options": {
                "_id": "x",
                "model": "m",
                "temperature": 0.5,
                "top_p": "high",
                "user": "somebody",
                "chatProjectId": "0" * 24,
                "subagentThread": {"depth": 1},
                "title": 7,
                "tags": ["t"],
            },
            "messages": FLAT,
        },
        OFFERED,
    )
    conversation = whole.conversation
    assert (conversation["endpoint"], conversation["model"]) == ("Fake", "m")
    assert (conversation["title"], conversation["temperature"]) == ("Mine", 0.5)
    assert conversation["createdAt"] == datetime(2025, 5, 5, 10, tzinfo=UTC)
    assert conversation["tags"] == ["t"]
    assert not conversation.keys() & {"user", "top_p", "chatProjectId", "subagentThread", "_id"}
    question, answer = whole.messages
    assert question["text"] == "hi \\ui{kept}"
    assert not question.keys() & {"user", "tenantId", "isTemporary", "expiredAt"}
    assert question["messageId"] != "m1"
    assert answer["text"] == "see  there"
    assert answer["content"] == [{"type": "text", "text": "x", "inner": [{"value": "y"}]}]
    assert answer["attachments"] == [{"messageId": answer["messageId"], "filepath": "/x"}]
    assert answer["metadata"] == {"usage": {"input": 1}}
    assert "tokenCount" not in answer
    assert answer["parentMessageId"] == question["messageId"]
    assert answer["createdAt"] > question["createdAt"]


def test_librechat_nested() -> None:
    leaf = {"messageId": "d", "text": "d"}
    whole = librechat.conversation(
        {
            "conversationId": "old",
            "recursive": True,
            "messagesTree": [
                {
                    "messageId": "a",
                    "text": "a",
                    "children": [
                        {"messageId": "b", "content": [{"type": "text", "text": "b"}]},
                        {"messageId": "c", "text": "", "children": [leaf]},
                        {"messageId": "empty", "text": "", "content": [], "children": []},
                        {"text": "e", "children": [{"messageId": "f", "text": "f"}]},
                    ],
                }
            ],
        },
        OFFERED,
    )
    texts = {message["text"]: message for message in whole.messages}
    assert sorted(message["text"] for message in whole.messages) == ["", "", "a", "d", "e", "f"]
    (stopped,) = (each for each in whole.messages if not each["text"] and "content" not in each)
    assert stopped["parentMessageId"] == texts["a"]["messageId"]
    assert texts["d"]["parentMessageId"] == stopped["messageId"]
    assert texts["f"]["parentMessageId"] == texts["e"]["messageId"]
    assert texts["e"]["parentMessageId"] == texts["a"]["messageId"]
    assert whole.conversation["title"] == "Imported Chat"


def test_librechat_deep_trees() -> None:
    nested = b'{"conversationId":"x","recursive":true,"messages":'
    nested += b'[{"text":"t","children":' * 3000 + b"[]" + b"}]" * 3000 + b"}"
    file = limited_file(nested)
    assert format_of(file) == "librechat"
    (item,) = items(file, "librechat")
    assert len(librechat.conversation(item, OFFERED).messages) == 3000


@pytest.mark.parametrize(
    ("convert", "item"),
    [
        (chatgpt.conversation, 7),
        (chatgpt.conversation, {"mapping": [1]}),
        (claude.conversation, {"chat_messages": "x"}),
        (claude.conversation, {"chat_messages": [3]}),
        (chatbotui.conversation, {"messages": None}),
        (chatbotui.conversation, {"messages": [[]]}),
        (librechat.conversation, {"messages": "x"}),
        (librechat.conversation, {"messages": [None]}),
        (librechat.conversation, {"recursive": True, "messages": [None]}),
        (librechat.conversation, {"messages": [{"text": "x", "metadata": {"n": 2**80}}]}),
        (
            librechat.conversation,
            {
                "messages": [
                    {"messageId": "a", "parentMessageId": "b", "text": "a"},
                    {"messageId": "b", "parentMessageId": "a", "text": "b"},
                ]
            },
        ),
    ],
)
def test_junk_is_named(convert: Any, item: Any) -> None:
    with pytest.raises(InvalidItem):
        convert(item, OFFERED)


def test_offers() -> None:
    assert (OFFERED.endpoint("openAI"), OFFERED.endpoint({"x": 1})) == ("openAI", "Fake")
    assert (AvailableModels().endpoint("any"), AvailableModels().endpoint(None)) == (
        "any",
        "openAI",
    )
    assert AvailableModels().model("anthropic") == "claude-3-5-sonnet-latest"
    assert AvailableModels().model("other") == "gpt-4o-mini"
