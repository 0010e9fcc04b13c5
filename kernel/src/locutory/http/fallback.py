"""The keys under which plugins serve what is not an API route, and say what to do first."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from locutory.keys import Extension, Service

if TYPE_CHECKING:
    from locutory.http.request import Request


class Pages(Protocol):
    """Serves files and pages: called for every method on every path outside ``/api`` that
    no route matches (contract kernel §7)."""

    async def serve(self, request: "Request") -> Response: ...


PAGES: Service[Pages] = Service("kernel.pages", "Files and pages outside /api")

NEXT_STEPS: Extension[Callable[[], Awaitable[str | None]]] = Extension(
    "kernel.next-steps", "Called after a start: what the operator does next, if anything"
)
