"""The plugin's collections."""

from functools import cached_property
from typing import Any
from uuid import UUID

from bson.codec_options import CodecOptions

from locutory import Collection, Database
from locutory_conversations.documents import Conversation, Message, ToolCall

READ_AT_ONCE = 5000
"""Rows of one network round trip; the database splits batches of more than 16 MB."""


class Store:
    """Collections with aware dates, and the same with naive UTC dates (``…_plain``), which
    are decoded and written as JSON in about half the time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def conversations(self) -> Collection:
        return self._database[Conversation]

    @cached_property
    def messages(self) -> Collection:
        return self._database[Message]

    @cached_property
    def tool_calls(self) -> Collection:
        return self._database[ToolCall]

    @cached_property
    def conversations_plain(self) -> Collection:
        return self.conversations.with_options(codec_options=CodecOptions(tz_aware=False))

    @cached_property
    def messages_plain(self) -> Collection:
        return self.messages.with_options(codec_options=CodecOptions(tz_aware=False))


def key_of(user: str, conversation_id: str) -> dict[str, str]:
    """The filter of one conversation. Two users may have one id (convos §4)."""
    return {"conversationId": conversation_id, "user": user}


def is_uuid(value: Any) -> bool:
    """``True`` for a UUID of any version in its usual form."""
    if not isinstance(value, str) or len(value) != 36:
        return False
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False
