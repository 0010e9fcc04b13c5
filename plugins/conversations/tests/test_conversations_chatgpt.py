"""Exports of ChatGPT, without a server (contract convos §5)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.formats import chatgpt

OFFERED = AvailableModels(("Fake", "openAI"), {"openAI": ["gpt-9"], "Fake": ["fake-1"]})


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


def test_chatgpt_the_model_of_the_conversation_names_its_answers() -> None:
    item = {
        "default_model_slug": "gpt-4o-mini",
        "mapping": {"q": node("user", "Q"), "a": node("assistant", "A", "q")},
    }
    whole = chatgpt.conversation(item, OFFERED)
    answer = by_text(whole)["A"]
    assert (answer["sender"], answer["model"]) == ("GPT-4o-mini", "gpt-4o-mini")
    # It goes on with a model that is there.
    assert whole.conversation["model"] == "gpt-9"
    whole = chatgpt.conversation({**item, "default_model_slug": "gpt-9"}, OFFERED)
    assert whole.conversation["model"] == "gpt-9"
    for odd in (None, "", 7, ["gpt-4"]):
        whole = chatgpt.conversation({**item, "default_model_slug": odd}, OFFERED)
        assert by_text(whole)["A"]["model"] == "gpt-9"


def test_chatgpt_a_tree_that_names_its_children_only() -> None:
    mapping = {"q": node("user", "Q"), "a": node("assistant", "A"), "b": node("assistant", "B")}
    for one in mapping.values():
        del one["parent"]
    mapping["q"]["children"] = ["a", "lost", 7]
    mapping["a"]["children"] = ["b"]
    mapping["b"]["children"] = ["b"]  # its own child
    messages = by_text(chatgpt.conversation({"mapping": mapping}, OFFERED))
    assert messages["Q"]["parentMessageId"] == NO_PARENT
    assert messages["A"]["parentMessageId"] == messages["Q"]["messageId"]


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
            'a\n```json\n{\n  "x": 1\n}\n```\nb',
        ),
        (
            {
                "content_type": "multimodal_text",
                "parts": [
                    {"content_type": "audio_transcription", "text": "Hello", "direction": "in"},
                    {"content_type": "real_time_user_audio_video_asset_pointer"},
                    {"content_type": "audio_asset_pointer", "asset_pointer": "x"},
                    None,
                ],
            },
            "user",
            "Hello",
        ),
        (
            {"content_type": "multimodal_text", "parts": [{"content_type": [1]}]},
            "user",
            '```json\n{\n  "content_type": [\n    1\n  ]\n}\n```',
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


def test_chatgpt_marks_of_sources_become_links() -> None:
    first, second, file = ("\ue200cite\ue202turn0search1\ue201", "\ue200x\ue201", "\ue200f\ue201")
    references: list[Any] = [
        {"matched_text": first, "type": "grouped_webpages", "alt": "([x.com](https://x.com/cat))"},
        {"matched_text": second, "alt": None},
        {"matched_text": 7, "alt": "no"},
        "no reference",
    ]
    message: dict[str, Any] = {
        "author": {"role": "assistant"},
        "content": {"content_type": "text", "parts": [f"Grey {first} or{second} red {file}."]},
        "metadata": {"content_references": references},
    }
    assert chatgpt.message_text(message) == "Grey ([x.com](https://x.com/cat)) or red."
    message["metadata"] = None
    assert "\ue200" not in chatgpt.message_text(message)


def test_chatgpt_what_it_never_shows_is_left_out() -> None:
    about = {"content_type": "user_editable_context", "user_profile": "I am Bob"}
    context = {"content_type": "model_editable_context", "model_set_context": ""}
    hidden = {"is_visually_hidden_from_conversation": True}
    whole = chatgpt.conversation(
        {
            "mapping": {
                "about": node("user", content=about),
                "q": node("user", "Where?", "about"),
                "context": node(parent="q", content=context),
                "note": node("user", "A note of the program", "context", metadata=hidden),
                "a": node("assistant", "There", "note", metadata={}),
            }
        },
        OFFERED,
    )
    messages = by_text(whole)
    assert list(messages) == ["Where?", "There"]
    assert messages["Where?"]["parentMessageId"] == NO_PARENT
    assert messages["There"]["parentMessageId"] == messages["Where?"]["messageId"]


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
    known = {NO_PARENT}
    dates: dict[str, Any] = {}
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
