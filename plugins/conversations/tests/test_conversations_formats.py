"""The formats of imports, without a server (contract convos §5)."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.errors import BrokenFile, Junk
from locutory_conversations.importing.formats import chatbotui, chatgpt, claude, librechat
from locutory_conversations.importing.offered import Offered
from locutory_conversations.importing.reading import format_of, items
from locutory_conversations.importing.watched import WatchedFile

OFFERED = Offered(("Fake", "openAI"), {"openAI": ["gpt-9"], "Fake": ["fake-1"]})
MEGABYTE = 1024 * 1024


def watched(content: Any, largest: int = MEGABYTE) -> WatchedFile:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return WatchedFile(io.BytesIO(data), len(data), largest)


def node(role: str = "assistant", text: Any = "", parent: Any = None, **more: Any) -> Any:
    """A node of a ChatGPT export."""
    content = more.pop("content", {"content_type": "text", "parts": [text]})
    return {
        "parent": parent,
        "message": {"author": {"role": role}, "content": content, **more},
        "children": [],
    }


def by_text(whole: Any) -> dict[str, Any]:
    return {message["text"]: message for message in whole.messages}


def test_chatgpt_a_tree_without_its_inner_nodes() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"content": "t1"}, {"summary": "t2"}, 7]}
    whole = chatgpt.conversation(
        {
            "title": "Trip",
            "create_time": 1_700_000_000.5,
            "mapping": {
                "root": {"parent": None, "message": None, "children": ["sys"]},
                "sys": node("system", "hidden", "root"),
                "q": node("user", "Where?", "sys", create_time=1_700_000_010),
                "th": node("assistant", parent="q", content=thoughts),
                "recap": node(parent="th", content={"content_type": "reasoning_recap"}),
                "a": node(
                    "assistant",
                    "There",
                    "recap",
                    create_time=1_700_000_005,
                    metadata={"model_slug": "gpt-4o"},
                ),
                "b": node("assistant", "Elsewhere", "th", metadata={"model_slug": "o3"}),
                "bare": {"parent": "q", "message": {"content": {}}},
                "lost": node("user", "Lost", "bare"),
                "odd": "no node",
            },
        },
        OFFERED,
    )
    messages = by_text(whole)
    assert set(messages) == {"Where?", "There", "Elsewhere", "Lost"}
    question, answer, other = messages["Where?"], messages["There"], messages["Elsewhere"]
    assert (question["parentMessageId"], question["sender"]) == (NO_PARENT, "user")
    assert question["isCreatedByUser"] is True
    assert (answer["sender"], answer["model"]) == ("GPT-4o", "gpt-4o")
    assert (other["sender"], other["model"]) == ("o3", "o3")
    assert answer["parentMessageId"] == other["parentMessageId"] == question["messageId"]
    assert answer["createdAt"] > question["createdAt"]
    assert answer["content"] == [
        {"type": "think", "think": "t1\n\nt2"},
        {"type": "text", "text": "There"},
    ]
    assert "content" not in question
    assert messages["Lost"]["parentMessageId"] == NO_PARENT
    assert whole.conversation["title"] == "Trip"
    assert (whole.conversation["endpoint"], whole.conversation["model"]) == ("openAI", "gpt-9")
    assert whole.conversation["createdAt"] == datetime.fromtimestamp(1_700_000_000.5, UTC)


@pytest.mark.parametrize(
    ("content", "role", "expected"),
    [
        ({"content_type": "text", "parts": ["a", None, "b"]}, "user", "a  b"),
        ({"content_type": "code", "language": "python", "text": "x"}, "tool", "```python\nx\n```"),
        ({"content_type": "execution_output", "text": "42"}, "tool", "Execution Output:\n> 42"),
        ({"content_type": "multimodal_text", "parts": ["a", "b"]}, "user", "a b"),
        (
            {"content_type": "multimodal_text", "parts": ["a", {"x": 1}, "b"]},
            "user",
            '```json\n{\n  "x": 1\n}\n```\nb',
        ),
        ({"content_type": "other"}, "tool", '```json\n{\n  "content_type": "other"\n}\n```'),
        ({"content_type": "text", "parts": ["half \ud800"]}, "user", "half ?"),
    ],
)
def test_chatgpt_texts(content: Any, role: str, expected: str) -> None:
    assert chatgpt.message_text({"author": {"role": role}, "content": content}) == expected


def test_chatgpt_citations_become_links() -> None:
    def citation(start: Any, end: Any, kind: str = "webpage") -> dict[str, Any]:
        about = {"type": kind, "title": f"T{start}", "url": f"https://x/{start}"}
        return {"start_ix": start, "end_ix": end, "metadata": about}

    text = "One【1】 two【2】."
    citations = [
        *(citation(3, 6), citation(10, 13), citation(0, 3, "file")),
        *(citation(9, 2), citation("1", 2), 7, citation(-4, 2), citation(3, 5)),
    ]
    message: dict[str, Any] = {
        "author": {"role": "assistant"},
        "content": {"content_type": "text", "parts": [text]},
        "metadata": {"citations": citations},
    }
    assert chatgpt.message_text(message) == "One ([T3](https://x/3)) two ([T10](https://x/10))."
    message["author"]["role"] = "user"
    assert chatgpt.message_text(message) == text
    message["author"]["role"] = "assistant"
    message["metadata"] = {"citations": [citation(10**9, 2 * 10**9)]}
    assert chatgpt.message_text(message).startswith(text)


def test_chatgpt_circles_are_cut() -> None:
    whole = chatgpt.conversation(
        {
            "mapping": {
                "a": node("user", "a", "c"),
                "b": node("user", "b", "a"),
                "c": node("user", "c", "b"),
                "s": node("system", "s", "t"),
                "t": node("system", "t", "s"),
                "d": node("user", "d", "s"),
                "e": node("user", "e", "e"),
            }
        },
        OFFERED,
    )
    known, dates = {NO_PARENT}, {}
    for message in whole.messages:
        assert message["parentMessageId"] in known
        assert message["createdAt"] > dates.get(
            message["parentMessageId"], datetime.min.replace(tzinfo=UTC)
        )
        known.add(message["messageId"])
        dates[message["messageId"]] = message["createdAt"]
    assert len(whole.messages) == 5
    assert by_text(whole)["d"]["parentMessageId"] == NO_PARENT


def test_chatgpt_long_chains_take_linear_time() -> None:
    count = 40_000
    mapping: dict[str, Any] = {
        f"s{number}": node("system", "", f"s{number - 1}") for number in range(count)
    }
    mapping |= {f"u{number}": node("user", "u", f"s{count - 1}") for number in range(count)}
    whole = chatgpt.conversation({"mapping": mapping}, OFFERED)
    assert len(whole.messages) == count


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
        Offered(),
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
                        {"messageId": "c", "children": [leaf]},  # empty: goes with its subtree
                        {"text": "e", "children": [{"messageId": "f", "text": "f"}]},
                    ],
                }
            ],
        },
        OFFERED,
    )
    texts = {message["text"]: message for message in whole.messages}
    assert set(texts) == {"a", "", "e", "f"}
    assert texts["f"]["parentMessageId"] == texts["e"]["messageId"]
    assert texts["e"]["parentMessageId"] == texts["a"]["messageId"]
    assert whole.conversation["title"] == "Imported Chat"


def test_librechat_deep_trees() -> None:
    nested = b'{"conversationId":"x","recursive":true,"messages":'
    nested += b'[{"text":"t","children":' * 3000 + b"[]" + b"}]" * 3000 + b"}"
    file = watched(nested)
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
    with pytest.raises(Junk):
        convert(item, OFFERED)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "chatgpt"),
        ([{"mapping": {}}], "chatgpt"),
        ([{"chat_messages": [], "mapping": {}}], "claude"),
        ({"history": [], "folders": [], "version": 4}, "chatbot-ui"),
        ({"title": "x", "conversationId": "c", "messages": []}, "librechat"),
        ({"conversationId": "c", "options": {"messages": [1]}, "messagesTree": []}, "librechat"),
        (b'\xef\xbb\xbf  [{"mapping": {}}]', "chatgpt"),
        (b'{"kind":"export","version":1}\n{"kind":"end"}\n', "export"),
    ],
)
def test_formats_are_found(content: Any, expected: str) -> None:
    assert format_of(watched(content)) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        {"version": 0, "history": []},
        {"version": 1, "history": {}},
        {"conversationId": "c", "messages": {"x": 1}},
        {"conversationId": "", "messages": []},
        [1],
        [{"x": 1}],
        [[]],
        {},
    ],
)
def test_unknown_formats(content: Any) -> None:
    with pytest.raises(BrokenFile, match="Unsupported import type"):
        format_of(watched(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"hello",
        b"7",
        b'"x"',
        b"[",
        b'[{"mapping"',
        b'{"a":',
        b"tru",
        b"[nope]",
        b"[\xff]",
    ],
)
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(BrokenFile):
        format_of(watched(content))


def everything(content: Any, format_: Any, largest: int = MEGABYTE) -> Iterator[Any]:
    return items(watched(content, largest), format_)


def test_items_come_one_after_another() -> None:
    history = {"version": 1, "folders": [{"history": [1]}], "history": [{"a": [1, {"b": None}]}, 2]}
    assert list(everything(history, "chatbot-ui")) == [{"a": [1, {"b": None}]}, 2]
    assert list(everything([{"x": 1.5}, [], True], "chatgpt")) == [{"x": 1.5}, [], True]
    lines = b'{"kind":"export"}\n\n{"kind":"x"}\n{"kind":"end"}\n'
    kinds = [record["kind"] for record in everything(lines, "export")]
    assert kinds == ["export", "x", "end"]


@pytest.mark.parametrize(
    ("content", "format_", "good"),
    [
        (b'[{"a":1},{"a":2},{"a"', "chatgpt", 2),
        (b'[{"a":1}] trailing', "chatgpt", 1),
        (b'{"kind":"export"}\n{"kind":"x"}\n', "export", 2),
        (b'{"kind":"export"}\nnot json\n', "export", 1),
    ],
)
def test_a_file_that_ends_early_gives_what_it_has(content: bytes, format_: Any, good: int) -> None:
    source = everything(content, format_)
    found = [next(source) for _ in range(good)]
    with pytest.raises(BrokenFile):
        next(source)
    assert len(found) == good


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 300_000,
        b'[{"mapping":' + b'{"a":' * 30_000,
        b"[[" + b"{}," * 3_000_000 + b"{}]]",
        b'["' + b"x" * 40_000_000 + b'"]',
        b'{"' + b"k" * 40_000_000 + b'":1}',
    ],
)
def test_what_would_need_too_much_memory(content: bytes) -> None:
    with pytest.raises(BrokenFile):
        format_of(watched(content, 16 * MEGABYTE))


def test_long_keys_deep_inside_each_other_take_no_memory() -> None:
    depth = 5000
    content = (
        b'[{"x":' + b'{"' + b'":{"'.join([b"k" * 1000] * depth) + b'":1}' + b"}" * depth + b"]"
    )
    (item,) = everything(content, "chatgpt", 16 * MEGABYTE)
    assert set(item) == {"x"}


def test_a_line_may_not_be_too_long() -> None:
    for line in (b'{"x":"' + b"y" * (2 * MEGABYTE), b"[" + b"[]," * 3_000_000):
        with pytest.raises(BrokenFile):
            list(
                everything(
                    b'{"kind":"export"}\n' + line + b"\n",
                    "export",
                    8 * MEGABYTE if line[0] == 91 else MEGABYTE,
                )
            )


def test_offers() -> None:
    assert (OFFERED.endpoint("openAI"), OFFERED.endpoint({"x": 1})) == ("openAI", "Fake")
    assert (Offered().endpoint("any"), Offered().endpoint(None)) == ("any", "openAI")
    assert Offered().model("anthropic") == "claude-3-5-sonnet-latest"
    assert Offered().model("other") == "gpt-4o-mini"
