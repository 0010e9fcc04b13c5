"""Transports of requests: direct or through a proxy, or guarded; and the texts of their errors."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NoReturn

import httpcore2
import httpx2

from locutory_http.bodies import bounded
from locutory_http.guard import Guard, GuardedBackend
from locutory_http.proxies import Proxies, Proxy
from locutory_http.trust import Trust, bare_context, refused_certificate

LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)


PROXY_REFUSES = 407


class CertificateNotTrusted(httpx2.ConnectError):
    """The server's certificate is not trusted. ``reason``: the error in the words of OpenSSL."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the server's certificate is not trusted: {reason}")
        self.reason = reason


@contextmanager
def explained(proxy: Proxy | None = None) -> Iterator[None]:
    """Raise connection errors with a text that says what failed. It names the proxy, never the
    destination or credentials."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        _explain(error, proxy)


def _explain(error: httpx2.TransportError, proxy: Proxy | None) -> NoReturn:
    reason = refused_certificate(error)
    if reason is not None:
        raise CertificateNotTrusted(reason) from error
    if proxy is None:
        raise error
    text = str(error) or type(error).__name__
    raise type(error)(f"through the proxy {proxy.place}: {text}") from error


class RoutedTransport(httpx2.AsyncBaseTransport):
    """Sends each request as the deployment's settings require: directly, or through the proxy for
    its address. Bodies have at most ``most`` bytes (`locutory_http.bodies`)."""

    def __init__(
        self,
        proxies: Proxies,
        trust: Trust,
        *,
        most: int | None = None,
        limits: httpx2.Limits = LIMITS,
    ) -> None:
        self._proxies = proxies
        self._trust = trust
        self._most = most
        self._limits = limits
        self._ways: dict[tuple[Proxy | None, bool], httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; raises errors of httpx2, see `explained`."""
        url = request.url
        proxy = self._proxies.of(url.scheme, url.host, url.port)
        way = self._way(proxy, url.scheme != "http")
        with explained(proxy):
            response = await way.handle_async_request(request)
            if proxy is not None and response.status_code == PROXY_REFUSES:
                await response.aclose()
                raise httpx2.ProxyError(f"{PROXY_REFUSES} Proxy Authentication Required")
        return bounded(response, self._most)

    def _way(self, proxy: Proxy | None, secure: bool) -> httpx2.AsyncHTTPTransport:
        secure = secure or (proxy is not None and proxy.scheme == "https")
        way = self._ways.get((proxy, secure))
        if way is None:
            # Without TLS in sight one that trusts nobody: roots take time and memory.
            context = self._trust.context if secure else bare_context()
            way = self._ways[proxy, secure] = httpx2.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=self._limits,
                proxy=None if proxy is None else as_httpx(proxy, context),
            )
        return way

    async def aclose(self) -> None:
        """Close every connection."""
        ways = list(self._ways.values())
        self._ways.clear()
        for way in ways:
            await way.aclose()


def as_httpx(proxy: Proxy, context: ssl.SSLContext) -> httpx2.Proxy:
    """The proxy as an object of httpx2."""
    secure = context if proxy.scheme == "https" else None
    return httpx2.Proxy(proxy.url, auth=proxy.auth, ssl_context=secure)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_stream():
                yield piece
        except Exception as error:
            raise _translated(error) from error

    async def aclose(self) -> None:
        await self._response.aclose()


def _translated(error: Exception) -> Exception:
    """The error of httpx2 with the same name, which is a connection error for refused addresses;
    the error itself when there is none."""
    for kind in type(error).__mro__:
        name = getattr(httpx2, kind.__name__, None)
        if kind.__module__.startswith("httpcore2") and isinstance(name, type):
            translated: Exception = name(str(error))
            return translated
    return error


class GuardedTransport(httpx2.AsyncBaseTransport):
    """A transport whose connections a `Guard` has checked.

    It never uses a proxy, which would connect where the guard cannot check.
    """

    def __init__(
        self,
        guard: Guard,
        context: ssl.SSLContext | None = None,
        *,
        most: int | None = None,
        limits: httpx2.Limits = LIMITS,
    ) -> None:
        self._most = most
        self._pool = httpcore2.AsyncConnectionPool(
            network_backend=GuardedBackend(guard),
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; raises errors of httpx2."""
        raw = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with explained():
            try:
                response = await self._pool.handle_async_request(raw)
            except Exception as error:
                raise _translated(error) from error
        answer = httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )
        return bounded(answer, self._most)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
