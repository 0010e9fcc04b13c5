"""The order of layers and what each does to a response (contract kernel §1.3, §3, §10)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog
from beanie import Document
from bson import ObjectId
from pydantic import BaseModel
from pymongo import ASCENDING, IndexModel, InsertOne
from pymongo.errors import ServerSelectionTimeoutError
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response, StreamingResponse

from locutory import JSON, Empty, HTTPError, Provide, Public, Request, Route, Text
from locutory.http.fallback import PAGES
from locutory_testing import Serve, Server
from locutory_testing.waiting import until

MESSAGE = {"message": "Endpoint not found"}

# One server for all tests of this file that take the fixture `server`.
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Thing(Document):
    name: str

    class Settings:
        name = "test_things"
        indexes = [IndexModel([("name", ASCENDING)], unique=True)]  # noqa: RUF012


class Shape(BaseModel):
    sides: int
    name: str


def public(path: str, endpoint: Any, *methods: str, **extra: Any) -> Route:
    return Route(
        path=path,
        endpoint=endpoint,
        methods=methods or ("GET",),
        access=Public("test"),
        summary="test",
        **extra,
    )


async def small(_request: Request) -> JSON:
    return JSON({"a": 1})


async def large(_request: Request) -> JSON:
    return JSON({"text": "word " * 1000})


async def fail(_request: Request) -> JSON:
    raise ValueError("secret detail")


def routes(ctx: Any) -> list[Route]:
    async def echo(request: Request) -> JSON:
        return JSON(
            {"query": request.query, "cookies": request.cookies, "id": request.id, "ip": request.ip}
        )

    async def event_stream(_request: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n" * 300

        headers = {"cache-control": "no-cache, no-transform"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    async def buffered_stream(_request: Request) -> Response:
        headers = {"cache-control": "no-cache, no-transform"}
        return Response(b"data: 1\n\n" * 300, media_type="text/event-stream", headers=headers)

    async def breaks_off(_request: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("in the middle")

        return StreamingResponse(events())

    async def never_begins(_request: Request) -> Response:
        return FileResponse("/nonexistent/file")

    async def endless(_request: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.01)

        return StreamingResponse(events())

    async def forgets(_request: Request) -> Any:
        return None

    async def twice(_request: Request) -> JSON:
        things = ctx.database[Thing]
        await things.insert_one({"name": "x"})
        await things.insert_one({"name": "x"})
        return JSON({})

    async def many(_request: Request) -> JSON:
        await ctx.database[Thing].bulk_write([InsertOne({"name": "y"}), InsertOne({"name": "y"})])
        return JSON({})

    async def shape(_request: Request) -> JSON:
        return JSON(Shape.model_validate({"sides": "many"}).model_dump())

    async def one_field(_request: Request) -> JSON:
        return JSON(Shape.model_validate({"sides": 3}).model_dump())

    async def big_number(_request: Request) -> JSON:
        await ctx.database[Thing].insert_one({"name": 2**64})
        return JSON({})

    async def bad_id(_request: Request) -> JSON:
        return JSON({"id": ObjectId("nonsense")})

    async def database_down(_request: Request) -> JSON:
        raise ServerSelectionTimeoutError("mongodb.internal:27017 refused")

    async def teapot(_request: Request) -> JSON:
        raise HTTPError(418, {"message": "short and stout"}, headers={"x-tea": "yes"})

    async def afterwards(_request: Request) -> Response:
        async def work() -> None:
            raise ValueError("afterwards")

        return JSON({"a": 1}, background=BackgroundTask(work))

    async def unserializable(_request: Request) -> JSON:
        return JSON({"a": object()})

    return [
        public("/api/small", small, "GET", "POST"),
        public("/api/large", large, "GET", "POST"),
        public("/api/echo", echo),
        public("/api/fail", fail),
        public("/api/fail-json", fail, failure={"error": "Internal"}),
        public("/api/fail-text", fail, failure="broken"),
        public("/api/events", event_stream),
        public("/api/buffered", buffered_stream),
        public("/api/breaks-off", breaks_off),
        public("/api/never-begins", never_begins),
        public("/api/endless", endless),
        public("/api/forgets", forgets),
        public("/api/twice", twice),
        public("/api/many", many),
        public("/api/shape", shape),
        public("/api/one-field", one_field),
        public("/api/big-number", big_number),
        public("/api/bad-id", bad_id),
        public("/api/down", database_down),
        public("/api/teapot", teapot),
        public("/api/afterwards", afterwards),
        public("/api/unserializable", unserializable),
        public("/api/{name}", small, "PUT"),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(serve_module: Serve, make_plugin: Any) -> AsyncIterator[Server]:
    async with serve_module(make_plugin("shop", routes=routes, documents=[Thing])) as started:
        yield started


async def test_what_every_response_carries(server: Server) -> None:
    for path in ("/api/small", "/api/fail", "/api/none", "/none", "/api/teapot", "/metrics"):
        answer = await server.client.get(path)
        assert answer.headers["access-control-allow-origin"] == "*", path
        assert answer.headers["x-robots-tag"] == "noindex", path
        assert "access-control-allow-credentials" not in answer.headers
        assert "x-powered-by" not in answer.headers
        assert "server" not in answer.headers
        assert "x-request-id" not in answer.headers


@pytest.mark.parametrize(
    ("value", "present"), [("true", True), ("", True), ("TRUE", False), ("false", False)]
)
async def test_no_index(serve: Serve, value: str, present: bool) -> None:
    async with serve(environment={"NO_INDEX": value}) as server:
        answer = await server.client.get("/api/none")
        assert ("x-robots-tag" in answer.headers) is present


async def test_preflight_on_any_path(server: Server) -> None:
    for path in ("/api/small", "/api/none", "/", "/metrics", "/health"):
        headers = {"access-control-request-headers": "authorization, x-odd"}
        answer = await server.client.options(path, headers=headers)
        assert answer.status_code == 204
        assert answer.content == b""
        assert dict(answer.headers) | {"date": ""} == {
            "date": "",
            "access-control-allow-origin": "*",
            "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
            "access-control-allow-headers": "authorization, x-odd",
            "vary": "Access-Control-Request-Headers",
            "content-length": "0",
            "x-robots-tag": "noindex",
        }
    plain = await server.client.options("/api/small")
    assert "access-control-allow-headers" not in plain.headers


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize("path", ["/api", "/api/", "/API", "/api/none", "/Api/none/x"])
async def test_unknown_api_paths_are_404(server: Server, method: str, path: str) -> None:
    if (method, path) == ("PUT", "/api/none"):
        return  # a route of the fixture
    answer = await server.client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, MESSAGE)


async def test_a_wrong_method_is_404_not_405(server: Server) -> None:
    answer = await server.client.delete("/api/small")
    assert (answer.status_code, answer.json()) == (404, MESSAGE)
    assert "allow" not in answer.headers


async def test_other_paths_belong_to_the_pages(serve: Serve, make_plugin: Any) -> None:
    class Site:
        async def serve(self, request: Request) -> Response:
            if request.url.path == "/broken":
                raise ValueError
            if request.url.path == "/gone":
                raise HTTPError(410, {"message": "gone"})
            return Text(f"{request.method} {request.scope['path']} {request.payload}")

    plugin = make_plugin("site", provides=(PAGES,), services=[Provide(PAGES, Site())])
    async with serve(plugin) as server:
        answer = await server.client.post("/c/new", json={"a": {"$b": 1}})
        assert answer.text == "POST /c/new {}"  # nobody asks for its body
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await server.client.get("/apis")).text == "GET /apis {}"
        assert (await server.client.post("/health")).text == "POST /health {}"
        assert (await server.client.get("/broken")).status_code == 500
        assert (await server.client.get("/gone")).json() == {"message": "gone"}
        assert (await server.client.get("/api")).json() == MESSAGE


async def test_without_pages_there_is_a_plain_404(server: Server) -> None:
    answer = await server.client.get("/")
    assert answer.status_code == 404
    assert "No web client is installed" in answer.text


async def test_etag_and_304(server: Server) -> None:
    first = await server.client.get("/api/large")
    tag = first.headers["etag"]
    assert re.fullmatch(r'W/"[0-9a-f]+-[A-Za-z0-9+/]{27}"', tag)
    for known in (tag, tag[2:], f'"x", {tag}', "*"):
        again = await server.client.get("/api/large", headers={"if-none-match": known})
        assert again.status_code == 304, known
        assert again.content == b""
        assert again.headers["etag"] == tag
        assert "content-type" not in again.headers
        assert again.headers["access-control-allow-origin"] == "*"
    for headers in (
        {"if-none-match": '"other"'},
        {"if-none-match": tag, "cache-control": "no-cache"},
    ):
        assert (await server.client.get("/api/large", headers=headers)).status_code == 200
    posted = await server.client.post("/api/large", headers={"if-none-match": tag})
    assert posted.status_code == 200
    head = await server.client.head("/api/large")
    assert (head.status_code, head.headers["etag"], head.content) == (200, tag, b"")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
        ("zstd", None),
    ],
)
async def test_compression(server: Server, accepted: str, encoding: str | None) -> None:
    answer = await server.client.get("/api/large", headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.json() == {"text": "word " * 1000}
    little = await server.client.get("/api/small", headers={"accept-encoding": accepted})
    assert "content-encoding" not in little.headers


async def test_a_very_large_body_is_compressed_aside(serve: Serve, make_plugin: Any) -> None:
    text = "0123456789" * 50_000

    async def huge(_request: Request) -> JSON:
        return JSON({"text": text})

    async with serve(make_plugin("huge", routes=[public("/api/huge", huge)])) as server:
        answer = await server.client.get("/api/huge", headers={"accept-encoding": "br"})
        assert answer.headers["content-encoding"] == "br"
        assert answer.json() == {"text": text}


async def test_event_streams_are_not_compressed(server: Server) -> None:
    for path in ("/api/events", "/api/buffered"):
        answer = await server.client.get(path)
        assert "content-encoding" not in answer.headers
        assert "vary" not in answer.headers
        assert answer.content == b"data: 1\n\n" * 300


async def test_compression_can_be_off(serve: Serve, make_plugin: Any) -> None:
    plugin = make_plugin("shop", routes=[public("/api/large", large)])
    async with serve(plugin, environment={"DISABLE_COMPRESSION": "True"}) as server:
        assert "content-encoding" not in (await server.client.get("/api/large")).headers


async def test_the_simple_query(server: Server) -> None:
    path = "/api/echo?a[$gt]=1&b=1&b=2&b=3&c&d=%C3%BC+x&$where=1&e.f=1&t[]=1&n=%ff"
    assert (await server.client.get(path)).json()["query"] == {
        "a[$gt]": "1",
        "b": ["1", "2", "3"],
        "c": "",
        "d": "ü x",
        "t[]": "1",
        "n": "\ufffd",
    }


async def test_cookies_are_decoded_but_stay_text(server: Server) -> None:
    headers = {"cookie": 'a=b%20c; j=j:{"$gt":""}; s=s%3Ax.y; bad=%zz; q="v"'}
    assert (await server.client.get("/api/echo", headers=headers)).json()["cookies"] == {
        "a": "b c",
        "j": 'j:{"$gt":""}',
        "s": "s:x.y",
        "bad": "%zz",
        "q": "v",
    }


async def test_of_several_cookies_the_first_counts(server: Server, raw_http: Any) -> None:
    """Also of several lines; what is quoted stays as it is between its quotes."""
    lines = rb'cookie: a=1; a=2; b="x\"y\\"; lone; =none; c=' + b"\r\ncookie: a=3;d=4"
    received = await raw_http(
        server.url, b"GET /api/echo HTTP/1.1\r\nconnection: close\r\n" + lines + b"\r\n\r\n"
    )
    cookies = json.loads(received.partition(b"\r\n\r\n")[2])["cookies"]
    assert cookies == {"a": "1", "b": r"x\"y\\", "": "none", "c": "", "d": "4"}


async def test_what_a_head_may_hold(server: Server, raw_http: Any) -> None:
    """Pairs of a query after the thousandth are gone, as upstream; heads end at 64 KB, whether
    they come in one piece or not, and at 500 lines."""
    answer = await server.client.get("/api/echo?" + "&".join(f"k{n}=v" for n in range(1200)))
    assert list(answer.json()["query"]) == [f"k{n}" for n in range(1000)]
    start = b"GET /api/echo HTTP/1.1\r\nconnection: close\r\n"
    for lines, status in (
        (b"x: " + b"y" * 60_000 + b"\r\n", b"200"),
        (b"x: " + b"y" * 66_000 + b"\r\n", b"431"),
        (b"x: y\r\n" * 498, b"200"),
        (b"x: y\r\n" * 500, b"431"),
    ):
        assert (await raw_http(server.url, start + lines + b"\r\n")).startswith(
            b"HTTP/1.1 " + status
        )
    path = b"GET /api/echo?" + b"x" * 66_000 + b" HTTP/1.1\r\nconnection: close\r\n\r\n"
    assert (await raw_http(server.url, path)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"x-request-id": "abc-1.2:3_4"}, "abc-1.2:3_4"),
        ({"x-correlation-id": "corr"}, "corr"),
        ({"x-request-id": "first", "x-correlation-id": "second"}, "first"),
        ({"x-request-id": "x" * 128}, "x" * 128),
        ({"x-request-id": "x" * 129}, None),
        ({"x-request-id": "with space"}, None),
        ({"x-request-id": "eyJh.eyJz.c2ln"}, None),
        ({"x-request-id": "a\u00e9".encode("latin-1")}, None),
        ({}, None),
    ],
)
async def test_request_ids(server: Server, headers: Any, taken: str | None) -> None:
    got = (await server.client.get("/api/echo", headers=headers)).json()["id"]
    if taken is None:
        assert re.fullmatch(r"[0-9a-f-]{36}", got)
    else:
        assert got == taken


async def test_log_lines_carry_request_and_plugin(server: Server) -> None:
    structlog.contextvars.clear_contextvars()
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        await server.client.get("/api/fail", headers={"x-request-id": "mine"})
    (line,) = [line for line in lines if line["event"] == "http.failed"]
    assert (line["plugin"], line["path"], line["request_id"]) == ("shop", "/api/fail", "mine")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/fail", 500, "An unknown error occurred."),
        ("/api/fail-json", 500, {"error": "Internal"}),
        ("/api/fail-text", 500, "broken"),
        ("/api/forgets", 500, "An unknown error occurred."),
        ("/api/never-begins", 500, "An unknown error occurred."),
        ("/api/unserializable", 500, "An unknown error occurred."),
        ("/api/teapot", 418, {"message": "short and stout"}),
        (
            "/api/one-field",
            400,
            {"messages": '["Field required"]', "fields": '["name"]'},
        ),
        (
            "/api/shape",
            400,
            {
                "messages": '"Input should be a valid integer, unable to parse string as an '
                'integer Field required"',
                "fields": '["sides","name"]',
            },
        ),
        (
            "/api/big-number",
            400,
            {
                "message": "The request holds an id or a number that cannot be stored",
                "code": "INVALID_BODY",
                "status": 400,
            },
        ),
        (
            "/api/bad-id",
            400,
            {
                "message": "The request holds an id or a number that cannot be stored",
                "code": "INVALID_BODY",
                "status": 400,
            },
        ),
        (
            "/api/down",
            503,
            {
                "message": "The database is not reachable. Please retry shortly.",
                "code": "DATABASE_UNAVAILABLE",
                "status": 503,
            },
        ),
    ],
)
async def test_the_error_controller(server: Server, path: str, status: int, body: Any) -> None:
    answer = await server.client.get(path)
    assert answer.status_code == status
    if isinstance(body, str):
        assert answer.text == body
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    else:
        assert answer.json() == body
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/api/twice", "/api/many"])
async def test_duplicate_keys_are_409(server: Server, path: str) -> None:
    answer = await server.client.get(path)
    assert answer.status_code == 409
    assert answer.json()["messages"] in (
        'An document with that ["name"] already exists.',
        "An document with that unknown already exists.",
    )
    assert answer.json()["fields"] in ('["name"]', "unknown")


async def test_a_stream_that_breaks_off_ends_the_connection(server: Server) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(Exception, match="incomplete"):
        await server.client.get("/api/breaks-off")
    (line,) = [line for line in lines if line["event"] == "http.broken_off"]
    assert line["plugin"] == "shop"
    assert (await server.client.get("/api/small")).status_code == 200


async def test_work_after_the_answer_may_fail(server: Server) -> None:
    assert (await server.client.get("/api/afterwards")).json() == {"a": 1}
    assert (await server.client.get("/api/small")).json() == {"a": 1}


async def test_a_client_that_hangs_up_counts_as_499(server: Server, raw_http: Any) -> None:
    await raw_http(server.url, b"GET /api/endless HTTP/1.1\r\nhost: x\r\n\r\n", b"xxx")
    line = 'route="/api/endless",status="499"'
    await until(lambda: line in server.kernel.metrics.text().decode())


async def test_head_sends_no_body(server: Server, raw_http: Any) -> None:
    request = b"HEAD /api/small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    head, _, body = (await raw_http(server.url, request)).partition(b"\r\n\r\n")
    assert b"content-length: 7\r\n" in head
    assert body == b""


async def test_hostile_request_lines(server: Server, raw_http: Any) -> None:
    end = b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    body = b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    for line, status in (
        (b"GET /api/\xff" + end + b"\r\n", b"400"),
        (b"POST /api/small" + end + body, b"400"),
        (b"GET /api/small" + end + b"x y: 1\r\n\r\n", b"400"),
        (b"GET http://evil/api/none" + end + b"\r\n", b"404"),
        (b"OPTIONS *" + end + b"\r\n", b"204"),
        (b"PUT /api/%ff" + end + b"\r\n", b"400"),
        (b"GET /api/%00/../small" + end + b"\r\n", b"404"),
    ):
        received = await raw_http(server.url, line)
        assert received.startswith(b"HTTP/1.1 " + status), line
    assert (await server.client.get("/api/small")).status_code == 200


async def test_a_head_without_end_is_refused(server: Server, raw_http: Any) -> None:
    many = b"GET / HTTP/1.1\r\n" + b"x-a: %s\r\n" % (b"y" * 8000) * 100
    assert (await raw_http(server.url, many)).startswith(b"HTTP/1.1 431 ")
    one = b"GET / HTTP/1.1\r\nx-a: " + b"y" * 800_000
    assert (await raw_http(server.url, one)).startswith(b"HTTP/1.1 431 ")
    fine = b"GET /api/small HTTP/1.1\r\nconnection: close\r\nx-a: " + b"y" * 30_000 + b"\r\n\r\n"
    assert (await raw_http(server.url, fine)).startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_does_not_arrive_is_refused(serve: Serve, raw_http: Any) -> None:
    async with serve(environment={"HTTP_HEADERS_TIMEOUT_MS": "1000"}) as server:
        received = await raw_http(server.url, b"GET / HTTP/1.1\r\nhost: ")
        assert received.startswith(b"HTTP/1.1 408 ")
        assert await raw_http(server.url, b"") == b""
        # A connection that is kept between two requests may rest longer.
        async with server.connect() as client:
            assert (await client.get("/livez")).status_code == 200
            await asyncio.sleep(1.2)
            assert (await client.get("/livez")).status_code == 200


async def test_pipelined_requests_are_answered_in_order(server: Server, raw_http: Any) -> None:
    one = b"GET /api/small HTTP/1.1\r\nhost: x\r\n\r\n"
    two = b"GET /api/none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    received = await raw_http(server.url, one + two)
    assert [hit[1] for hit in re.finditer(rb"HTTP/1\.1 (\d+) ", received)] == [b"200", b"404"]


async def test_websockets_are_refused_politely(server: Server, raw_http: Any) -> None:
    request = (
        b"GET /api/small HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    received = await raw_http(server.url, request, b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 ")


async def test_empty_answers_have_no_type(serve: Serve, make_plugin: Any) -> None:
    async def nothing(_request: Request) -> Empty:
        return Empty(200)

    async with serve(make_plugin("shop", routes=[public("/api/empty", nothing)])) as server:
        answer = await server.client.get("/api/empty")
        assert (answer.status_code, answer.content) == (200, b"")
        assert "content-type" not in answer.headers
        assert "etag" not in answer.headers
