"""``/health``, ``/livez``, ``/readyz`` and ``/metrics`` (contract kernel §1)."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.responses import Response

from locutory.access import Public
from locutory.responses import Empty, Text
from locutory.routing import Route

if TYPE_CHECKING:
    from locutory.request import Request

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Prometheus metrics of one kernel, in a registry of its own that plugins may extend."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "http_requests_total",
            "HTTP requests; a client that hung up counts as status 499",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time until the response was sent",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.loop_lag = Gauge(
            "event_loop_lag_seconds", "How late a timer fired", registry=self.registry
        )
        self._labelled: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request under its route template."""
        if method not in _METHODS:  # any token may come in; each would be a time series
            method = "other"
        labels = (method, route, status)
        pair = self._labelled.get(labels)
        if pair is None:
            names = (method, route, str(status))
            pair = (self._requests.labels(*names), self._seconds.labels(*names))
            self._labelled[labels] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def watch_failures(self, failures: Mapping[str, int]) -> None:
        """Show how often the event handlers of each plugin have failed."""
        self.registry.register(_Failures(failures))

    def text(self) -> bytes:
        """All metrics in the text exposition format."""
        return generate_latest(self.registry)


class _Failures(Collector):
    def __init__(self, failures: Mapping[str, int]) -> None:
        self._failures = failures

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "event_handler_failures", "Faults of event handlers", labels=("plugin",)
        )
        for plugin, count in list(self._failures.items()):
            family.add_metric((plugin,), count)
        yield family


class Health:
    """Answers the probes before any other layer, and serves the metrics."""

    def __init__(
        self, not_ready: Callable[[], str | None], metrics: Metrics, secret: str | None
    ) -> None:
        """``not_ready``: why the server is not ready, ``None`` when it is."""
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
        """``GET /metrics``: the text exposition format, for whoever knows the secret."""
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
