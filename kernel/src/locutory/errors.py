"""Errors of the kernel: those that stop a start, and those that become HTTP responses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a deployment: the place, the description, a suggested correction and the
    plugin that it belongs to."""

    where: str
    text: str
    fix: str = ""
    plugin: str = "kernel"
    cause: BaseException | None = field(default=None, compare=False, repr=False)
    """The exception of a plugin's code that caused it, for its author."""

    def __str__(self) -> str:
        line = f"{self.where} [{self.plugin}]: {self.text}"
        return f"{line}\n    → {self.fix}" if self.fix else line


class StartupError(Exception):
    """The deployment has problems and the server does not start. ``problems`` holds every problem
    found."""

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (
            (problems,) if isinstance(problems, Problem) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class HTTPError(Exception):
    """A response that is sent by raising it. ``body``: a mapping or list is sent as JSON, a string
    as text, ``None`` as an empty body."""

    def __init__(
        self,
        status: int,
        body: Mapping[str, Any] | Sequence[Any] | str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class Unauthorized(HTTPError):
    """401 with the contract's body (contract kernel §6)."""

    def __init__(self, message: str = "Unauthorized", code: str | None = None) -> None:
        body = {"message": message} if code is None else {"message": message, "code": code}
        super().__init__(401, body)


class Forbidden(HTTPError):
    """403 with the contract's body (contract kernel §6)."""

    def __init__(self, message: str = "Forbidden") -> None:
        super().__init__(403, {"message": message})


class BadRequest(HTTPError):
    """400 with ``{message, code, status}``."""

    def __init__(self, message: str, code: str = "BAD_REQUEST") -> None:
        super().__init__(400, {"message": message, "code": code, "status": 400})


class ServiceMissing(HTTPError):
    """503 for a request that needs a service which no enabled plugin provides."""

    def __init__(self, name: str) -> None:
        super().__init__(
            503,
            {
                "message": f"The feature '{name}' is switched off on this server.",
                "code": "FEATURE_OFF",
                "status": 503,
            },
        )
        self.service = name


class Veto(HTTPError):
    """Raised by a handler of a step to stop the operation with a response."""


def advice_of(error: Exception) -> str | None:
    """The attribute ``advice`` of a store's error: a sentence for the operator; ``None`` when it
    has none. Only errors with advice have texts for people; those of others may contain addresses.
    """
    advice = getattr(error, "advice", None)
    return advice if isinstance(advice, str) else None
