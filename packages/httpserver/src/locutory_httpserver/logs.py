"""Structured logs: readable lines on a terminal, or JSON lines; secrets are masked."""

import asyncio
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(
    r"(?i)(password|secret|token|api[_-]?key|authorization|cookie|creds|private[_-]?key)"
)
_USERINFO = re.compile(r"://[^/@\s]+@")
_HARMLESS = frozenset({"tokens", "input_tokens", "output_tokens", "token_count", "max_tokens"})


def is_secret(name: str) -> bool:
    """``True`` when a setting or log key of this name contains a secret."""
    return name not in _HARMLESS and _SECRET.search(name) is not None


def mask_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the value of every key that looks like a secret, at any depth, and the credentials in
    every URL."""
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def _masked(key: str, value: Any) -> Any:
    if is_secret(key):
        return "***"
    if isinstance(value, str):
        return _USERINFO.sub("://***@", value) if "://" in value else value
    if isinstance(value, Mapping):
        return {inner: _masked(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", item) for item in value]
    return value


def set_up_logs(*, json: bool, debug: bool, quiet: bool = False) -> None:
    """Configure structlog and the standard library's logging for a server process. With ``quiet``
    only errors are logged."""
    level = logging.ERROR if quiet else logging.DEBUG if debug else logging.INFO
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
        mask_secrets,
    ]
    if json:
        # Without local variables: they hold passwords, tokens and what users wrote.
        traces = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared += [
            structlog.processors.ExceptionRenderer(traces),
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        shared.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                sort_keys=False,
                pad_event_to=28,
                exception_formatter=structlog.dev.plain_traceback,
            )
        )
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(levelname)s %(name)s %(message)s",
        force=True,
    )
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel(logging.ERROR)  # a warning for every broken request fills the log
    uvicorn.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """``False`` for records about events that Locutory reports itself."""
    if record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError):
        return False  # a request that a forced stop has cut off
    return not str(record.msg).startswith(("Application startup failed", "ASGI callable returned"))
