"""Factory of the HTTP clients for all connections that the server opens."""

from collections.abc import Iterable
from typing import Any

import httpx2

from locutory_http.bodies import ACCEPTED, BodyTooLarge
from locutory_http.guard import Guard
from locutory_http.proxies import Proxies
from locutory_http.transport import (
    LIMITS,
    CertificateNotTrusted,
    GuardedTransport,
    RoutedTransport,
    as_httpx,
)
from locutory_http.trust import Trust, refused_certificate

HOPS = 5
"""The maximum number of redirects that `Outgoing.download` follows."""


class Outgoing:
    """Outgoing connections of one deployment.

    No client follows redirects by itself, or reads the environment: ``proxies`` and ``trust`` have
    all settings.
    """

    def __init__(self, proxies: Proxies | None = None, trust: Trust | None = None) -> None:
        self.proxies = proxies or Proxies()
        self.trust = trust or Trust()

    def options(
        self,
        timeout: float | httpx2.Timeout,
        *,
        most: int | None = None,
        direct: bool = False,
        limits: httpx2.Limits = LIMITS,
    ) -> dict[str, Any]:
        """The arguments of an `httpx2.AsyncClient`, or of a class derived from it.

        Args:
            timeout: seconds for each step: connecting, waiting for bytes, sending.
            most: maximum bytes of a response; more raise `BodyTooLarge`.
            direct: never through a proxy, for servers that belong to the deployment.
            limits: maximum numbers of connections.
        """
        proxies = Proxies() if direct else self.proxies
        return {
            "transport": RoutedTransport(proxies, self.trust, most=most, limits=limits),
            "timeout": timeout,
            "trust_env": False,
            "follow_redirects": False,
            "headers": {"user-agent": "Locutory", "accept-encoding": ACCEPTED},
        }

    def client(
        self,
        timeout: float | httpx2.Timeout,
        *,
        headers: dict[str, str] | None = None,
        base_url: str = "",
        event_hooks: dict[str, list[Any]] | None = None,
        **options: Any,
    ) -> httpx2.AsyncClient:
        """A client for addresses of the operator; the other arguments are those of `options`."""
        made = self.options(timeout, **options)
        made["headers"] |= headers or {}
        return httpx2.AsyncClient(base_url=base_url, event_hooks=event_hooks, **made)

    def guarded(
        self,
        allowed: Iterable[str],
        timeout: float | httpx2.Timeout,
        *,
        most: int | None = None,
    ) -> httpx2.AsyncClient:
        """A client for addresses of users: it only reaches hosts that a `Guard` allows, and never
        uses a proxy, since the guard could not check its connections."""
        made = self.options(timeout)
        made["transport"] = GuardedTransport(Guard(allowed), self.trust.context, most=most)
        return httpx2.AsyncClient(**made)

    def download(self, url: str, seconds: float, most: int) -> bytes:
        """The body at an address of the operator, of at most ``most`` bytes; follows redirects, and
        blocks. ``seconds`` is the timeout of each step.

        Raises ``OSError`` with the reason.
        """
        try:
            for _ in range(HOPS + 1):
                status, body, further = self._get(url, seconds, most)
                if further is None:
                    break
                url = further
            else:
                raise OSError("redirects without end")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = refused_certificate(error)
            shown = CertificateNotTrusted(reason) if reason else error
            raise OSError(str(shown) or type(shown).__name__) from error
        if status != 200:
            raise OSError(f"status {status}")
        return body

    def _get(self, url: str, seconds: float, most: int) -> tuple[int, bytes, str | None]:
        """Status, body, and the address of a redirect or ``None``."""
        parsed = httpx2.URL(url)
        proxy = self.proxies.of(parsed.scheme, parsed.host, parsed.port)
        context = self.trust.context
        with (
            httpx2.Client(
                proxy=None if proxy is None else as_httpx(proxy, context),
                verify=context,
                timeout=seconds,
                trust_env=False,
                headers={"user-agent": "Locutory", "accept-encoding": "identity"},
            ) as client,
            client.stream("GET", url) as response,
        ):
            further = response.next_request
            if further is not None:
                return response.status_code, b"", str(further.url)
            received = bytearray()
            for piece in response.iter_bytes():
                received += piece
                if len(received) > most:
                    raise BodyTooLarge(f"the answer has more than {most} bytes")
            return response.status_code, bytes(received), None
