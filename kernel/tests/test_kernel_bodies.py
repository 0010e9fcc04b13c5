"""Request bodies: JSON and forms, limits, encodings, operators (contract kernel §3)."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx2
import pytest
import pytest_asyncio

from locutory import JSON, OptionalUser, Public, Request, Route, SignedIn
from locutory_httpserver.parsing import MALFORMED
from locutory_testing import Serve, Server, SignIn
from locutory_testing.waiting import until

LIMIT = 3 * 1024 * 1024
SOMEBODY = "Bearer 0123456789abcdef01234567"
AS_JSON = {"content-type": "application/json"}
AS_FORM = {"content-type": "application/x-www-form-urlencoded"}

# One server for all tests of this file that take the fixture `server`.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(serve_module: Serve, make_plugin: Any) -> AsyncIterator[Server]:
    async def echo(request: Request) -> JSON:
        return JSON({"payload": request.payload})

    async def count(request: Request) -> JSON:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return JSON({"size": size, "payload": request.payload})

    routes = [
        Route(
            path="/api/echo",
            endpoint=echo,
            methods=("POST", "GET"),
            access=Public("test"),
            summary="Echo",
        ),
        Route(
            path="/api/own",
            endpoint=echo,
            methods=("POST",),
            access=SignedIn(),
            summary="Echo to somebody",
        ),
        Route(
            path="/api/shown",
            endpoint=echo,
            methods=("POST",),
            access=OptionalUser("test"),
            summary="Echo to anybody",
        ),
        Route(
            path="/api/raw",
            endpoint=count,
            methods=("POST",),
            access=Public("test"),
            summary="Count",
            raw_body=True,
        ),
    ]
    async with serve_module(make_plugin("echo", routes=routes), SignIn()) as started:
        yield started


async def post(server: Server, body: Any, path: str = "/api/echo", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await server.client.post(path, content=body, headers={**AS_JSON, **sent})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b"[1, 2]", [1, 2]),
        (b' {"a": null} ', {"a": None}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "ü緑"}'.encode(), {"a": "ü緑"}),
        (b'{"a": 18446744073709551616}', {"a": 1.8446744073709552e19}),
    ],
)
async def test_json(server: Server, body: bytes, expected: Any) -> None:
    answer = await post(server, body)
    assert answer.status_code == 200
    assert answer.json() == {"payload": expected}


@pytest.mark.parametrize(
    "body",
    [b"{bad", b" ", b"\n", b"null", b"3", b'"text"', b"true", b"[" * 5000, b'{"a":"\xff"}', b"{}x"],
)
async def test_malformed_json_is_400_without_cors(server: Server, body: bytes) -> None:
    answer = await post(server, body)
    assert answer.status_code == 400
    assert answer.json() == MALFORMED
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-8", 'APPLICATION/JSON;charset="UTF8"', "application/json;x=y"],
)
async def test_parameters_of_the_type_are_allowed(server: Server, kind: str) -> None:
    assert (await post(server, b'{"a":1}', content_type=kind)).json() == {"payload": {"a": 1}}


@pytest.mark.parametrize(
    "kind", ["application/ld+json", "text/plain", "multipart/form-data; boundary=x", "nonsense", ""]
)
async def test_other_types_are_no_body(server: Server, kind: str) -> None:
    assert (await post(server, b'{"a":1}', content_type=kind)).json() == {"payload": {}}


async def test_charsets(server: Server) -> None:
    text = '{"a": "ü"}'
    for codec in ("utf-16", "utf-16le", "utf-32be"):
        kind = f"application/json; charset={codec}"
        answer = await post(server, text.encode(codec), content_type=kind)
        assert answer.json() == {"payload": {"a": "ü"}}
    answer = await post(server, b"{}", content_type="application/json; charset=latin1")
    assert answer.status_code == 415
    assert answer.json() == {"message": 'unsupported charset "LATIN1"'}
    assert "access-control-allow-origin" not in answer.headers
    wrong = await post(server, b"{}x", content_type="application/json; charset=utf-16")
    assert wrong.status_code == 400
    kind = "application/x-www-form-urlencoded; charset=iso-8859-1"
    assert (await post(server, b"a=\xfc", content_type=kind)).json() == {"payload": {"a": "ü"}}


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "raw": raw_deflate,
}


@pytest.mark.parametrize("name", ENCODINGS)
async def test_compressed_bodies(server: Server, name: str) -> None:
    pack = ENCODINGS[name]
    encoding = "deflate" if name == "raw" else name
    answer = await post(server, pack(b'{"a": 1}'), content_encoding=encoding)
    assert answer.json() == {"payload": {"a": 1}}
    cut = await post(server, pack(b'{"a": [1, 2, 3]}')[:-3], content_encoding=encoding)
    assert cut.status_code == 400
    rubbish = await post(server, b"\x00rubbish", content_encoding=encoding)
    assert rubbish.status_code == 400
    bomb = await post(server, pack(b"[" + b" " * 40_000_000), content_encoding=encoding)
    assert bomb.status_code == 413


async def test_unknown_encodings_are_415(server: Server) -> None:
    assert (await post(server, b"{}", content_encoding="zstd")).status_code == 415
    assert (await post(server, b"{}", content_encoding="identity")).status_code == 200
    assert (await post(server, b"", content_encoding="gzip")).json() == {"payload": {}}


async def test_too_large_is_413_and_the_client_can_read_it(server: Server) -> None:
    fits = b'{"a":"' + b"x" * (LIMIT - 8) + b'"}'
    assert len(fits) == LIMIT
    assert (await post(server, fits, "/api/own", authorization=SOMEBODY)).status_code == 200

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1_000_000

    for body in (fits + b" ", b" " * 6_000_000, chunks()):
        answer = await post(server, body, "/api/own", authorization=SOMEBODY)
        assert answer.status_code == 413
        assert answer.json() == {"message": "request entity too large"}
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["connection"] == "close"


async def test_an_endless_body_is_cut_off(server: Server) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1_000_000
            yield b" " * 1_000_000

    # The answer may be lost: the connection is closed while the client is still sending.
    with suppress(httpx2.TransportError):
        assert (await post(server, endless())).status_code == 413
    assert sent < 100_000_000


async def test_a_body_that_does_not_arrive_is_408(serve: Serve, raw_http: Any) -> None:
    head = b"GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    async with serve(environment={"HTTP_REQUEST_TIMEOUT_MS": "400"}) as server:
        received = await raw_http(server.url, head + b"content-length: 10\r\n\r\n{")
    assert received.startswith(b"HTTP/1.1 408 ")
    assert received.endswith(b'{"message":"request timeout"}')


async def test_raw_bodies_are_the_endpoints_business(server: Server, raw_http: Any) -> None:
    answer = await server.client.post("/api/raw", content=b"x" * 5_000_000, headers=AS_JSON)
    assert answer.json() == {"size": 5_000_000, "payload": {}}
    # A client that hangs up in the middle is no fault of the plugin.
    head = b"POST /api/raw HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n"
    # The server asks for the body once the endpoint wants it.
    await raw_http(server.url, head + b"expect: 100-continue\r\n\r\n{", b"100 Continue")
    line = 'route="/api/raw",status="499"'
    await until(lambda: line in server.kernel.metrics.text().decode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a[b]=1&a[c][d]=2", {"a": {"b": "1", "c": {"d": "2"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]=1", {"a": ["1"]}),
        ("a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        ("a[99]=x", {"a": {"99": "x"}}),
        ("a=1&a[b]=2", {"a": "1"}),
        ("a%5Bb%5D=%C3%BC+x", {"a": {"b": "ü x"}}),
        ("[a]=1", {"[a]": "1"}),
        ("$where=1&a[$ne]=2&b.c=3&d=4", {"a": {}, "d": "4"}),
        ("&".join(f"k{i}=v" for i in range(1000)), {f"k{i}": "v" for i in range(1000)}),
    ],
)
async def test_forms(server: Server, text: str, expected: Any) -> None:
    answer = await server.client.post("/api/echo", content=text, headers=AS_FORM)
    assert answer.json() == {"payload": expected}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("&".join(["a=1"] * 1001), 413),
        ("a" + "[b]" * 33 + "=1", 400),
        ("a" + "[b]" * 32 + "=1", 200),
        (b"a=\xff\xfe", 400),
    ],
)
async def test_odd_forms(server: Server, text: Any, status: int) -> None:
    answer = await server.client.post("/api/echo", content=text, headers=AS_FORM)
    assert answer.status_code == status


def packed(values: int, value: bytes = b"{}") -> bytes:
    return b'{"a":[' + b",".join([value] * values) + b"]}"


MALFORMED_BODIES = {
    "plain": (b"[" + b" " * 70_000, {}),
    "gzip": (gzip.compress(b"[" + b" " * 70_000), {"content_encoding": "gzip"}),
    "deflate": (zlib.compress(b"[" + b" " * 70_000), {"content_encoding": "deflate"}),
    "br": (brotli.compress(b"[" + b" " * 70_000), {"content_encoding": "br"}),
    "values": (packed(5_001, b"1")[:-1], {}),
    "half": (rb'["\ud83d",' + b"1," * 5_001, {}),
    "utf-32": (
        packed(5_001, b"1")[:-1].decode().encode("utf-32le"),
        {"content_type": "application/json; charset=utf-32le"},
    ),
    "form": (b"a" + b"[]" * 5_001, {"content_type": "application/x-www-form-urlencoded"}),
}


@pytest.mark.parametrize("name", MALFORMED_BODIES)
async def test_what_is_large_is_parsed_after_access(server: Server, name: str) -> None:
    """Each of these bodies would be a 400 if anybody parsed it."""
    body, headers = MALFORMED_BODIES[name]
    answer = await post(server, body, "/api/own", **headers)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "*"
    for path in ("/api/none", "/api/own/none", "/none", "/"):
        assert (await post(server, body, path, **headers)).status_code == 404
        assert (await post(server, b"{bad", path)).status_code == 404
    answer = await post(server, body, "/api/own", authorization=SOMEBODY, **headers)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers
    # Small and simple ones are answered as upstream does: before access.
    assert (await post(server, b"{bad", "/api/own")).status_code == 400
    assert (
        await post(server, gzip.compress(b"{bad"), "/api/own", content_encoding="gzip")
    ).json() == (MALFORMED)


@pytest.mark.parametrize("path", ["/api/echo", "/api/shown"])
async def test_strangers_may_send_less(server: Server, path: str) -> None:
    fits = b'{"a":"' + b"," * 200_000 + b'"}'
    assert (await post(server, fits, path)).json()["payload"] == json.loads(fits)
    many = packed(5_001)
    for body in (b" " * 300_000, many, rb'{"a":"\ud83d","b":' + many + b"}"):
        for pack, encoding in ((bytes, ""), (gzip.compress, "gzip"), (brotli.compress, "br")):
            answer = await post(server, pack(body), path, content_encoding=encoding)
            assert answer.status_code == 413
            assert answer.json() == {"message": "request entity too large"}
    form = AS_FORM["content-type"]
    for body in (b"a" + b"[]" * 6_000 + b"=1", b"a=" + b"%41" * 60_000, b"a" + b"%5B" * 6_000):
        assert (await post(server, body, path, content_type=form)).status_code == 413
    shown = await post(server, many, "/api/shown", authorization=SOMEBODY)
    assert len(shown.json()["payload"]["a"]) == 5_001


async def test_a_body_may_hold_50_000_values(server: Server) -> None:
    async def status(body: bytes) -> int:
        answer = await post(server, body, "/api/own", authorization=SOMEBODY)
        return int(answer.status_code)

    assert await status(packed(49_990, b"1")) == 200
    assert await status(packed(50_001, b"1")) == 413
    assert await status(packed(25_010)) == 413  # an object counts twice
    assert await status(packed(50_001, b'"x"')) == 413
    assert await status(packed(50_001, b'"\\""')) == 413
    assert await status(b"{" + b",".join(b'"k%d":1' % i for i in range(50_001)) + b"}") == 413
    # What stands in a text is no value.
    text = json.dumps({"csv": 'a,"b",{[\\\n' * 150_000}).encode()
    assert await status(text) == 200


async def test_large_bodies_lose_their_operators_too(server: Server) -> None:
    for operator in (
        '"$where":1,',
        '"a.b":1,',
        '"\\u0024ne":1,',
        '"a\\u002eb":1,',
        '"n\\u0000":1,',
    ):
        body = f'{{{operator}"text":"{"x" * 100_000}"}}'.encode()
        answer = await post(server, body, "/api/own", authorization=SOMEBODY)
        assert list(answer.json()["payload"]) == ["text"]
