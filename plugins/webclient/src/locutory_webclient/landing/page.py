"""The page that is shown while no web client is installed."""

import hashlib
import re
from base64 import b64encode
from html import escape
from importlib.resources import files
from string import Template

from starlette.responses import Response

from locutory import Request

CLIENT_TAG = "v0.8.8-rc1"
"""The version of LibreChat's client that this server is compatible with."""

ROBOTS = "User-agent: *\nDisallow: /\n"
_DESCRIPTIONS = '<a href="$base/api/docs">API</a><a href="$base/api/openapi.json">OpenAPI</a>'
_LONGEST_PATH = 200
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


class LandingPage:
    """A page of Locutory itself: the server runs, the plugins that are on, and ways to add a client
    or use it without one. ``described``: a plugin describes the API. It loads nothing, its policy
    forbids everything but its own style sheet, and it shows no path of this machine to callers who
    are not signed in."""

    def __init__(
        self, *, version: str, plugins: tuple[str, ...], base: str, described: bool
    ) -> None:
        package = files("locutory_webclient.landing")
        self._template = Template(package.joinpath("page.html").read_text("utf-8"))
        style = package.joinpath("style.css").read_text("utf-8")
        self._icon = package.joinpath("icon.svg").read_text("utf-8")
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "cache-control": "no-cache, no-store, must-revalidate",
            "content-security-policy": (
                f"default-src 'none'; img-src 'self'; style-src 'sha256-{digest}'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        self._values = {
            "version": escape(version),
            "base": escape(base.rstrip("/")),
            "count": str(len(plugins)),
            "tag": CLIENT_TAG,
            "plugins": "".join(f"<li>{escape(name)}</li>" for name in sorted(plugins)),
            "style": style,
            "api": _DESCRIPTIONS.replace("$base", escape(base.rstrip("/"))) if described else "",
        }

    def _page(self, request: Request, status: int, title: str, missing: str = "") -> Response:
        host = request.headers.get("host", "")
        page = self._template.substitute(
            self._values,
            # As the reader reached it: only an example, and never kept by a cache.
            server="http://" + (host if _HOST.fullmatch(host) else "localhost:3080"),
            title=title,
            missing=missing,
        )
        body = page.encode("utf-8", "replace")
        return Response(body, status, headers=self._headers, media_type="text/html")

    def small(self, path: str) -> Response | None:
        """The icon and the file for robots, which browsers and crawlers ask for by themselves."""
        if path in ("/favicon.svg", "/favicon.ico"):
            return Response(self._icon, headers=self._headers, media_type="image/svg+xml")
        if path == "/robots.txt":
            return Response(ROBOTS, headers=self._headers, media_type="text/plain")
        return None

    def home(self, request: Request) -> Response:
        """The page at ``/``."""
        return self._page(request, 200, "Locutory")

    def missing(self, request: Request, path: str) -> Response:
        """The same page as a 404 that names the path."""
        shown = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
        note = f'<p class="missing">There is no page <code>{escape(shown)}</code>.</p>'
        return self._page(request, 404, "Not found · Locutory", note)
