"""The texts for users when a provider fails."""

import re
from collections.abc import Iterable

import httpx2
import orjson
import structlog

from locutory_contracts.models import ModelFailure
from locutory_http import CertificateNotTrusted

RETRYABLE = frozenset((408, 409, 429))

UNREACHABLE = "Connection error."
UNTRUSTED = "Connection error: the certificate of the model's server is not trusted."
SILENT = "Request timed out."
CUT = "The connection to the model was lost before its answer was complete."
INCOMPLETE = "The model stopped before its answer was complete."
TOO_LONG = "The model's answer is too long."
EMPTY = (
    "The model ended without an answer. Perhaps the question is too long for it, or its server "
    "is busy with another request."
)
UNREADABLE = "The model's answer could not be read."

log = structlog.get_logger("locutory.endpoints")

_LONGEST = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_KEY_LIKE = re.compile(r"\b(sk|pk|rk|gsk|xai|key)-[A-Za-z0-9_\-]{12,}")
# The text that clients of the wire protocol are used to for a refused key.
_KEY_HELP = (
    "\n\nTroubleshooting URL: https://docs.langchain.com/oss/javascript/langchain/errors/"
    "MODEL_AUTHENTICATION/\n"
)


class EmptyAnswer(ModelFailure):
    """A provider reported success, but sent no answer."""

    def __init__(self) -> None:
        super().__init__(EMPTY, cut=True)


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """A provider's text without our keys and addresses, short enough to show."""
    text = text.encode("utf-8", "replace").decode()  # halves of characters cannot be stored
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _KEY_LIKE.sub(r"\1-***", _CONTROL.sub("", text)).strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def message_of(error: object) -> str | None:
    """The message inside a provider's error object, in the shapes that are about."""
    if isinstance(error, str):
        return error or None
    if isinstance(error, list) and error:
        return message_of(error[0])
    if not isinstance(error, dict):
        return None
    for member in ("message", "detail", "error"):
        found = error.get(member)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, dict | list) and found:
            return message_of(found) or orjson.dumps(found).decode()
    return orjson.dumps(error).decode() if error else None


def code_of(body: bytes) -> str:
    """The error code a provider gives, such as ``insufficient_quota``."""
    try:
        error = orjson.loads(body)["error"]
        return str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def of_status(status: int, body: bytes, secrets: Iterable[str] = ()) -> ModelFailure:
    """The failure for an HTTP status other than 200."""
    try:
        parsed = orjson.loads(body)
        text = message_of(parsed)
    except ValueError:
        plain = body.decode("utf-8", "replace").strip()
        text = None if plain.startswith("<") else plain
    cleaned = clean(text or "", secrets)
    shown = f"{status} {cleaned}" if cleaned else f"{status} status code (no body)"
    if status == 401:
        shown += _KEY_HELP
    return ModelFailure(shown, status, retryable=status in RETRYABLE or status >= 500)


def of_stream(error: object, secrets: Iterable[str] = ()) -> ModelFailure:
    """The failure for an error object inside a stream."""
    status = 0
    if isinstance(error, dict):
        code = error.get("code") or error.get("status")
        if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
            status = code
    text = clean(message_of(error) or "", secrets)
    return ModelFailure(text or UNREADABLE, status)


def of_transport(error: httpx2.TransportError, *, started: bool) -> ModelFailure:
    """The failure for a connection that broke or stayed silent; the log has the reason."""
    try:
        host = error.request.url.host
    except RuntimeError:  # it was not made with a request
        host = ""
    reason = str(error) or type(error).__name__
    log.warning("models.connection_failed", host=host, reason=reason)
    if isinstance(error, CertificateNotTrusted):
        return ModelFailure(UNTRUSTED)
    if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return ModelFailure(UNREACHABLE, retryable=True)
    if isinstance(error, httpx2.TimeoutException):
        return ModelFailure(SILENT, cut=started)
    if started:
        return ModelFailure(CUT, cut=True)
    return ModelFailure(UNREACHABLE, retryable=True)
