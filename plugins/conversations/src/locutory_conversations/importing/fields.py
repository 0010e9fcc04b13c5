"""Fields of stored documents that a file may give, by name and type."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import NoneType
from typing import Any, get_args, get_origin

from beanie import Document

from locutory import drop_operators
from locutory_conversations.documents import Conversation, Message
from locutory_conversations.editing.drafts import storable
from locutory_conversations.importing.errors import InvalidItem

Check = Callable[[Any], bool]

_NEVER = frozenset(
    (
        *("id", "revision_id", "user", "tenantId", "messages", "expiredAt", "isTemporary"),
        *("subagentThread", "subagentThreadLease", "subagentTranscript", "subagentTask"),
        *("createdAt", "updatedAt", "archivedAt", "conversationId", "messageId"),
        *("langfuseSampled", "langfuseDestinationIds", "conversationSignature", "clientId"),
    )
)
_OF_ANOTHER_SERVER = frozenset(("chatProjectId", "files", "file_ids", "isArchived", "pinned"))
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_LARGEST_SECONDS = 253_000_000_000.0


def _check(annotation: Any) -> Check:
    options = [option for option in get_args(annotation) if option is not NoneType]
    if len(options) == 1 and NoneType in get_args(annotation):
        annotation = options[0]
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if origin is list and arguments == (str,):
        return lambda value: isinstance(value, list) and all(isinstance(i, str) for i in value)
    if origin in (str, bool, list, dict):
        return lambda value: isinstance(value, origin)
    return lambda value: True


def _checks(document: type[Document]) -> dict[str, Check]:
    return {
        name: _check(field.annotation)
        for name, field in document.model_fields.items()
        if name not in _NEVER
    }


_CONVERSATION = _checks(Conversation)
_MESSAGE = _checks(Message)


def conversation_fields(raw: Any, *, own: bool = False) -> dict[str, Any]:
    """The fields of a conversation with the right type. ``own``: of our own export, including
    fields that are valid only on the server it came from."""
    fields = _right(raw, _CONVERSATION)
    return {name: value for name, value in fields.items() if own or name not in _OF_ANOTHER_SERVER}


def message_fields(raw: Any) -> dict[str, Any]:
    """The fields of a message that are of the right type; `InvalidItem` when they cannot be
    kept."""
    return _right(raw, _MESSAGE)


def _right(raw: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise InvalidItem("something in it is not an object")
    fields = {
        name: value
        for name, value in raw.items()
        if value is not None and name in checks and checks[name](value)
    }
    if not storable(fields):
        raise InvalidItem("it holds values that cannot be stored")
    kept: dict[str, Any] = drop_operators(fields)
    return kept


def moment_of(value: Any) -> datetime | None:
    """An ISO date, or seconds since 1970; ``None`` for everything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value <= _LARGEST_SECONDS:
            return None
        return datetime.fromtimestamp(value, UTC)
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _EARLIEST <= moment < _LATEST else None


def text_of(value: Any, default: str = "") -> str:
    """A text, without halves of characters that cannot be stored."""
    if not isinstance(value, str) or not value:
        return default
    return value.encode("utf-8", "replace").decode("utf-8")
