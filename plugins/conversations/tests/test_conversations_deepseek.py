"""Exports of DeepSeek, without a server."""

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.formats import deepseek
from locutory_conversations.importing.reading import CONVERTERS, format_of, items
from locutory_conversations.importing.size_limited_file import SizeLimitedFile

OFFERED = AvailableModels(
    ("openAI", "deepseek"), {"deepseek": ["deepseek-chat", "deepseek-reasoner"]}
)
MOMENT = "2026-03-04T05:06:07.000000+08:00"


def fragments(*found: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    return {
        "files": [],
        "model": "deepseek-reasoner",
        "inserted_at": MOMENT,
        "fragments": [{"type": kind, "content": content} for kind, content in found],
        **more,
    }


def node(message: Any, parent: Any, *children: str) -> dict[str, Any]:
    return {"id": "x", "parent": parent, "children": list(children), "message": message}


def export(**mapping: Any) -> dict[str, Any]:
    return {"id": "c1", "title": "Sums", "inserted_at": MOMENT, "mapping": mapping}


def test_a_tree_of_fragments() -> None:
    item = export(
        root=node(None, None, "1"),
        **{
            "1": node(fragments(("REQUEST", "1+1?")), "root", "2", "3"),
            "2": node(fragments(("THINK", "Hm."), ("RESPONSE", "2")), "1"),
            "3": node(fragments(("SEARCH", None), ("RESPONSE", "It is"), ("RESPONSE", "2")), "1"),
            "4": node(fragments(), "3", "5"),
            "5": node(fragments(("REQUEST", "Thanks")), "4"),
            "6": "no node",
            "7": node(fragments(("RESPONSE", 7), (None, "x")), "1"),
        },
    )
    whole = deepseek.conversation(item, OFFERED)
    question, thought, other, thanks = whole.messages
    assert (question["text"], question["parentMessageId"]) == ("1+1?", NO_PARENT)
    assert question["isCreatedByUser"] is True
    assert question["createdAt"] == datetime(2026, 3, 3, 21, 6, 7, tzinfo=UTC)
    assert (thought["sender"], thought["model"]) == ("DeepSeek", "deepseek-reasoner")
    assert thought["content"] == [
        {"type": "think", "think": "Hm."},
        {"type": "text", "text": "2"},
    ]
    assert other["text"] == "It is\n\n2"
    assert thought["parentMessageId"] == other["parentMessageId"] == question["messageId"]
    # What has nothing to show is passed on the way up.
    assert thanks["parentMessageId"] == other["messageId"]
    assert whole.conversation["title"] == "Sums"
    assert whole.conversation["endpoint"] == "deepseek"
    assert whole.conversation["model"] == "deepseek-reasoner"
    assert whole.origin is not None


def test_the_older_form_with_roles() -> None:
    item = export(
        a=node({"role": "USER", "content": "Q"}, None),
        b=node({"role": "ASSISTANT", "content": "A", "thinking_content": "T"}, "a"),
    )
    question, answer = deepseek.conversation(item, AvailableModels()).messages
    assert (question["isCreatedByUser"], answer["isCreatedByUser"]) == (True, False)
    assert answer["content"][0] == {"type": "think", "think": "T"}
    assert answer["parentMessageId"] == question["messageId"]


def test_it_is_told_from_chatgpt_by_its_messages() -> None:
    theirs = {"content_type": "text", "parts": ["ChatGPT"]}
    content = [
        export(a=node(None, None), b=node(fragments(("REQUEST", "DeepSeek")), "a")),
        {"mapping": {"a": node({"author": {"role": "user"}, "content": theirs}, None)}},
    ]
    data = json.dumps(content).encode()
    file = SizeLimitedFile(BytesIO(data), len(data), len(data))
    format_ = format_of(file)
    wholes = [CONVERTERS[format_](item, OFFERED) for item in items(file, format_)]
    assert [whole.messages[0]["text"] for whole in wholes] == ["DeepSeek", "ChatGPT"]
    assert [whole.conversation["endpoint"] for whole in wholes] == ["deepseek", "openAI"]
