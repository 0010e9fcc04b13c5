"""Refusals in the form of an event stream with status 200 (chat-stream §4.3)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from locutory_agents.ids import uuid
from locutory_agents.stream.frames import frame, to_json


def plain(text: str) -> Response:
    """The refusal of a request that could not be understood."""
    return Response(b"event: error\ndata: " + to_json({"text": text}) + b"\n\n")


def messages(body: Mapping[str, Any], text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The user's message and the refusal, as both are shown and saved. The body is not
    checked yet: members of a wrong type count as absent."""

    def given(name: str) -> str | None:
        value = body.get(name)
        return value if isinstance(value, str) and value and len(value) <= 128 else None

    conversation = given("conversationId") or uuid()
    user: dict[str, Any] = {"sender": "User", "messageId": given("messageId") or uuid()}
    parent = given("parentMessageId")
    if parent is not None:
        user["parentMessageId"] = parent
    user |= {"conversationId": conversation, "isCreatedByUser": True}
    if isinstance(body.get("text"), str):
        user["text"] = body["text"]
    refusal = {
        "sender": given("modelLabel") or given("chatGptLabel") or "AI",
        "messageId": uuid(),
        "conversationId": conversation,
        "parentMessageId": user["messageId"],
        "unfinished": False,
        "error": True,
        "final": True,
        "text": text,
        "isCreatedByUser": False,
    }
    return user, refusal


def stream(user: Mapping[str, Any], refusal: Mapping[str, Any]) -> Response:
    """Both messages as one answer."""
    created = frame({"message": user, "created": True})
    return Response(created + b"event: error\ndata: " + to_json(refusal) + b"\n\n")
