"""Prometheus metrics of a server."""

import asyncio
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


_LOOK_SECONDS = 5.0


class Metrics:
    """Prometheus metrics of one server, in a registry of its own that plugins may extend."""

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
        self._loop_lag = Gauge(
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

    async def watch_loop(self) -> None:
        """Measure the delay of the event loop until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            self._loop_lag.set(max(0.0, loop.time() - due))

    def watch_failures(self, failures: Mapping[str, int]) -> None:
        """Add the number of failures of each plugin's event handlers to the metrics."""
        self.registry.register(_Failures(failures))

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
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
