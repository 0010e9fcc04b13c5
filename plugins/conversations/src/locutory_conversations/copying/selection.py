"""Messages that a fork takes (contract convos §2.10). Messages come ``createdAt`` ascending,
and so does every result. All walks are iterative, and a cycle of parents ends them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from locutory_contracts.conversations import NO_PARENT

Message = Mapping[str, Any]
Selection = Callable[[Sequence[Message], str], list[Message]]


def direct_path(messages: Sequence[Message], target: str) -> list[Message]:
    """The target and its ancestors."""
    path = _path(messages, target)
    return [message for message in messages if message["messageId"] in path]


def include_branches(messages: Sequence[Message], target: str) -> list[Message]:
    """The target, its ancestors, and every answer to one of these but the target."""
    path = _path(messages, target)
    parents = path - {target}
    return [
        message
        for message in messages
        if message["messageId"] in path or message.get("parentMessageId") in parents
    ]


def target_level(messages: Sequence[Message], target: str) -> list[Message]:
    """Whole levels of the tree, down to that of the target."""
    if not any(message["messageId"] == target for message in messages):
        return []
    levels = _levels(messages) or {target: 0}
    if target not in levels:  # hangs on nothing: upstream takes all that hangs on a root
        return [message for message in messages if message["messageId"] in levels]
    depth = levels[target]
    return [message for message in messages if levels.get(message["messageId"], depth + 1) <= depth]


def split_at(messages: Sequence[Message], target: str) -> list[Message]:
    """Messages that are not above the level of the target; that level becomes the roots. None
    when the target is not reached from a root."""
    levels = _levels(messages)
    if target not in levels:
        return []
    depth = levels[target]
    found: list[Message] = []
    for message in messages:
        level = levels.get(message["messageId"])
        if level is None or level > depth:
            found.append(message)
        elif level == depth:
            found.append({**message, "parentMessageId": NO_PARENT})
    return found


SELECTIONS: Mapping[str, Selection] = {
    "directPath": direct_path,
    "includeBranches": include_branches,
    "targetLevel": target_level,
    "": target_level,
}


def is_root(message: Message) -> bool:
    """``True`` for a message without a parent."""
    return message.get("parentMessageId") in (None, "", NO_PARENT)


def _path(messages: Sequence[Message], target: str) -> set[str]:
    by_id = {message["messageId"]: message for message in messages}
    path: set[str] = set()
    at: Any = target
    while isinstance(at, str) and at in by_id and at not in path:
        path.add(at)
        at = by_id[at].get("parentMessageId")
    return path


def _levels(messages: Iterable[Message]) -> dict[str, int]:
    """Depth of every message that is reached from a root."""
    children: dict[Any, list[str]] = defaultdict(list)
    level: list[str] = []
    for message in messages:
        if is_root(message):
            level.append(message["messageId"])
        else:
            children[message.get("parentMessageId")].append(message["messageId"])
    levels: dict[str, int] = {}
    depth = 0
    while level:
        levels.update(dict.fromkeys(level, depth))
        below = (child for parent in level for child in children.get(parent, ()))
        level = [child for child in dict.fromkeys(below) if child not in levels]
        depth += 1
    return levels
