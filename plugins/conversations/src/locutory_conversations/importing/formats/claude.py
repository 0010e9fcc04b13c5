"""Exports of Claude: ``[{name, created_at, chat_messages: [{sender, content, …}]}]``."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.fields import moment_of, text_of
from locutory_conversations.importing.formats.shape import make_bundle, origin_of
from locutory_conversations.services.bulk_insert import ConversationBundle

ENDPOINT = "anthropic"
_LANGUAGES = {
    "text/markdown": "markdown",
    "text/html": "html",
    "image/svg+xml": "svg",
    "application/vnd.ant.react": "jsx",
    "application/vnd.ant.mermaid": "mermaid",
}
_TICKS = re.compile(r"`{3,}")
_NO_WORD = re.compile(r"[^\w+#.-]")
_STEP = timedelta(milliseconds=1)


def conversation(item: Any, available: AvailableModels) -> ConversationBundle:
    """One conversation: a chain of messages."""
    if not isinstance(item, dict) or not isinstance(item.get("chat_messages"), list):
        raise InvalidItem("a conversation has no chat_messages")
    begun = moment_of(item.get("created_at"))
    messages: list[dict[str, Any]] = []
    parent, last = NO_PARENT, None
    for raw in item["chat_messages"]:
        if not isinstance(raw, dict):
            raise InvalidItem("a message is not an object")
        text, thinking = _content(raw)
        if not text and not thinking:
            continue
        created = _after(last, moment_of(raw.get("created_at")) or begun or now())
        own = raw.get("sender") == "human"
        message: dict[str, Any] = {
            "messageId": str(uuid4()),
            "parentMessageId": parent,
            "text": text,
            "sender": "user" if own else "Claude",
            "isCreatedByUser": own,
            "endpoint": ENDPOINT,
            "createdAt": created,
        }
        if thinking and not own:
            message["content"] = [
                {"type": "think", "think": thinking},
                {"type": "text", "text": text},
            ]
        messages.append(message)
        parent, last = message["messageId"], created
    return make_bundle(
        messages,
        title=text_of(item.get("name"), "Imported Claude Chat"),
        endpoint=ENDPOINT,
        model=available.model(ENDPOINT),
        created=begun,
        origin=origin_of("claude", item, "uuid"),
    )


def _content(message: dict[str, Any]) -> tuple[str, str]:
    """(text, thinking) of a message. Documents that Claude wrote and attached texts are part of the
    text, since the conversation refers to them."""
    body = thinking = ""
    parts = message.get("content")
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text":
            body += text_of(part.get("text"))
        elif part.get("type") == "thinking":
            thinking += text_of(part.get("thinking"))
        elif part.get("type") == "tool_use":
            body = _with_blocks(body, _tool_document(part.get("input")))
    text = body or text_of(message.get("text"))
    return _with_blocks(text, *_attached(message)).rstrip("\n"), thinking


def _tool_document(raw: Any) -> str:
    """The document that a call of a tool wrote; empty for any other call."""
    if not isinstance(raw, dict):
        return ""
    text = text_of(raw.get("content")) or text_of(raw.get("file_text"))
    name = text_of(raw.get("title")) or text_of(raw.get("path"))
    language = text_of(raw.get("language")) or _LANGUAGES.get(text_of(raw.get("type")), "")
    return _document(name, language, text)


def _attached(message: dict[str, Any]) -> list[str]:
    """The attachments of a message: texts, and the names of files that the export leaves out."""
    blocks: list[str] = []
    names: dict[str, bool] = {}  # in order; is its text there?
    for kind in ("attachments", "files"):
        found = message.get(kind)
        for each in found if isinstance(found, list) else ():
            if not isinstance(each, dict):
                continue
            name, text = text_of(each.get("file_name")), text_of(each.get("extracted_content"))
            names[name] = names.get(name, False) or bool(text)
            if text:
                blocks.append(_document(name, "", text))
    missing = [f"`{name}`" for name, is_there in names.items() if name and not is_there]
    return [*blocks, ", ".join(missing)]


def _document(name: str, language: str, text: str) -> str:
    if not text:
        return ""
    # Longer than any fence inside.
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
    heading = f"**{' '.join(name.split())}**\n\n" if name.strip() else ""
    return f"{heading}{fence}{_NO_WORD.sub('', language)}\n{text}\n{fence}"


def _with_blocks(text: str, *blocks: str) -> str:
    """Text, and under it what is not empty of the blocks, each a paragraph. What is said on
    after a block begins in a line of its own."""
    for block in filter(None, blocks):
        text = f"{text.rstrip()}\n\n{block}\n\n" if text.strip() else f"{block}\n\n"
    return text


def _after(last: datetime | None, moment: datetime) -> datetime:
    return moment if last is None or moment > last else last + _STEP
