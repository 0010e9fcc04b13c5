"""Exports of ChatGPT: ``[{title, create_time, mapping: {id: {message, parent}}}]``."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson

from locutory import now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.importing.available_models import AvailableModels
from locutory_conversations.importing.errors import InvalidItem
from locutory_conversations.importing.fields import moment_of, text_of
from locutory_conversations.importing.formats.shape import make_bundle, origin_of, parents_of
from locutory_conversations.services.bulk_insert import ConversationBundle

ENDPOINT = "openAI"
_THOUGHTS, _RECAP = "thoughts", "reasoning_recap"
_INNER = (_THOUGHTS, _RECAP, "user_editable_context", "model_editable_context")
_HIDDEN = "is_visually_hidden_from_conversation"
_GPT = re.compile(r"gpt-(.+)", re.IGNORECASE)
_RECORDINGS = ("audio_asset_pointer", "real_time_user_audio_video_asset_pointer")
_MARK = re.compile(" ?(\ue200[^\ue200\ue201]*\ue201)")
"""The mark in a text of a source that ``content_references`` describes."""

Node = Mapping[str, Any]


def conversation(item: Any, available: AvailableModels) -> ConversationBundle:
    """One conversation: a tree, whose system and reasoning nodes are left out."""
    if not isinstance(item, dict) or not isinstance(item.get("mapping"), dict):
        raise InvalidItem("a conversation has no mapping")
    tree = _Tree(item["mapping"])
    begun = moment_of(item.get("create_time"))
    used = text_of(item.get("default_model_slug"))
    default = used or available.model(ENDPOINT)
    messages = []
    for name, node in tree.nodes.items():
        if not tree.shown(node):
            continue
        message = node["message"]
        own = _role(message) == "user"
        text = message_text(message)
        metadata = message.get("metadata")
        slug = metadata.get("model_slug") if isinstance(metadata, dict) else None
        model = text_of(slug, default)
        gpt = _GPT.search(model)
        copy: dict[str, Any] = {
            "messageId": tree.ids[name],
            "parentMessageId": tree.parent(name),
            "text": text,
            "sender": "user" if own else f"GPT-{gpt[1]}" if gpt else model,
            "isCreatedByUser": own,
            "model": model,
            "endpoint": ENDPOINT,
            "createdAt": moment_of(message.get("create_time")) or begun or now(),
        }
        thoughts = "" if own else tree.thoughts(name)
        if thoughts:
            copy["content"] = [
                {"type": "think", "think": thoughts},
                {"type": "text", "text": text},
            ]
        messages.append(copy)
    return make_bundle(
        messages,
        title=text_of(item.get("title")),
        endpoint=ENDPOINT,
        model=available.known(ENDPOINT, [used]),
        created=begun or min((each["createdAt"] for each in messages), default=None),
        origin=origin_of("chatgpt", item, "conversation_id", "id"),
    )


class _Tree:
    """The nodes of one conversation. Each walk up remembers its end for every node it passed,
    so that all of them together take one step for each node."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.nodes: dict[str, Node] = {
            name: node
            for name, node in mapping.items()
            if isinstance(node, dict) and isinstance(_kind(node), str)
        }
        self.ids = {name: str(uuid4()) for name in self.nodes}
        self._above = parents_of(self.nodes)
        self._parents: dict[str, str] = {}
        self._thoughts: dict[str, str] = {}

    def shown(self, node: Node) -> bool:
        """``True`` when this node becomes a message. Nodes that ChatGPT itself never shows do not,
        such as the user's general instructions at the beginning of every conversation."""
        message = node["message"]
        if _kind(node) in _INNER or _role(message) == "system":
            return False
        metadata = message.get("metadata")
        hidden = isinstance(metadata, dict) and metadata.get(_HIDDEN) is True
        return not hidden

    def parent(self, name: str) -> str:
        """The new id of the next message above."""

        def end(name: str, above: Node) -> str | None:
            return self.ids[name] if self.shown(above) else None

        return self._climb(name, end, self._parents, NO_PARENT)

    def thoughts(self, name: str) -> str:
        """The thoughts before this message."""

        def end(_name: str, above: Node) -> str | None:
            kind = _kind(above)
            if kind == _THOUGHTS:
                return _thinking(above["message"]["content"])
            return None if kind == _RECAP else ""

        return self._climb(name, end, self._thoughts, "")

    def _climb(
        self,
        name: str,
        end: Callable[[str, Node], str | None],
        known: dict[str, str],
        nothing: str,
    ) -> str:
        passed: dict[str, None] = {}
        found: str | None = None
        at = self._above.get(name)
        while at is not None and at in self.nodes and at not in passed:
            found = known[at] if at in known else end(at, self.nodes[at])
            if found is not None:
                break
            passed[at] = None
            at = self._above.get(at)
        result = nothing if found is None else found
        known.update(dict.fromkeys(passed, result))
        return result


def _kind(node: Node) -> Any:
    message = node.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return content.get("content_type") if isinstance(content, dict) else None


def _role(message: Mapping[str, Any]) -> Any:
    author = message.get("author")
    return author.get("role") if isinstance(author, dict) else None


def _thinking(content: Mapping[str, Any]) -> str:
    thoughts = content.get("thoughts")
    texts = (
        text_of(thought.get("content")) or text_of(thought.get("summary"))
        for thought in (thoughts if isinstance(thoughts, list) else ())
        if isinstance(thought, dict)
    )
    return "\n\n".join(filter(None, texts))


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message, with its citations as links."""
    content = message["content"]
    kind, parts = content["content_type"], content.get("parts")
    if kind == "text" and isinstance(parts, list):
        text = " ".join(_plain(part) for part in parts)
        if _role(message) == "user":
            return text
        metadata = message.get("metadata")
        return _referred(_cited(text, metadata), metadata)
    if kind == "code":
        language = text_of(content.get("language"))
        return f"```{language}\n{text_of(content.get('text'))}\n```"
    if kind == "execution_output":
        return f"Execution Output:\n> {text_of(content.get('text'))}"
    if not isinstance(parts, list):
        return _block(content)
    return text_of(_mixed(parts).strip())


def _mixed(parts: Sequence[Any]) -> str:
    """Texts, and objects as blocks of their own. Of speech, the export has the transcript and not
    the recording."""
    text = ""
    for part in parts:
        kind = part.get("content_type") if isinstance(part, dict) else None
        if isinstance(part, str):
            text += f"{part} "
        elif kind == "audio_transcription":
            text += f"{text_of(part.get('text'))} "
        elif kind not in _RECORDINGS and part is not None:
            before = text.rstrip()
            text = f"{before}\n{_block(part)}\n" if before else f"{_block(part)}\n"
    return text


def _plain(part: Any) -> str:
    if isinstance(part, str):
        return text_of(part)
    return "" if part is None else _block(part)


def _block(value: Any) -> str:
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except (TypeError, ValueError):
        raise InvalidItem("a message holds values that cannot be stored") from None
    return f"```json\n{text}\n```"


def _referred(text: str, metadata: Any) -> str:
    """The marks of sources as the links that ChatGPT shows in their place; those without a
    link, which nobody can read, are left out."""
    if "\ue200" not in text:
        return text
    found = metadata.get("content_references") if isinstance(metadata, dict) else None
    links = {
        reference["matched_text"]: f" {alt}"
        for reference in (found if isinstance(found, list) else ())
        if isinstance(reference, dict) and isinstance(reference.get("matched_text"), str)
        if (alt := text_of(reference.get("alt")).strip())
    }
    return _MARK.sub(lambda mark: links.get(mark[1], ""), text)


def _cited(text: str, metadata: Any) -> str:
    citations = metadata.get("citations") if isinstance(metadata, dict) else None
    spans: list[tuple[int, int, str]] = []
    for citation in citations if isinstance(citations, list) else ():
        about = citation.get("metadata") if isinstance(citation, dict) else None
        if not isinstance(about, dict) or about.get("type") != "webpage":
            continue
        start, end = citation.get("start_ix"), citation.get("end_ix")
        if not (isinstance(start, int) and isinstance(end, int)) or not 0 <= start < end:
            continue
        link = f" ([{text_of(about.get('title'))}]({text_of(about.get('url'))}))"
        spans.append((start, end, link))
    if not spans:
        return text
    # From the end, so that places before stay right; one inside another is left out.
    pieces: list[str] = []
    after = len(text)
    for start, end, link in sorted(spans, key=lambda span: -span[0]):
        if pieces and start >= after:
            continue
        pieces += [text[min(end, after) : after], link]
        after = start
    return text[:after] + "".join(reversed(pieces))
