"""Health and metrics: what others see of a running server."""

from typing import Any

import pytest

from locutory import JSON, Fact, On, Public, Request, Route
from locutory_testing import Serve


async def nothing(_request: Request) -> JSON:
    return JSON({})


# Health


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/Health", "/LIVEZ/", "/readyz/"])
async def test_probes_stand_before_everything(serve: Serve, path: str) -> None:
    async with serve() as server:
        for method in ("GET", "HEAD"):
            answer = await server.client.request(method, path)
            assert answer.status_code == 200
            assert answer.text == ("OK" if method == "GET" else "")
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["content-length"] == "2"
            assert not {"access-control-allow-origin", "x-robots-tag", "etag", "vary"} & set(
                answer.headers
            )


async def test_probes_answer_no_other_method_or_path(serve: Serve) -> None:
    async with serve() as server:
        for method, path in (("POST", "/health"), ("DELETE", "/readyz"), ("GET", "/healthz")):
            assert (await server.client.request(method, path)).status_code == 404


# Metrics


@pytest.mark.parametrize(
    ("secret", "header", "status"),
    [
        (None, None, 401),
        (None, "Bearer ", 401),
        ("s3cret", None, 401),
        ("s3cret", "Basic s3cret", 401),
        ("s3cret", "Bearer wrong", 401),
        ("s3cret", "Bearer s3cret", 200),
        ("s3cret", "bearer s3cret", 200),
        ("gehe\u00efm", "Bearer gehe\u00efm".encode(), 401),
    ],
)
async def test_metrics_ask_for_their_secret(
    serve: Serve, raw_http: Any, secret: str | None, header: Any, status: int
) -> None:
    environment = {} if secret is None else {"METRICS_SECRET": secret}
    async with serve(environment=environment) as server:
        lines = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        if header is not None:
            value = header if isinstance(header, bytes) else header.encode()
            lines += b"authorization: " + value + b"\r\n"
        head, _, body = (await raw_http(server.url, lines + b"\r\n")).partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        if status == 401:
            assert body == b""
            assert b"content-type" not in head
        else:
            assert b"content-type: text/plain; version=0.0.4; charset=utf-8" in head
            assert b"# TYPE http_requests_total counter" in body


class Rung(Fact):
    """A bell was rung."""


async def test_metrics_count_by_template_not_by_path(
    serve: Serve, make_plugin: Any, raw_http: Any
) -> None:
    async def fail(_fact: Rung) -> None:
        raise ValueError

    routes = [Route(path="/api/x/{id}", endpoint=nothing, access=Public("test"), summary="x")]
    plugin = make_plugin("bell", routes=routes, subscriptions=[On(Rung, fail)])
    async with serve(plugin) as server:
        for number in range(5):
            await server.client.get(f"/api/x/{number}")
            await server.client.get(f"/api/none/{number}")
        await raw_http(server.url, b"MKCALENDAR /api/x/1 HTTP/1.1\r\nconnection: close\r\n\r\n")
        await server.client.get("/livez")
        await server.kernel.events.publish(Rung())
        text = server.kernel.metrics.text().decode()
    assert 'http_requests_total{method="GET",route="/api/x/{id}",status="200"} 5.0' in text
    assert 'http_requests_total{method="GET",route="other",status="404"} 5.0' in text
    assert 'http_requests_total{method="other",route="other",status="404"} 1.0' in text
    assert "/api/x/1" not in text
    assert "livez" not in text
    assert 'event_handler_failures_total{plugin="bell"} 1.0' in text
    assert "http_request_duration_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text
    assert "event_loop_lag_seconds" in text


async def test_two_kernels_have_metrics_of_their_own(serve: Serve) -> None:
    async with serve() as one, serve() as two:
        await one.client.get("/api/none")
        assert 'status="404"' in one.kernel.metrics.text().decode()
        assert 'status="404"' not in two.kernel.metrics.text().decode()
