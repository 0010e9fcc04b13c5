"""One request stays one request: each gets one answer, in order, whatever its head offers."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from locutory import JSON, Empty, Public, Request, Route, SignedIn
from locutory_testing import Serve, Server

JAVA = Path(__file__).with_name("Offers.java")
OFFERS = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "websocket": "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
    "several": "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: foo/2, bar\r\nConnection: x\r\n",
    "lines": "Upgrade: TLS/1.0\r\nConnection: keep-alive\r\nConnection: UPGRADE\r\n",
    "no offer": "Connection: upgrade\r\n",
    "no token": "Upgrade: h2c\r\n",
    "none": "",
}
NEXT = b"GET /api/next HTTP/1.1\r\nHost: x\r\n\r\n"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def echoing(make_plugin: Any) -> Any:
    """The plugin that all tests talk to."""

    async def echo(request: Request) -> JSON:
        return JSON({"method": request.method, "payload": request.payload})

    async def raw(request: Request) -> JSON:
        return JSON({"size": len(await request.body()), "trailer": "x-trailer" in request.headers})

    async def slow(_request: Request) -> JSON:
        await asyncio.sleep(0.1)
        return JSON({"slow": True})

    methods = ("POST", "GET", "PUT", "DELETE")
    routes = [
        Route(path=f"/api/{name}", endpoint=endpoint, methods=methods, summary=name, **options)
        for name, endpoint, options in (
            ("echo", echo, {"access": Public("test")}),
            ("next", echo, {"access": Public("test")}),
            ("slow", slow, {"access": Public("test")}),
            ("raw", raw, {"access": Public("test"), "raw_body": True}),
            ("closed", echo, {"access": SignedIn(), "raw_body": True}),
        )
    ]
    return make_plugin("echo", routes=routes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(serve_module: Serve, make_plugin: Any) -> AsyncIterator[Server]:
    async with serve_module(echoing(make_plugin)) as started:
        yield started


async def talk(server: Server, *pieces: bytes) -> list[tuple[int, Any]]:
    """Send the pieces one after another, then end; what is answered, as status and JSON or text
    (``None`` for an answer to HEAD). The last answer is told from a broken one."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(20):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.005)
            received = b""
            # A request that closes the connection ends every conversation of these tests.
            while chunk := await reader.read(65536):
                received += chunk
    finally:
        writer.close()
    return answers(received, heads_only=pieces[0].startswith(b"HEAD"))


def answers(received: bytes, heads_only: bool) -> list[tuple[int, Any]]:
    found: list[tuple[int, Any]] = []
    while received:
        head, mark, received = received.partition(b"\r\n\r\n")
        assert mark, head
        status = int(re.match(rb"HTTP/1\.1 (\d{3}) ", head)[1])  # type: ignore[index]
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        size = 0 if length is None or (heads_only and not found) else int(length[1])
        assert len(received) >= size
        body, received = received[:size], received[size:]
        found.append((status, json.loads(body) if body[:1] == b"{" else body.decode()))
    return found


def request(
    offer: str, method: str, body: bytes | None, chunked: bool = False
) -> tuple[bytes, bytes]:
    """Head and body of a request to the echo."""
    lines = f"{method} /api/echo HTTP/1.1\r\nHost: x\r\n{OFFERS[offer]}"
    if body is None:
        return f"{lines}\r\n".encode(), b""
    lines += "Content-Type: application/json\r\n"
    if chunked:
        pieces = [body[:3], body[3:]]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
        return f"{lines}Transfer-Encoding: chunked\r\n\r\n".encode(), framed + b"0\r\n\r\n"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode(), body


LAST = NEXT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
NEXT_ANSWER = (200, {"method": "GET", "payload": {}})


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("offer", OFFERS)
async def test_a_body_belongs_to_its_request(server: Server, offer: str, chunked: bool) -> None:
    """Also a body that looks like a request."""
    for payload in ({"a": 1}, {"looks like": NEXT.decode() * 3}):
        head, body = request(offer, "POST", json.dumps(payload).encode(), chunked)
        expected = [(200, {"method": "POST", "payload": payload})] * 2 + [NEXT_ANSWER]
        assert await talk(server, (head + body) * 2 + LAST) == expected
        assert await talk(server, head, body, head, body, LAST) == expected
        assert await talk(server, head + body[:5], body[5:] + head + body[:7], body[7:] + LAST) == (
            expected
        )
        split = len(head) - 1
        assert await talk(server, head[:split], head[split:] + body + head, body + LAST) == expected


async def test_a_body_byte_by_byte(server: Server) -> None:
    head, body = request("h2c", "POST", b'{"a":[1,2]}', chunked=True)
    whole = head + body
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    assert await talk(server, *pieces, LAST) == [
        (200, {"method": "POST", "payload": {"a": [1, 2]}}),
        NEXT_ANSWER,
    ]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_requests_without_body(server: Server, offer: str, method: str) -> None:
    for body, chunked in ((None, False), (b"", False), (b"", True)):
        head, end = request(offer, method, body, chunked)
        assert [status for status, _ in await talk(server, head + end + LAST)] == [200, 200]
        assert [status for status, _ in await talk(server, head, end + LAST)] == [200, 200]


@pytest.mark.parametrize("offer", OFFERS)
async def test_get_with_a_body(server: Server, offer: str) -> None:
    head, body = request(offer, "GET", b'{"a":1}')
    assert await talk(server, head, body + LAST) == [
        (200, {"method": "GET", "payload": {"a": 1}}),
        NEXT_ANSWER,
    ]


@pytest.mark.parametrize("offer", OFFERS)
async def test_requests_that_are_refused_before_their_body_is_read(
    server: Server, offer: str
) -> None:
    body = NEXT * 40
    for path, status in ((b"/api/closed", 401), (b"/api/unknown", 404)):
        head, _ = request(offer, "POST", b"")
        head = head.replace(b"/api/echo", path).replace(b"application/json", b"text/plain")
        head = head.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
        for pieces in (
            [head + body + LAST],
            [head, body + LAST],
            [head, body[:50], body[50:], LAST],
        ):
            assert [got for got, _ in await talk(server, *pieces)] == [status, 200]


async def test_an_expected_100_is_given_when_the_body_is_read(server: Server) -> None:
    for offer in OFFERS:
        head, body = request(offer, "POST", b'{"a":1}')
        head = head.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue")
        assert await talk(server, head, body + LAST) == [
            (100, ""),
            (200, {"method": "POST", "payload": {"a": 1}}),
            NEXT_ANSWER,
        ]


async def test_a_refusal_without_the_expected_100_ends_the_connection(server: Server) -> None:
    """Whether the body or another request comes next, the server cannot know."""
    head = (
        b"POST /api/closed HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n"
    )
    assert [status for status, _ in await talk(server, head)] == [401]
    # A client that does not wait has decided.
    together = await talk(server, head + b'{"a":1}' + LAST)
    assert [status for status, _ in together] == [401, 200]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: -3",
        "Content-Length: 3, 3",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
    ],
)
async def test_contradictory_framing_is_one_400(server: Server, offer: str, framing: str) -> None:
    head = f"POST /api/echo HTTP/1.1\r\nHost: x\r\n{OFFERS[offer]}{framing}\r\n\r\n".encode()
    assert [status for status, _ in await talk(server, head + b"3\r\nabc\r\n0\r\n\r\n" + LAST)] == [
        400
    ]


@pytest.mark.parametrize("offer", OFFERS)
async def test_a_broken_body_is_one_400(server: Server, offer: str) -> None:
    head, _ = request(offer, "POST", b"{}", chunked=True)
    broken = b"3\r\n[1,\r\nzz\r\n"
    assert [status for status, _ in await talk(server, head + broken + LAST)] == [400]
    assert [status for status, _ in await talk(server, head, broken, LAST)] == [400]
    # Behind another request it waits for its turn.
    assert [status for status, _ in await talk(server, NEXT + head + broken)] == [200, 400]


async def test_a_body_that_breaks_after_the_answer_ends_the_connection(server: Server) -> None:
    head = b"POST /api/closed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert [status for status, _ in await talk(server, head, b"zz\r\n")] == [401]


@pytest.mark.parametrize(
    "rest", [b"!!\r\n\r\n", b"{}\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
async def test_what_is_no_request_does_not_overtake_an_answer(server: Server, rest: bytes) -> None:
    slow = NEXT.replace(b"next", b"slow")
    expected = [(200, {"slow": True}), (400, "Invalid HTTP request received.")]
    assert await talk(server, slow + rest) == expected
    assert await talk(server, slow, rest, LAST) == expected
    assert await talk(server, slow + slow + rest + LAST) == [expected[0], *expected]
    # A body that is longer than announced is such a rest.
    head, body = request("h2c", "POST", b'{"a":1}')
    longer = await talk(server, head + body + rest)
    assert [status for status, _ in longer] == [200, 400]


async def test_heads_too_large_or_too_slow_wait_for_the_answers_before_them(
    serve: Serve, make_plugin: Any
) -> None:
    slow = NEXT.replace(b"next", b"slow")
    large = b"GET /api/next HTTP/1.1\r\nx-a: " + b"y" * 500_000
    half = b"GET / HTTP/1.1\r\nx: "
    async with serve(echoing(make_plugin), environment={"HTTP_HEADERS_TIMEOUT_MS": "50"}) as server:
        assert [status for status, _ in await talk(server, slow + large)] == [200, 431]
        assert [status for status, _ in await talk(server, slow + half)] == [200, 408]
        assert [status for status, _ in await talk(server, half)] == [408]


async def test_bodies_too_large_end_the_connection(server: Server) -> None:
    for offer in OFFERS:
        head, _ = request(offer, "POST", b"")
        head = head.replace(b"Content-Length: 0", b"Content-Length: 3500000")
        got = await talk(server, head + b" " * 3_500_000 + LAST)
        assert [status for status, _ in got] == [413]


async def test_trailers_are_no_headers_and_are_limited(server: Server) -> None:
    head = (
        b"POST /api/raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    )
    trailer = b"X-Trailer: a\r\n\r\n"
    expected = [(200, {"size": 3, "trailer": False}), NEXT_ANSWER]
    assert await talk(server, head, trailer + LAST) == expected
    assert await talk(server, head + trailer + LAST) == expected
    endless = b"X-A: b\r\n" * 100_000
    assert [status for status, _ in await talk(server, head, endless, endless)] == [431]
    assert [status for status, _ in await talk(server, head + b"x: " + b"y" * 900_000)] == [431]


@pytest.mark.parametrize("method", ["CONNECT x:1", "CONNECT /api/echo"])
async def test_tunnels_are_refused(server: Server, method: str) -> None:
    for body in (b"", b"Content-Length: 3\r\n"):
        head = f"{method} HTTP/1.1\r\nHost: x\r\n".encode() + body
        assert [status for status, _ in await talk(server, head + b"\r\nabc" + LAST)] == [400]


async def test_requests_without_headers_are_refused(server: Server) -> None:
    assert [status for status, _ in await talk(server, b"GET /api/next\r\n\r\n")] == [400]


async def test_what_follows_a_close_is_not_read(server: Server) -> None:
    for offer in OFFERS:
        head, body = request(offer, "POST", b'{"a":1}')
        head = head.replace(b"Host: x", b"Host: x\r\nConnection: close")
        got = await talk(server, head + body + NEXT + NEXT)
        assert [status for status, _ in got] == [200]


async def test_who_hangs_up_ends_every_request(serve: Serve, make_plugin: Any) -> None:
    """Also the one that is being answered while others wait behind it."""
    begun, gone = asyncio.Event(), asyncio.Event()

    async def endless(request: Request) -> Empty:
        begun.set()
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()
        return Empty(204)

    route = Route(
        path="/api/endless",
        endpoint=endless,
        methods=("GET",),
        access=Public("test"),
        summary="Endless",
    )
    async with serve(make_plugin("endless", routes=[route])) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(NEXT.replace(b"next", b"endless") + NEXT)
        await begun.wait()
        writer.close()
        await gone.wait()


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java on this machine")
async def test_java_client(server: Server) -> None:
    """Java's own client offers HTTP/2 in clear text with every first request."""
    process = await asyncio.create_subprocess_exec(
        "java", str(JAVA), server.url, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    lines = output.decode().splitlines()
    assert lines == [
        'POST 200 {"method":"POST","payload":{"a":1}}',
        'streamed POST 200 {"method":"POST","payload":{"a":1}}',
        'expecting POST 200 {"method":"POST","payload":{"a":1}}',
        'empty POST 200 {"method":"POST","payload":{}}',
        'GET 200 {"method":"GET","payload":{}}',
        'DELETE 200 {"method":"DELETE","payload":{}}',
        'refused POST 401 {"message":"No auth token"}',
        'unknown POST 404 {"message":"Endpoint not found"}',
        'POST 200 {"method":"POST","payload":{"a":1}}',
    ]


async def test_a_body_that_is_too_large_is_refused_without_being_asked_for(server: Server) -> None:
    head, _ = request("none", "POST", b"")
    head = head.replace(b"Content-Length: 0", b"Expect: 100-continue\r\nContent-Length: 99999999")
    assert [status for status, _ in await talk(server, head)] == [413]
