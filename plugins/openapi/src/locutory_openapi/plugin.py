"""Declaration of the plugin."""

import json

import click
from starlette.responses import Response

from locutory import JSON, Context, Plugin, Public, Request, Route, RouteGroup, encode, hook
from locutory_openapi.document import document
from locutory_openapi.page import Page

OPEN = Public("the description of the API holds nothing private")


class OpenApiPlugin(Plugin):
    """``/api/openapi.json``, ``/api/docs`` and ``locutory openapi``."""

    name = "openapi"
    summary = "The OpenAPI description of every route: JSON, a page to read, a command"

    @hook
    def setup(self, ctx: Context) -> None:
        self._routes = ctx.routes
        self._json: bytes | None = None
        self._page: Page | None = None

    @hook
    def routes(self) -> list[Route]:
        group = RouteGroup("/api", access=OPEN)
        return [
            group.get(
                "/openapi.json",
                self._serve_json,
                "OpenAPI description of every route of this server",
                responses={200: "OpenAPI 3.1 document"},
            ),
            group.get(
                "/docs",
                self._serve_page,
                "The OpenAPI description as a page to read",
                responses={200: Page.described},
            ),
        ]

    # Both are made when they are first asked for, and do not change: nor do routes.

    async def _serve_json(self, _request: Request) -> Response:
        if self._json is None:
            self._json = encode(document(self._routes))
        return JSON(self._json)

    async def _serve_page(self, _request: Request) -> Response:
        if self._page is None:
            self._page = Page(document(self._routes))
        return self._page.respond()

    @hook
    def commands(self) -> list[click.Command]:
        @click.group(name=self.name, invoke_without_command=True)
        def show() -> None:
            """Print the OpenAPI 3.1 description of every route."""
            click.echo(json.dumps(document(self._routes), indent=2, default=str))

        return [show]
