"""``/health``, ``/livez``, ``/readyz`` and ``/metrics`` (contract kernel §1)."""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import Response

from locutory.access import Public
from locutory.http.routing import Route
from locutory.responses import Empty, Text
from locutory_httpserver.metrics import Metrics

if TYPE_CHECKING:
    from locutory.http.request import Request


class Health:
    """Answers the probes before any other layer, and serves the metrics."""

    def __init__(
        self, not_ready: Callable[[], str | None], metrics: Metrics, secret: str | None
    ) -> None:
        """``not_ready`` returns the reason why the server is not ready, ``None`` when it is
        ready."""
        self._not_ready = not_ready
        self._metrics = metrics
        self._secret = secret

    def answer(self, path: str) -> Response | None:
        """The response for a probe path, ``None`` for any other path."""
        if len(path) > len("/health/"):
            return None
        name = path.lower().removesuffix("/")
        if name in ("/health", "/livez"):
            return Text("OK")
        if name == "/readyz":
            reason = self._not_ready()
            if reason is None:
                return Text("OK")
            return Text(f"NOT_READY: {reason}" if reason else "NOT_READY", 503)
        return None

    async def scrape(self, request: "Request") -> Response:
        """``GET /metrics``: the metrics in Prometheus' text format, for callers that send the
        secret."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if (
            not self._secret
            or scheme.lower() != "bearer"
            or not hmac.compare_digest(token.encode(), self._secret.encode())
        ):
            return Empty(401)
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def route(self) -> Route:
        """The route of the metrics."""
        return Route(
            path="/metrics",
            endpoint=self.scrape,
            access=Public("asks for METRICS_SECRET itself"),
            summary="Metrics of this process for Prometheus",
            responses={200: "Prometheus text exposition", 401: "Not the secret, or none is set"},
            failure="",
            contract="kernel §1.2",
        )
