"""``index.html`` of the client, rewritten for the address, language and caller (kernel §7.3)."""

from html import escape
from urllib.parse import urlsplit

from starlette.responses import Response

from locutory import Request

DEVTOOLS_HEADER = "x-librechat-enable-query-devtools"
_DEVTOOLS = (
    '<script data-librechat-query-devtools="true">'
    "window.__LIBRECHAT_CONFIG__=Object.assign({},window.__LIBRECHAT_CONFIG__,"
    '{"enableQueryDevtools":true});</script>'
)
_LANGUAGE = "en-US"
_KEPT = 64
_LONGEST_KEPT = 40


def base_path(domain_client: str) -> str:
    """Path of the client's public address with a slash at both ends; ``/`` at the root."""
    try:
        path = urlsplit(domain_client).path.strip("/")
    except ValueError:
        return "/"
    return f"/{path}/" if path else "/"


def language(request: Request) -> str:
    """Cookie ``lang``, else the first item of ``Accept-Language`` unchanged, else en-US."""
    return (
        request.cookies.get("lang")
        or request.headers.get("accept-language", "").partition(",")[0]
        or _LANGUAGE
    )


class IndexPage:
    """The page. ``headers`` are the caching headers of the contract."""

    def __init__(self, html: str, base: str, headers: dict[str, str]) -> None:
        if base != "/":
            html = html.replace('base href="/"', f'base href="{escape(base)}"', 1)
        self._html = html
        self._headers = {**headers, "vary": DEVTOOLS_HEADER, "x-content-type-options": "nosniff"}
        self._pages: dict[tuple[str, bool], bytes] = {}

    def respond(self, request: Request) -> Response:
        """The page for one request, whatever its method."""
        devtools = request.headers.get(DEVTOOLS_HEADER) == "1"
        body = self.render(language(request), devtools=devtools)
        return Response(body, headers=self._headers, media_type="text/html")

    def render(self, lang: str, *, devtools: bool = False) -> bytes:
        """The page in a language; common languages are kept rendered."""
        key = (lang, devtools)
        page = self._pages.get(key)
        if page is None:
            page = self._render(lang, devtools=devtools)
            if len(lang) <= _LONGEST_KEPT and len(self._pages) < _KEPT:
                self._pages[key] = page
        return page

    def _render(self, lang: str, *, devtools: bool) -> bytes:
        html = self._html
        if lang != _LANGUAGE:
            quoted = lang.replace('"', "&quot;")
            html = html.replace(f'lang="{_LANGUAGE}"', f'lang="{quoted}"')
        if devtools:
            html = html.replace("</head>", f"{_DEVTOOLS}</head>", 1)
        return html.encode("utf-8", "replace")
