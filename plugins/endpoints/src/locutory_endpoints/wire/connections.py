"""HTTP clients, one a destination, kept open between calls."""

from collections.abc import Iterable

import httpx2

from locutory_http import AddressRefused, Guard, Outgoing

_REDIRECTED = "redirected"


class Connections:
    """Clients for providers.

    An address that an operator configured has a client of its own; all addresses that users
    gave share one whose connections are checked.
    """

    def __init__(self, outgoing: Outgoing, connect_seconds: float, idle_seconds: float) -> None:
        self._outgoing = outgoing
        self._timeout = httpx2.Timeout(
            connect=connect_seconds, read=idle_seconds, write=30.0, pool=connect_seconds
        )
        self._clients: dict[tuple[str, bool], httpx2.AsyncClient] = {}
        self._guarded: dict[tuple[str, ...], httpx2.AsyncClient] = {}

    def configured(self, url: str, *, direct: bool = False) -> httpx2.AsyncClient:
        """The client for an operator's address; ``direct``: never through a proxy."""
        scheme, _, rest = url.partition("://")
        return self._client(f"{scheme}://{rest.partition('/')[0]}", direct)

    def _client(self, destination: str, direct: bool) -> httpx2.AsyncClient:
        key = (destination, direct)
        client = self._clients.get(key)
        if client is None:
            client = self._outgoing.client(self._timeout, direct=direct)
            self._clients[key] = client
        return client

    def guarded(self, allowed: Iterable[str]) -> httpx2.AsyncClient:
        """The client for addresses that users gave."""
        key = tuple(sorted(allowed))
        client = self._guarded.get(key)
        if client is None:
            client = self._guarded[key] = self._outgoing.guarded(key, self._timeout)
        return client

    async def redirected(self, url: str, allowed: Iterable[str]) -> httpx2.AsyncClient:
        """The client for an address that a server of the operator's sends a request to: checked
        as those that users gave. Where a proxy leads there it goes through the proxy, which
        looks the name up once more; a name that only the proxy knows passes.

        `httpx2.ConnectError` for an address that is refused.
        """
        parsed = httpx2.URL(url)
        if self._outgoing.proxies.of(parsed.scheme, parsed.host, parsed.port) is None:
            return self.guarded(allowed)
        try:
            await Guard(allowed).check(url)
        except AddressRefused as error:
            raise httpx2.ConnectError(str(error)) from error
        return self._client(_REDIRECTED, False)

    async def close(self) -> None:
        """Close every connection."""
        clients = [*self._clients.values(), *self._guarded.values()]
        self._clients.clear()
        self._guarded.clear()
        for client in clients:
            await client.aclose()
