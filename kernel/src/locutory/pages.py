"""The key under which a plugin serves everything that is not an API route."""

from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from locutory.keys import Service

if TYPE_CHECKING:
    from locutory.request import Request


class Pages(Protocol):
    """Serves files and pages: called for every method on every path outside ``/api`` that
    no route matches (contract kernel §7)."""

    async def serve(self, request: "Request") -> Response: ...


PAGES: Service[Pages] = Service("kernel.pages", "Files and pages outside /api")
