"""A browser as far as signing in needs one: redirects, cookies, and forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2

OURS = "http://localhost:3080"
"""Where our server believes to be, and providers send people back to."""

_MOST_STEPS = 20


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, how, and what it holds already."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif tag in ("input", "button") and self.found and given.get("name"):
            self.found[-1].fields.setdefault(given["name"], given.get("value", ""))


def forms_of(page: httpx2.Response) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.found


class Browser:
    """Visits a provider. Stops where it would come back to our server."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(timeout=30, trust_env=False)

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def sign_in(self, url: str, **fields: str) -> httpx2.Request:
        """Follow an address, fill in what pages ask for, agree to everything, and return the
        request that leads back to our server.

        Args:
            fields: what to write into fields of these names.
        """
        request = self._client.build_request("GET", url)
        for _ in range(_MOST_STEPS):
            if str(request.url).startswith(OURS):
                return request
            page = await self._client.send(request)
            if page.has_redirect_location:
                target = urljoin(str(request.url), page.headers["location"])
                request = self._client.build_request("GET", target)
                continue
            assert page.status_code == 200, f"{request.url}: {page.status_code} {page.text}"
            request = self._filled_in(page, fields)
        raise AssertionError(f"no way back from {request.url}")

    def _filled_in(self, page: httpx2.Response, fields: dict[str, str]) -> httpx2.Request:
        forms = forms_of(page)
        assert forms, f"nothing to fill in at {page.url}: {page.text}"
        asked = [form for form in forms if fields.keys() & form.fields.keys()]
        form = (asked or forms)[0]
        values = {**form.fields, **{k: v for k, v in fields.items() if k in form.fields}}
        target = urljoin(str(page.url), form.action)
        if form.method == "get":
            return self._client.build_request("GET", target, params=values)
        return self._client.build_request("POST", target, data=values)
