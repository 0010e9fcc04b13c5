"""Keys for plugins that serve pages outside the API, and for hints to the operator after a
start."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from locutory.keys import Extension, Service

if TYPE_CHECKING:
    from locutory.http.request import Request


class Pages(Protocol):
    """Serves files and pages: called for every method and path that no route matches, except paths
    of the API (contract kernel §7)."""

    async def serve(self, request: "Request") -> Response: ...


PAGES: Service[Pages] = Service("kernel.pages", "Files and pages outside /api")

NEXT_STEPS: Extension[Callable[[], Awaitable[str | None]]] = Extension(
    "kernel.next-steps", "Called after a start: what the operator does next, if anything"
)
