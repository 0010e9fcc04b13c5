"""The HTTP edge: from an ASGI request to a plugin's endpoint and back (contract kernel §3)."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from locutory.access import (
    AUTHENTICATORS,
    ApiKey,
    Can,
    Capability,
    OptionalUser,
    Principal,
    Public,
)
from locutory.errors import Forbidden, HTTPError, Unauthorized
from locutory.http.failures import ErrorController
from locutory.http.fallback import PAGES
from locutory.http.limiting import LimitExceeded
from locutory.http.request import SYSTEM_TENANT, Request, request_id
from locutory.http.routing import Route
from locutory.http.validation import read
from locutory.responses import JSON, Empty, Text
from locutory_httpserver.bodies import Body, ClientGone
from locutory_httpserver.finishing import finish
from locutory_httpserver.proxies import ProxyTrust, ProxyWatch, prefix_of, take_off

if TYPE_CHECKING:
    from locutory.run.kernel import Kernel

log = structlog.get_logger("locutory.http")

_METHODS = b"GET,HEAD,PUT,PATCH,POST,DELETE"
_CORS = (b"access-control-allow-origin", b"*")
_FORWARDED = b"x-forwarded-for"


class Dispatcher:
    """Serves HTTP for one kernel."""

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        config = kernel.config
        self._proxies = ProxyTrust(config.proxy_hops, config.trusted_proxies)
        self.proxy_watch = ProxyWatch(kernel.data_dir, is_https=config.is_https)
        self._prefix = prefix_of(config.domain_client)
        self._compress = not config.disable_compression
        self._max_body = config.max_body_bytes
        self._parsing = asyncio.Semaphore(1)
        self._body_seconds = config.http_request_timeout_ms / 1000
        self._no_index = [(b"x-robots-tag", b"noindex")] if config.no_index == "true" else []
        self._common = [*self._no_index, _CORS]
        self._policy = kernel.policy
        self._errors = ErrorController(() if kernel.redis is None else kernel.redis.unreachable)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Never raises for a fault of a plugin."""
        method: str = scope["method"]
        if self._prefix or scope["path"][:2] == "//":
            take_off(self._prefix, scope)
        path: str = scope["path"]
        if method in ("GET", "HEAD"):
            probe = self._kernel.health.answer(path)
            if probe is not None:
                await probe(scope, receive, send)
                return
        started = time.perf_counter()
        request = Request(scope, receive, send, self._kernel)
        headers = dict(scope["headers"])
        request.id = request_id(headers)
        request.ip = self._client_address(scope, headers)
        structlog.contextvars.bind_contextvars(request_id=request.id)
        status = 500
        try:
            if method == "OPTIONS":
                response = self._preflight(headers)
            else:
                response = await self._respond(request, method, path, headers)
            status = await self._send(request, response, send, headers)
        except (ClientGone, ClientDisconnect):
            status = 499
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            label = "other" if request.route is None else request.route.path
            self._kernel.metrics.request(method, label, status, time.perf_counter() - started)

    def _client_address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        client = scope.get("client")
        peer = client[0] if client else ""
        is_forwarded = _FORWARDED in headers
        self.proxy_watch.look(
            peer, is_trusted=self._proxies.trusts(peer), is_forwarded=is_forwarded
        )
        if not is_forwarded:
            return peer
        # Every line counts: some proxies add a line of their own below a forged one.
        lines = [value for name, value in scope["headers"] if name == _FORWARDED]
        return self._proxies.client(peer, b",".join(lines).decode("latin-1"))

    async def _send(
        self, request: Request, response: Response, send: Send, headers: Mapping[bytes, bytes]
    ) -> int:
        """Send a response; returns the status to count, 499 when the client hung up."""
        response = await finish(response, request.method, headers, compress=self._compress)
        # The contract's order of layers: bodies are parsed before CORS applies.
        response.raw_headers.extend(self._no_index if request.unparsed else self._common)
        if request.route is not None and isinstance(request.route.access, ApiKey):
            # Programs show it to whoever looks into their failures.
            response.raw_headers.append((b"x-request-id", request.id.encode()))
        if isinstance(getattr(response, "body", None), bytes) and response.background is None:
            await response(request.scope, request.receive, send)
            return response.status_code
        begun = complete = False

        async def watch(message: Message) -> None:
            nonlocal begun, complete
            begun = True
            complete = message["type"] != "http.response.start" and not message.get("more_body")
            await send(message)

        try:
            await response(request.scope, request.receive, watch)
        except ClientDisconnect:
            return 499
        except Exception as error:
            if begun:  # the status is out; the server closes the connection
                path = request.scope["path"]
                log.error("http.broken_off", plugin=request.plugin, path=path, exc_info=error)
                return response.status_code if complete else 500
            response = self._errors.answer(error, request)
            response.raw_headers.extend(self._common)
            await response(request.scope, request.receive, send)
            return response.status_code
        return response.status_code if complete else 499

    def _preflight(self, headers: Mapping[bytes, bytes]) -> Response:
        response = Empty(204)
        response.raw_headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"vary", b"Access-Control-Request-Headers"),
            (b"content-length", b"0"),
        ]
        asked = headers.get(b"access-control-request-headers")
        if asked:
            response.raw_headers.append((b"access-control-allow-headers", asked))
        return response

    async def _respond(
        self, request: Request, method: str, path: str, headers: Mapping[bytes, bytes]
    ) -> Response:
        limited: dict[str, str] = {}
        try:
            match = self._kernel.routes.match(method, path, request.scope.get("raw_path"))
            route = None if match is None else match.route
            if match is not None:
                request.plugin = match.owner
                request.route = route
                request.scope["path_params"] = match.parameters
            if route is None:
                response = await self._unmatched(request, path)
            else:
                body = None
                if b"content-type" in headers and not route.raw_body:
                    body = Body(request.receive, headers, self._body_seconds)
                    await self._parse(request, body.early())
                response = await self._run(request, route, body, limited)
            if not isinstance(response, Response):
                raise TypeError(f"the endpoint returned {response!r} instead of a response")
        except (ClientGone, ClientDisconnect):
            raise
        except Exception as error:
            response = self._errors.answer(error, request)
        for name, value in limited.items():
            response.headers[name] = value
        return response

    async def _parse(self, request: Request, reading: Awaitable[Any]) -> None:
        request.unparsed = True
        request.payload = await reading
        request.unparsed = False

    async def _run(
        self, request: Request, route: Route, body: Body | None, limited: dict[str, str]
    ) -> Response:
        for gate in route.gates:
            response = await gate(request)
            if response is not None:
                return response
        await self._authorise(request, route)
        if body is not None and body.pending:
            signed_in = request.principal is not None
            await self._parse(request, body.late(self._max_body, signed_in, self._parsing))
        for limit in route.limits:
            key = limit.key(request)
            if key is None:
                continue
            verdict = await self._kernel.limits.check(limit, key)
            limited.update(verdict.headers)
            if not verdict.allowed:
                user = None if request.principal is None else request.principal.id
                await self._kernel.events.publish(
                    LimitExceeded(limit.name, limit.violation, limit.score, user, request.ip)
                )
                return JSON(limit.body, 429)
        for check in route.checks:
            response = await check(request)
            if response is not None:
                return response
        read(route, request)
        return await route.endpoint(request)

    async def _authorise(self, request: Request, route: Route) -> None:
        access = route.access
        if isinstance(access, Public):
            return
        try:
            request.principal = await self._authenticate(request, access)
        except HTTPError:
            if isinstance(access, OptionalUser):
                return
            raise
        principal = request.principal
        if isinstance(access, Can):
            await self._check_permission(request, principal, access)
        elif isinstance(access, Capability):
            await self._check_capability(request, principal, access)
        elif isinstance(access, ApiKey) and access.scope not in (principal.scopes or ()):
            raise Forbidden

    async def _check_permission(self, request: Request, principal: Principal, access: Can) -> None:
        try:
            decision = await self._policy.allows(principal, access.group, access.action)
        except HTTPError:
            raise
        except Exception:
            log.exception("access.lookup_failed", plugin=request.plugin)
            text = "Server error: the permissions cannot be looked up"
            raise HTTPError(500, {"message": text}) from None
        if not decision:
            log.debug("access.denied", plugin=request.plugin, reason=decision.reason)
            if access.refusal is not None:
                raise HTTPError(403, access.refusal)
            raise Forbidden("Forbidden: Insufficient permissions")

    async def _check_capability(
        self, request: Request, principal: Principal, access: Capability
    ) -> None:
        try:
            decision = await self._policy.holds(principal, access.name)
        except HTTPError:
            raise
        except Exception:
            log.exception("access.lookup_failed", plugin=request.plugin)
            raise HTTPError(500, {"message": "Internal Server Error"}) from None
        if not decision:
            log.debug("access.denied", plugin=request.plugin, reason=decision.reason)
            raise Forbidden

    async def _authenticate(self, request: Request, access: Any) -> Principal:
        scheme = "api-key" if isinstance(access, ApiKey) else "session"
        authenticator = self._kernel.services.named(AUTHENTICATORS, scheme)
        if authenticator is None:
            raise Unauthorized("No auth token")
        principal = await authenticator.authenticate(request)
        if principal.tenant is None and self._kernel.config.tenant_isolation_strict:
            raise HTTPError(403, {"error": "Tenant context required in strict isolation mode"})
        if principal.tenant == SYSTEM_TENANT:
            text = "System tenant is not allowed for request-scoped routes"
            raise HTTPError(403, {"error": text})
        return principal

    async def _unmatched(self, request: Request, path: str) -> Response:
        plain = path.lower()
        # Also behind a prefix that nobody has named: a page is no answer to a program.
        if plain == "/api" or "/api/" in plain:
            return JSON({"message": "Endpoint not found"}, 404)
        pages = self._kernel.services.find(PAGES)
        if pages is None:
            return Text("Locutory is running. No web client is installed.", 404)
        return await pages.serve(request)
