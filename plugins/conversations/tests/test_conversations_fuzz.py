"""Whatever is in a file to import: it becomes a conversation that can be stored, or is junk."""

import io
import json
from typing import Any

import bson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import BrokenFile, InvalidItem
from locutory_conversations.importing.reading import CONVERTERS, format_of, items
from locutory_conversations.importing.size_limited_file import SizeLimitedFile
from locutory_conversations.saving import new_conversation, new_message

OFFERED = AvailableModels(("Fake",), {"Fake": ["fake-1"]})
WORDS = (
    *("mapping", "message", "content", "content_type", "parts", "text", "thoughts", "parent"),
    *("author", "role", "user", "system", "assistant", "metadata", "citations", "model_slug"),
    *("start_ix", "end_ix", "webpage", "type", "create_time", "created_at", "chat_messages"),
    *("sender", "human", "thinking", "name", "title", "messages", "history", "version", "model"),
    *("id", "conversationId", "messagesTree", "recursive", "children", "options", "endpoint"),
    *("messageId", "parentMessageId", "attachments", "createdAt", "isCreatedByUser", "a", "b"),
    *("reasoning_recap", "code", "execution_output", "$where", "x.y", "tokenCount", "feedback"),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(WORDS)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=25,
)
NODES = st.fixed_dictionaries(
    {
        "parent": st.sampled_from(["a", "b", "c", None]),
        "message": st.fixed_dictionaries(
            {
                "content": st.fixed_dictionaries(
                    {"content_type": st.sampled_from(WORDS)},
                    optional={"parts": VALUES, "text": VALUES, "thoughts": VALUES},
                )
            },
            optional={"author": VALUES, "metadata": VALUES, "create_time": LEAVES},
        ),
    }
)
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=8) | VALUES, max_size=5
)
CHATGPT = st.fixed_dictionaries(
    {"mapping": st.dictionaries(st.sampled_from("abc"), NODES)},
    optional={"title": LEAVES, "create_time": LEAVES},
)
OTHERS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("chat_messages", "messages", "messagesTree"), MESSAGES)
    | dict.fromkeys(("recursive", "options", "title", "endpoint", "model", "name"), VALUES),
)
QUICKLY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@QUICKLY
@given(CHATGPT | OTHERS | VALUES)
@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_every_conversation_can_be_stored_or_is_junk(name: str, item: Any) -> None:
    if name == "librechat" and not isinstance(item, dict):
        return  # the format is known by its members
    try:
        whole = CONVERTERS[name](item, OFFERED)
    except InvalidItem:
        return
    bson.encode(new_conversation(whole.conversation))
    known = {NO_PARENT}
    for message in whole.messages:
        assert message["parentMessageId"] in known
        known.add(message["messageId"])
        bson.encode(new_message(message))


@QUICKLY
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_every_file_has_a_format_or_none(data: bytes) -> None:
    file = SizeLimitedFile(io.BytesIO(data), len(data), 1024**2)
    try:
        for item in items(file, format_of(file)):
            assert item is not file
    except BrokenFile:
        return
