"""Events as bytes: encoded once, shared by the log and every reader (chat-stream §6)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from locutory import encode

_MESSAGE = b"event: message\ndata: "
_ERROR = b"event: error\ndata: "
_END = b"\n\n"

PING = b": ping\n\n"
"""A comment: keeps proxies from closing an idle stream; clients ignore it."""


def clean(text: str) -> str:
    """Text without lone surrogates, which are not UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


def to_json(value: Any) -> bytes:
    """JSON bytes; lone surrogates become question marks instead of an error."""
    try:
        return encode(value)
    except TypeError:
        return encode(_cleaned(value))


def text_json(text: str) -> bytes:
    """A JSON string."""
    try:
        return orjson.dumps(text)
    except TypeError:
        return orjson.dumps(clean(text))


def frame(event: Mapping[str, Any]) -> bytes:
    """One event as a server-sent event of type ``message``."""
    return _MESSAGE + to_json(event) + _END


def parse(frames: bytes) -> list[dict[str, Any]]:
    """The events of one or more frames."""
    return [
        orjson.loads(block[len(_MESSAGE) :])
        for block in frames.split(_END)
        if block.startswith(_MESSAGE)
    ]


class Delta(NamedTuple):
    """The bytes around the text of a delta event of one run step."""

    head: bytes
    tail: bytes

    def frame(self, text: str) -> bytes:
        """The event for a piece of text."""
        return self.head + text_json(text) + self.tail


def text_delta(step_id: str, kind: str) -> Delta:
    """Frames of ``on_message_delta`` (kind ``text``) or ``on_reasoning_delta`` (``think``)."""
    name = b"on_reasoning_delta" if kind == "think" else b"on_message_delta"
    key = text_json(kind)
    head = b'{"event":"%b","data":{"id":%b,"delta":{"content":[{"type":%b,%b:' % (
        name,
        text_json(step_id),
        key,
        key,
    )
    return Delta(_MESSAGE + head, b"}]}}}" + _END)


def arguments_delta(step_id: str, index: int) -> Delta:
    """Frames of ``on_run_step_delta``: a further piece of the arguments of a tool call."""
    head = (
        b'{"event":"on_run_step_delta","data":{"id":%b,"delta":{"type":"tool_calls",'
        b'"tool_calls":[{"args":' % text_json(step_id)
    )
    return Delta(_MESSAGE + head, b',"index":%d,"type":"tool_call_chunk"}]}}}' % index + _END)


class Terminal(NamedTuple):
    """The last event of a stream, for readers of either protocol version."""

    v1: bytes
    v2: bytes

    def frame(self, version: int) -> bytes:
        """The event for readers of a protocol version."""
        return self.v2 if version == 2 else self.v1


def _versioned(kind: bytes, event: Mapping[str, Any]) -> Terminal:
    body = to_json(event)[:-1]
    return Terminal(
        *(kind + body + b',"generationProtocolVersion":%d}' % version + _END for version in (1, 2))
    )


def final(event: Mapping[str, Any]) -> Terminal:
    """A ``final`` event."""
    return _versioned(_MESSAGE, {"final": True, **event})


def failure(text: str) -> Terminal:
    """An ``error`` event."""
    return _versioned(_ERROR, {"error": text})


CHANGED = "The state of this generation changed. Reload to see the saved answer."
NOT_SAVED = (
    "The answer could not be saved, because the database does not take anything at the moment."
    " It is tried again: reload later to see it."
)
LOST = "The connection to this answer was lost. It may still be going on: reload to see it."


def reconcile(
    reason: str,
    conversation_id: str,
    created_at: int,
    status: str | None = None,
    error: str = CHANGED,
) -> Terminal:
    """The event after which the reader loads the history again, and reconnects when the turn still
    runs. Readers of version 1 do not know it and get ``error`` instead (chat-stream §6.8)."""
    event: dict[str, Any] = {"final": True, "reconcile": True, "reconcileReason": reason}
    if status is not None:
        event["terminalStatus"] = status
    event["generationCreatedAt"] = created_at
    event["conversation"] = {"conversationId": conversation_id}
    return Terminal(failure(error).v1, _versioned(_MESSAGE, event).v2)
