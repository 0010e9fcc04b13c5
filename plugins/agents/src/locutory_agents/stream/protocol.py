"""Protocol versions of generations, and JSON answers that carry them (chat-stream §3)."""

import re
from collections.abc import Mapping
from typing import Any

from locutory import JSON, Request

HEADER = "x-librechat-generation-protocol"
FIELD = "generationProtocolVersion"

_EPOCH = re.compile(r"\d{1,16}")
_LARGEST = 2**53 - 1


def requested(request: Request) -> int:
    """The version that a request asks for: 2 only when all of its markers ask for that."""
    body = request.payload
    markers = [
        body.get(FIELD) if isinstance(body, dict) else None,
        request.query.get(FIELD),
        request.headers.get(HEADER),
    ]
    given = [marker for marker in markers if marker is not None]
    wants = all(type(marker) in (int, str) and str(marker) == "2" for marker in given)
    return 2 if given and wants else 1


def reply(
    status: int, body: Mapping[str, Any], version: int, *, retry_after: int | None = None
) -> JSON:
    """A JSON answer with the version in header and body."""
    headers = {HEADER: str(version)}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return JSON({**body, FIELD: version}, status, headers)


def not_ready(version: int, error: str) -> JSON:
    """A 503 that the client retries."""
    return reply(503, {"code": "SERVER_NOT_READY", "error": error}, version, retry_after=1)


def unavailable(version: int) -> JSON:
    """A 503 for when the state of a turn is unknown; the client retries."""
    return not_ready(version, "The state of this generation is not known yet. Please retry.")


def epoch(value: Any) -> int | None:
    """A generation's creation time given as a JSON number; ``ValueError`` when it is none."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError("not a generation identity")
    return int(value)


def epoch_text(value: str | list[str] | None) -> int | None:
    """A generation's creation time given in a query; ``ValueError`` when it is none."""
    if value is None:
        return None
    if not isinstance(value, str) or not _EPOCH.fullmatch(value):
        raise ValueError("not a generation identity")
    return epoch(int(value))
