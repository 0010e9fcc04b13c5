"""The page that is shown while no web client is installed."""

import hashlib
from base64 import b64encode
from html import escape
from importlib.resources import files
from string import Template

from starlette.responses import Response

_LONGEST_PATH = 200


class LandingPage:
    """A page of our own: the server runs, what is on, how to add a client.

    It loads nothing, its policy forbids everything but its own style sheet, and it tells
    strangers no path of this machine.
    """

    def __init__(self, *, version: str, plugins: tuple[str, ...], base: str) -> None:
        package = files("locutory_webclient.landing")
        self._template = Template(package.joinpath("page.html").read_text("utf-8"))
        style = package.joinpath("style.css").read_text("utf-8")
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "cache-control": "no-cache, no-store, must-revalidate",
            "content-security-policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        self._values = {
            "version": escape(version),
            "base": escape(base.rstrip("/")),
            "count": str(len(plugins)),
            "plugins": "".join(f"<li>{escape(name)}</li>" for name in plugins),
            "style": style,
        }
        self._home = self._render("Locutory", "")

    def _render(self, title: str, missing: str) -> bytes:
        page = self._template.substitute(self._values, title=title, missing=missing)
        return page.encode("utf-8", "replace")

    def home(self) -> Response:
        """The page at ``/``."""
        return Response(self._home, headers=self._headers, media_type="text/html")

    def missing(self, path: str) -> Response:
        """The same page as a 404 that names the path."""
        shown = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
        note = f'<p class="missing">There is no page <code>{escape(shown)}</code>.</p>'
        body = self._render("Not found · Locutory", note)
        return Response(body, 404, headers=self._headers, media_type="text/html")
