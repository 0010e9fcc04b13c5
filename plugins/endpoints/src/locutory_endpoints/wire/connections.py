"""HTTP clients, one a destination, kept open between calls."""

import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx2

from locutory_endpoints.guard import Guard, GuardedTransport

_KEEP = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)


class Connections:
    """Clients for providers.

    An address that an operator configured has a client of its own (and goes through
    ``proxy`` when there is one); all addresses that users gave share one whose connections
    are checked by a `Guard`. Nobody follows redirects or reads proxies from the environment.
    """

    def __init__(self, connect_seconds: float, idle_seconds: float) -> None:
        self._timeout = httpx2.Timeout(
            connect=connect_seconds, read=idle_seconds, write=30.0, pool=connect_seconds
        )
        self._clients: dict[tuple[str, str], httpx2.AsyncClient] = {}
        self._guarded: dict[tuple[str, ...], httpx2.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None
        self._no_tls: ssl.SSLContext | None = None

    def configured(self, url: str, proxy: str | None = None) -> httpx2.AsyncClient:
        """The client for an operator's address."""
        parts = urlsplit(url)
        key = (f"{parts.scheme}://{parts.netloc}", proxy or "")
        client = self._clients.get(key)
        if client is None:
            secure = parts.scheme == "https" or (proxy or "").startswith("https")
            client = self._clients[key] = httpx2.AsyncClient(
                timeout=self._timeout,
                limits=_KEEP,
                proxy=proxy or None,
                verify=self._trust(secure),
                trust_env=False,
                follow_redirects=False,
            )
        return client

    def guarded(self, allowed: Iterable[str]) -> httpx2.AsyncClient:
        """The client for addresses that users gave."""
        key = tuple(sorted(allowed))
        client = self._guarded.get(key)
        if client is None:
            client = self._guarded[key] = httpx2.AsyncClient(
                transport=GuardedTransport(Guard(key), ssl_context=self._trust(True)),
                timeout=self._timeout,
                trust_env=False,
                follow_redirects=False,
            )
        return client

    def _trust(self, secure: bool) -> ssl.SSLContext:
        """One context for all; without any TLS in sight one that trusts nobody, since
        loading the certificates takes time and memory."""
        if not secure:
            if self._no_tls is None:
                self._no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return self._no_tls
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()  # SSL_CERT_FILE counts
        return self._tls

    async def close(self) -> None:
        """Close every connection."""
        clients = [*self._clients.values(), *self._guarded.values()]
        self._clients.clear()
        self._guarded.clear()
        for client in clients:
            await client.aclose()
