"""The error controller: turning exceptions of endpoints into responses (contract kernel §10)."""

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from bson.errors import InvalidId
from pydantic import ValidationError
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError, PyMongoError
from starlette.responses import Response

from locutory.errors import HTTPError, advice_of
from locutory.http.request import Request
from locutory.responses import JSON, Text, answer
from locutory_httpserver.parsing import BodyRefused

log = structlog.get_logger("locutory.http")

UNKNOWN_ERROR = "An unknown error occurred."
_DUPLICATE = 11000


class ErrorController:
    """Turns exceptions into responses. ``redis``: the exception types that mean that Redis does not
    answer."""

    def __init__(self, redis: tuple[type[Exception], ...] = ()) -> None:
        self._redis = redis

    def answer(self, error: Exception, request: Request) -> Response:
        """The response for an error. Faults of a plugin are logged under its name."""
        try:
            return self._answer(error, request)
        except Exception:
            log.exception("http.error_controller_failed", plugin=request.plugin)
            return Text("Processing error in ErrorController.", 500)

    def _answer(self, error: Exception, request: Request) -> Response:
        if isinstance(error, HTTPError | BodyRefused):
            return answer(error.status, error.body, error.headers)
        if isinstance(error, ValidationError):
            return _invalid(error, request)
        if isinstance(error, DuplicateKeyError | BulkWriteError):
            fields = _duplicate_fields(error)
            if fields is not None:
                text = f"An document with that {fields} already exists."
                return JSON({"messages": text, "fields": fields}, 409)
        store = self._unreachable(error)
        if store is not None:
            log.warning("http.store_down", plugin=request.plugin, reason=str(error)[:200])
            body = {
                "message": f"{store}. Please retry shortly.",
                "code": "DATABASE_UNAVAILABLE",
                "status": 503,
            }
            return JSON(body, 503, {"retry-after": "1"})
        if isinstance(error, InvalidId) or _is_too_big(error):
            log.warning("http.not_storable", plugin=request.plugin, reason=str(error)[:200])
            text = "The request holds an id or a number that cannot be stored"
            return JSON({"message": text, "code": "INVALID_BODY", "status": 400}, 400)
        kind = "http.database_failed" if isinstance(error, PyMongoError) else "http.failed"
        log.error(kind, plugin=request.plugin, path=request.scope["path"], exc_info=error)
        failure: Mapping[str, Any] | str | None = (
            None if request.route is None else request.route.failure
        )
        return answer(500, UNKNOWN_ERROR if failure is None else failure)

    def _unreachable(self, error: Exception) -> str | None:
        """A sentence about the store that does not answer; ``None`` when the error has another
        cause."""
        if isinstance(error, ConnectionFailure):
            return str(error) if advice_of(error) else "The database is not reachable"
        return "Redis is not reachable" if isinstance(error, self._redis) else None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _invalid(error: ValidationError, request: Request) -> Response:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    messages = [problem["msg"] for problem in problems]
    fields = [".".join(str(part) for part in problem["loc"]) for problem in problems]
    log.warning("http.invalid", plugin=request.plugin, model=error.title, fields=fields)
    text = _json(" ".join(messages)) if len(messages) > 1 else _json(messages)
    return JSON({"messages": text, "fields": _json(fields)}, 400)


def _duplicate_fields(error: DuplicateKeyError | BulkWriteError) -> str | None:
    """The fields of a duplicate key as JSON text, ``unknown`` when the database names none;
    ``None`` when it is another error."""
    details: Mapping[str, Any] = error.details or {}
    if isinstance(error, BulkWriteError):
        refused = [item for item in details.get("writeErrors", ()) if item["code"] == _DUPLICATE]
        if not refused:
            return None
        details = refused[0]
    key = details.get("keyValue") or details.get("keyPattern")
    return _json(list(key)) if key else "unknown"


def _is_too_big(error: Exception) -> bool:
    """``True`` when the database driver refused a number of more than 64 bits."""
    return isinstance(error, OverflowError) and "8-byte" in str(error)
