"""Copies of messages with new ids (contract convos §2.10)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from locutory import Raw, now
from locutory_contracts.conversations import NO_PARENT
from locutory_conversations.copying.selection import Message, is_root

_STEP = timedelta(milliseconds=1)


class CycleError(ValueError):
    """Messages answer each other in a cycle."""


def new_id(_old: str) -> str:
    """A new id, whatever the old one."""
    return str(uuid4())


def cloned(
    messages: Sequence[Message],
    *,
    endpoint: str | None = None,
    identify: Callable[[str], str] = new_id,
    cut_cycles: bool = True,
) -> list[Raw]:
    """The messages with new ids, parents first, each later than its parent.

    One whose parent is not among them hangs on the one copied before it. ``endpoint``: of
    those that have none. A cycle is cut where it is met, or is an error.

    Raises:
        CycleError: there is one, and ``cut_cycles`` is off.
    """
    ids = {message["messageId"]: identify(message["messageId"]) for message in messages}
    dates: dict[str, datetime] = {}
    found: list[Raw] = []
    before = NO_PARENT
    for message, cycle in _parents_first(messages):
        if cycle and not cut_cycles:
            raise CycleError("messages answer each other in a circle")
        parent = message.get("parentMessageId")
        above: str = NO_PARENT
        if not is_root(message) and not cycle:
            above = ids.get(parent, before) if isinstance(parent, str) else before
        created = message.get("createdAt")
        moment = created if isinstance(created, datetime) else now()
        if above in dates and moment <= dates[above]:
            moment = dates[above] + _STEP
        copy = {
            **message,
            "messageId": ids[message["messageId"]],
            "parentMessageId": above,
            "createdAt": moment,
            "unfinished": False,
            "error": False,
        }
        if endpoint is not None and not copy.get("endpoint"):
            copy["endpoint"] = endpoint
        attachments = message.get("attachments")
        if isinstance(attachments, list):
            copy["attachments"] = [_attached(item, message, copy) for item in attachments]
        before = copy["messageId"]
        dates[before] = moment
        found.append(copy)
    return found


def _parents_first(messages: Sequence[Message]) -> list[tuple[Message, bool]]:
    """(message, it closes a cycle): roots first, else in the given order, but never before
    the parent."""
    ordered = [*filter(is_root, messages), *(each for each in messages if not is_root(each))]
    by_id = {message["messageId"]: message for message in ordered}
    done: set[str] = set()
    found: list[tuple[Message, bool]] = []
    for message in ordered:
        chain: dict[str, Message] = {}
        at: Message | None = message
        while at is not None and at["messageId"] not in done and at["messageId"] not in chain:
            chain[at["messageId"]] = at
            parent = None if is_root(at) else at.get("parentMessageId")
            at = by_id.get(parent) if isinstance(parent, str) else None
        cycle = at is not None and at["messageId"] in chain
        for each in reversed(chain.values()):
            found.append((each, cycle))
            done.add(each["messageId"])
            cycle = False
    return found


def _attached(item: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    """An attachment names the message it belongs to."""
    if isinstance(item, dict) and item.get("messageId") == old["messageId"]:
        return {**item, "messageId": new["messageId"]}
    return item
