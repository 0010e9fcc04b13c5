"""Responses: JSON with dates and ids in the form of the contract, text, and empty bodies."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from bson import ObjectId
from starlette.responses import Response

_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def iso(moment: datetime) -> str:
    """A moment as ``2026-01-31T12:00:00.123Z``: ISO 8601 in UTC with milliseconds, as every date in
    the API. A moment without a time zone counts as UTC."""
    text = moment.isoformat(timespec="milliseconds")
    if text.endswith("+00:00"):
        return text[:-6] + "Z"
    if moment.tzinfo is None:
        return text + "Z"
    return iso(moment.astimezone(UTC))


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):  # a plain date of a YAML file
        return f"{value.isoformat()}T00:00:00.000Z"
    if isinstance(value, ObjectId | UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def encode(value: Any) -> bytes:
    """The JSON bytes of stored documents and plain values: ObjectId as hex, dates as `iso`."""
    return orjson.dumps(value, default=_default, option=_OPTIONS)


class JSON(Response):
    """A response with a JSON body. ``content`` is encoded once; ``bytes`` count as encoded
    already."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else encode(content)


class Text(Response):
    """A response with a text body, labelled ``text/html`` as Express does."""

    media_type = "text/html"


class Empty(Response):
    """A response with a status, and without a body or content type."""

    def __init__(self, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(None, status_code, headers)


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A response from data: text for a string, empty for ``None``, JSON for everything else."""
    plain = dict(headers) if headers else None
    if body is None:
        return Empty(status, plain)
    if isinstance(body, str):
        return Text(body, status, plain)
    return JSON(body, status, plain)


def now() -> datetime:
    """The current moment in UTC, cut to the milliseconds that a database keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
