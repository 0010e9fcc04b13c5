"""The request as plugins see it."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.types import Receive, Scope, Send

from locutory.access import Principal
from locutory.errors import BadRequest, Unauthorized

if TYPE_CHECKING:
    from locutory.http.routing import Route
    from locutory.run.kernel import Kernel

_MAX_PAIRS = 1000

T = TypeVar("T")

SYSTEM_TENANT = "__SYSTEM__"
"""The tenant under which LibreChat runs its own work; no account belongs to it."""
_TENANT = re.compile(r"[-a-zA-Z0-9_.]{1,128}")
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")

_current: ContextVar["Request"] = ContextVar("request")


async def check_caller_waits() -> None:
    """Raise `ClientDisconnect` when the client of the current request has closed the connection.
    For use before expensive work; outside of a request it does nothing."""
    request = _current.get(None)
    if request is not None and await request.is_disconnected():
        raise ClientDisconnect


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """The id that a proxy gave the request, or a new UUID when there is none, it is too long, has
    unusual characters or looks like a token."""
    given = headers.get(b"x-request-id") or headers.get(b"x-correlation-id")
    if given is not None:
        text = given.decode("latin-1")
        if _ID.fullmatch(text) and not _JWT.fullmatch(text):
            return text
    return str(uuid4())


class Request(StarletteRequest):
    """A Starlette request with what the dispatcher adds.

    ``payload`` is the parsed JSON or form body without MongoDB operators (``{}`` when empty);
    ``principal`` the caller or ``None``; ``ip`` the client address behind trusted proxies; ``id``
    the request id of the logs.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, kernel: "Kernel") -> None:
        super().__init__(scope, receive, send)
        _current.set(self)
        self.kernel = kernel
        self.principal: Principal | None = None
        self.payload: Any = {}
        self.route: Route | None = None
        self.ip: str = ""
        self.id: str = ""
        self.plugin: str = "kernel"
        self.unparsed = False
        self._kept: dict[type, object] = {}
        self._simple_query: dict[str, str | list[str]] | None = None
        self._plain_cookies: dict[str, str] | None = None

    @property
    def caller(self) -> Principal:
        """The authenticated caller; raises `Unauthorized` when there is none."""
        if self.principal is None:
            raise Unauthorized("No auth token")
        return self.principal

    @property
    def named_tenant(self) -> str | None:
        """The tenant that the proxy names in ``X-Tenant-Id``, where that header is trusted
        (``TRUST_TENANT_HEADER``); ``None`` when it is not or the name is invalid (contract kernel
        §9). For callers who are not signed in yet; the tenant of others is that of their account.
        """
        if not self.kernel.config.trust_tenant_header:
            return None
        value = self.headers.get("x-tenant-id", "").strip()
        return value if _TENANT.fullmatch(value) and value != SYSTEM_TENANT else None

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name, percent-decoded; of several with one name, the first. Values with the
        prefix ``j:`` stay text: objects from a cookie could reach database filters."""
        if self._plain_cookies is None:
            found: dict[str, str] = {}
            # Not by the standard library, whose time grows with the square of a quoted value.
            for pair in ";".join(self.headers.getlist("cookie")).split(";"):
                name, equals, value = pair.partition("=")
                value = value.strip()
                if value.startswith('"'):
                    value = value[1:].removesuffix('"')
                if equals:
                    found.setdefault(name.strip(), unquote(value) if "%" in value else value)
            self._plain_cookies = found
        return self._plain_cookies

    @property
    def query(self) -> dict[str, str | list[str]]:
        """The query as a flat dictionary: a repeated key becomes a list, and nothing nests. Keys
        that start with ``$`` or contain ``.`` are dropped, as is everything after the thousandth
        pair (contract kernel §3)."""
        if self._simple_query is None:
            found: dict[str, str | list[str]] = {}
            raw = cast(bytes, self.scope.get("query_string", b""))
            text = b"&".join(raw.split(b"&", _MAX_PAIRS)[:_MAX_PAIRS]).decode("latin-1")
            for key, value in parse_qsl(text, keep_blank_values=True) if text else ():
                if key.startswith("$") or "." in key:
                    continue
                before = found.get(key)
                if before is None:
                    found[key] = value
                elif isinstance(before, list):
                    before.append(value)
                else:
                    found[key] = [before, value]
            self._simple_query = found
        return self._simple_query

    def query_text(self, name: str) -> str | None:
        """One query value; the first of a repeated key; ``None`` when absent."""
        value = self.query.get(name)
        return value[0] if isinstance(value, list) else value

    @property
    def fields(self) -> dict[str, Any]:
        """The body as an object; raises `BadRequest` when it is a list."""
        if not isinstance(self.payload, dict):
            raise BadRequest("The request body must be a JSON object", "INVALID_BODY")
        return self.payload

    def text(self, name: str) -> str | None:
        """A text member of the body, ``None`` when absent or null. Raises `BadRequest` for another
        type, so that nothing but text reaches a database filter."""
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return value
        raise BadRequest(f"{name} must be a string", "INVALID_BODY")

    def valid(self, kind: type[T]) -> T:
        """The body or the query as an instance of the route's ``body`` or ``query`` model, or the
        object of this type that a check of the route has stored with `keep`. `TypeError` when there
        is none."""
        found = self._kept.get(kind)
        if found is None:
            raise TypeError(f"neither the route nor its checks say what {kind.__name__} is")
        return cast(T, found)

    def keep(self, value: object) -> None:
        """Store an object for `valid`, by its type: a check of the route hands it on to the
        endpoint."""
        self._kept[type(value)] = value
