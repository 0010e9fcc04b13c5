"""The messages that a target represents (contract share §5)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from locutory_contracts.conversations import NO_PARENT, Document

_EARLIEST = datetime.min.replace(tzinfo=UTC)


def parent_of(message: Mapping[str, Any]) -> str:
    """The parent's id; `NO_PARENT` of a root."""
    parent = message.get("parentMessageId")
    return parent if isinstance(parent, str) and parent else NO_PARENT


def created(message: Mapping[str, Any]) -> datetime:
    """The creation date of a message; `_EARLIEST` when it has none."""
    moment = message.get("createdAt")
    return moment if isinstance(moment, datetime) else _EARLIEST


def _children(messages: Sequence[Document]) -> Mapping[str, list[Document]]:
    below: dict[str, list[Document]] = defaultdict(list)
    for message in messages:
        below[parent_of(message)].append(message)
    return below


def up_to_level(messages: Sequence[Document], target: str) -> list[Document]:
    """Whole levels of the tree, from the roots down to that of ``target``, in the given order.

    Nothing for a target that is unknown or that no root leads to: a link must never show more
    than was chosen.
    """
    ids = {message["messageId"] for message in messages}
    if target not in ids:
        return []
    if len(ids) == 1:
        return list(messages)
    children = _children(messages)
    level = {message["messageId"] for message in children.get(NO_PARENT, ())} or {target}
    shown: set[str] = set()
    while level:
        shown |= level
        if target in level:
            return [message for message in messages if message["messageId"] in shown]
        level = {
            child["messageId"] for parent in level for child in children.get(parent, ())
        } - shown
    return []


def branch_end(messages: Sequence[Document], target: str) -> str:
    """The id of the message with which the branch of ``target`` ends now: its newest child, that
    one's newest child, and so on. When the conversation continued beside it (an answer was
    regenerated), from there."""
    children = _children(messages)
    at = target if children.get(target) else _continued_beside(messages, children, target)
    seen = {target, at}
    while below := [child for child in children.get(at, ()) if child["messageId"] not in seen]:
        at = max(below, key=created)["messageId"]
        seen.add(at)
    return at


def _continued_beside(
    messages: Sequence[Document], children: Mapping[str, list[Document]], target: str
) -> str:
    """The newest sibling that is later than the target, or than its nearest ancestor that has
    such a sibling, and that was answered; the target itself without one."""
    by_id = {message["messageId"]: message for message in messages}
    climbed: set[str] = set()
    at = target
    while at in by_id and at not in climbed:
        climbed.add(at)
        message = by_id[at]
        later = [
            sibling
            for sibling in children.get(parent_of(message), ())
            if children.get(sibling["messageId"]) and created(sibling) > created(message)
        ]
        if later:
            return str(max(later, key=created)["messageId"])
        at = parent_of(message)
    return target


def path_to(messages: Sequence[Document], index: int) -> list[Document]:
    """The messages from the root down to ``messages[index]``; a cycle is cut."""
    by_id = {message["messageId"]: message for message in messages}
    path: list[Document] = []
    at = messages[index]["messageId"]
    while (message := by_id.pop(at, None)) is not None:
        path.append(message)
        at = parent_of(message)
    path.reverse()
    return path
