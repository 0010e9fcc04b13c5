"""Static files (contract kernel §7.1, §7.2)."""

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from locutory_testing import Serve, Server
from locutory_webclient.files import accepts, is_range
from locutory_webclient.service import is_asset

INDEX = '<!doctype html>\n<html lang="en-US"><head><base href="/" /></head><body>app</body></html>'
SCRIPT = "console.log('a chunk of the client');\n" * 100
LONG = "public, max-age=172800, s-maxage=86400"
NEVER = "no-store, no-cache, must-revalidate"


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """A built client, with things around it that must not be served."""
    root = tmp_path / "site" / "dist"
    (root / "assets" / "fonts").mkdir(parents=True)
    (root / "images").mkdir()
    (root / ".well-known").mkdir()
    (root / "index.html").write_text(INDEX)
    (root / "sw.js").write_text("self;")
    (root / "sw-heal.js").write_text("self;")
    (root / "manifest.json").write_text("{}")
    (root / "manifest.webmanifest").write_text('{"name": "x"}')
    (root / "robots.txt").write_text("User-agent: *\n")
    (root / "assets" / "app.js").write_text(SCRIPT)
    (root / "assets" / "app.js.gz").write_bytes(gzip.compress(SCRIPT.encode(), mtime=0))
    (root / "assets" / "app.js.br").write_bytes(b"brotli bytes")
    (root / "assets" / "style.css").write_text("a { color: red }\n" * 200)
    (root / "assets" / "logo.png").write_bytes(bytes(range(256)) * 8)
    (root / "assets" / "a b+ü.svg").write_text("<svg/>")
    (root / "assets" / "fonts" / "Inter.woff2").write_bytes(b"w" * 2000)
    (root / "images" / "photo.webp").write_bytes(b"p")
    (root / "page.xyz").write_bytes(b"?")
    (root / ".env").write_text("SECRET=1")
    (root / ".well-known" / "secret.txt").write_text("hidden")
    (tmp_path / "secret.txt").write_text("outside")
    (tmp_path / "site" / "secret.js").write_text("outside")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outdir").symlink_to(tmp_path)
    (root / "inside.txt").symlink_to(root / "robots.txt")
    return root


@asynccontextmanager
async def serving(serve: Serve, client: Path, **environment: str) -> AsyncIterator[Server]:
    given = {"CLIENT_DIST": str(client), "NODE_ENV": "production", **environment}
    async with serve("webclient", environment=given) as server:
        yield server


async def raw(server: Server, target: str, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of a request line sent exactly as it is."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    writer.write(request.encode("latin-1"))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("/sw.js", "application/javascript; charset=UTF-8", NEVER),
        ("/sw-heal.js", "application/javascript; charset=UTF-8", NEVER),
        ("/manifest.json", "application/json; charset=UTF-8", NEVER),
        ("/manifest.webmanifest", "application/manifest+json", NEVER),
        ("/robots.txt", "text/plain; charset=UTF-8", LONG),
        ("/inside.txt", "text/plain; charset=UTF-8", LONG),
        ("/assets/app.js", "application/javascript; charset=UTF-8", LONG),
        ("/assets/style.css", "text/css; charset=UTF-8", LONG),
        ("/assets/logo.png", "image/png", LONG),
        ("/assets/a%20b+%C3%BC.svg", "image/svg+xml", LONG),
        ("/assets/fonts/Inter.woff2", "font/woff2", LONG),
        ("/images/photo.webp", "image/webp", "public, max-age=0"),
    ],
)
async def test_types_and_caching(
    serve: Serve, client: Path, path: str, kind: str, cache: str
) -> None:
    async with serving(serve, client) as server:
        answer = await server.client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == cache
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert "etag" in answer.headers
        assert "last-modified" in answer.headers
        head = await server.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == kind


async def test_cache_seconds_and_development(serve: Serve, client: Path) -> None:
    seconds = {"STATIC_CACHE_MAX_AGE": "60 * 60", "STATIC_CACHE_S_MAX_AGE": "7"}
    async with serving(serve, client, **seconds) as server:
        answer = await server.client.get("/robots.txt")
        assert answer.headers["cache-control"] == "public, max-age=3600, s-maxage=7"
    async with serving(serve, client, NODE_ENV="development") as server:
        for path in ("/robots.txt", "/sw.js"):
            answer = await server.client.get(path)
            assert answer.headers["cache-control"] == "public, max-age=0"


@pytest.mark.parametrize(
    ("accept", "brotli", "coding"),
    [
        ("gzip, deflate, br", "", "gzip"),
        ("gzip, deflate, br", "true", "br"),
        ("br", "", None),
        ("gzip;q=0, br;q=0", "true", None),
        ("gzip;q=0.5", "true", "gzip"),
        ("*", "", "gzip"),
        ("identity", "true", None),
        ("", "true", None),
    ],
)
async def test_compressed_siblings(
    serve: Serve, client: Path, accept: str, brotli: str, coding: str | None
) -> None:
    async with (
        serving(serve, client, ENABLE_STATIC_ASSET_BROTLI=brotli) as server,
        server.client.stream(
            "GET", "/assets/app.js", headers={"accept-encoding": accept}
        ) as answer,
    ):
        body = b"".join([part async for part in answer.aiter_raw()])
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"] == "application/javascript; charset=UTF-8"
        if coding == "gzip":
            assert gzip.decompress(body).decode() == SCRIPT
        elif coding == "br":
            assert body == b"brotli bytes"
        else:
            assert body.decode() == SCRIPT
        assert int(answer.headers["content-length"]) == len(body)


async def test_files_without_a_sibling_are_compressed_here(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        plain = await server.client.get("/assets/style.css", headers={"accept-encoding": ""})
        assert "content-encoding" not in plain.headers
        for _ in range(2):
            small = await server.client.get("/assets/style.css")
            assert small.headers["content-encoding"] == "gzip"
            assert int(small.headers["content-length"]) < len(plain.content)
            assert small.content == plain.content
        known = {"if-none-match": small.headers["etag"]}
        assert (await server.client.get("/assets/style.css", headers=known)).status_code == 304
        assert "content-encoding" not in (await server.client.get("/assets/logo.png")).headers
        assert "content-encoding" not in (await server.client.get("/robots.txt")).headers
        (client / "assets" / "style.css").write_text("b { color: blue }\n" * 300)
        changed = await server.client.get("/assets/style.css")
        assert changed.text.startswith("b {"), "a changed file is read again"
    async with serving(serve, client, DISABLE_COMPRESSION="true") as server:
        assert "content-encoding" not in (await server.client.get("/assets/style.css")).headers


async def test_conditional_requests(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        path = "/assets/logo.png"
        first = await server.client.get(path)
        tag, date = first.headers["etag"], first.headers["last-modified"]
        for headers, status in (
            ({"if-none-match": tag}, 304),
            ({"if-none-match": f'"other", W/{tag}'}, 304),
            ({"if-none-match": "*"}, 304),
            ({"if-none-match": '"other"'}, 200),
            ({"if-none-match": '"other"', "if-modified-since": date}, 200),
            ({"if-modified-since": date}, 304),
            ({"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
            ({"if-modified-since": "yesterday"}, 200),
        ):
            answer = await server.client.get(path, headers=headers)
            assert answer.status_code == status, headers
            if status == 304:
                assert answer.content == b""
                assert answer.headers["etag"] == tag
                assert answer.headers["cache-control"] == LONG


@pytest.mark.parametrize(
    ("wanted", "status", "content_range", "length"),
    [
        ("bytes=0-9", 206, "bytes 0-9/2048", 10),
        ("bytes=2040-", 206, "bytes 2040-2047/2048", 8),
        ("bytes=-5", 206, "bytes 2043-2047/2048", 5),
        ("bytes=0-99999", 206, "bytes 0-2047/2048", 2048),
        ("bytes=4000-5000", 416, "bytes */2048", 0),
        ("bytes=9-3", 200, None, 2048),
        ("bytes=a-b", 200, None, 2048),
        ("bytes=", 200, None, 2048),
        ("lines=0-9", 200, None, 2048),
        ("bytes=" + "9" * 5000 + "-", 200, None, 2048),
        ("bytes=0-0" + ",5-5" * 200, 200, None, 2048),
    ],
)
async def test_ranges(
    serve: Serve,
    client: Path,
    wanted: str,
    status: int,
    content_range: str | None,
    length: int,
) -> None:
    async with serving(serve, client) as server:
        answer = await server.client.get("/assets/logo.png", headers={"range": wanted})
        assert answer.status_code == status
        assert answer.headers.get("content-range") == content_range
        assert len(answer.content) == length


async def test_a_range_of_a_compressible_file_is_of_the_file_itself(
    serve: Serve, client: Path
) -> None:
    async with serving(serve, client) as server:
        answer = await server.client.get("/assets/style.css", headers={"range": "bytes=0-3"})
        assert (answer.status_code, answer.content) == (206, b"a { ")
        assert "content-encoding" not in answer.headers


async def test_nothing_outside_the_folder_is_named(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        for target in (
            "/../secret.js",
            "/assets/../../secret.js",
            "/assets/%2e%2e/%2e%2e/secret.js",
            "/..%2fsecret.js",
            "/..%5csecret.js",
            "/%2e%2e%2fsecret.js",
            "/assets/..%2f..%2fsecret.js",
            "//../secret.js",
            "/./sw.js",
            "/assets/./app.js",
            "/assets//app.js",
            "/outdir/site/secret.js",
            "/sw.js%00.js",
            "/%00/sw.js",
            "/%ff.js",
            "/SW.JS",
        ):
            status, body = await raw(server, target)
            assert status in (400, 404), (target, body)
            assert b"outside" not in body, target


async def test_hidden_linked_and_folder_paths_give_the_page(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        for target in (
            "/.env",
            "/.well-known/secret.txt",
            "/out.txt",
            "/outdir/secret.txt",
            "/../secret.txt",
            "/..%2fsecret.txt",
            "/assets",
            "/assets/",
            "/images/",
            "/robots.txt/",
            "//etc/passwd",
            "/etc/passwd",
            "/page",
        ):
            status, body = await raw(server, target)
            assert status == 200, target
            assert body.endswith(b"app</body></html>"), target


async def test_missing_assets(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        for path, asset in (
            ("/a.js", True),
            ("/a.JS", True),
            ("/assets/x.mjs", True),
            ("/x.jpeg", True),
            ("/x.jpg", True),
            ("/x.woff", True),
            ("/x.woff2", True),
            ("/x.webmanifest", True),
            ("/x.eot", True),
            ("/x.jsx", False),
            ("/x.txt", False),
            ("/x.html", False),
            ("/c/new", False),
            ("/a.js/b", False),
            ("/", False),
            ("/x.", False),
        ):
            assert is_asset(path) is asset, path
            for method in ("GET", "POST"):
                answer = await server.client.request(method, path)
                assert answer.status_code == (404 if asset else 200), path
                if asset:
                    assert answer.content == b""
                else:
                    assert answer.text.startswith("<!doctype html>")


async def test_files_answer_get_and_head_only(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        assert (await server.client.post("/sw.js")).status_code == 404
        answer = await server.client.put("/robots.txt")
        assert answer.text.startswith("<!doctype html>")


async def test_api_paths_never_get_the_page(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        for path in ("/api", "/api/", "/api/nope", "/API/nope", "/api/app.js"):
            answer = await server.client.get(path)
            assert answer.status_code == 404
            assert answer.json() == {"message": "Endpoint not found"}


async def test_unknown_types_are_not_guessed(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        answer = await server.client.get("/assets/app.js.br")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_that_went_away(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        os.unlink(client / "assets" / "logo.png")
        assert (await server.client.get("/assets/logo.png")).status_code == 404


async def test_public_folders_beside_a_checkout(serve: Serve, client: Path) -> None:
    fonts = client.parent / "public" / "fonts"
    fonts.mkdir(parents=True)
    (fonts / "Extra.woff2").write_bytes(b"font")
    (fonts / "robots.txt").write_text("second")
    async with serving(serve, client) as server:
        assert (await server.client.get("/Extra.woff2")).content == b"font"
        assert (await server.client.get("/robots.txt")).text.startswith("User-agent")


def test_accept_encoding() -> None:
    assert accepts("br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip")
    assert not accepts("*;q=0", "gzip")
    assert accepts("gzip, *;q=0", "gzip")
    assert not accepts("gzip;q=0.000, *", "gzip")
    assert not accepts("xgzip", "gzip")


def test_meaningful_ranges() -> None:
    assert is_range("bytes=0-1, 5-, -3")
    assert not is_range("bytes=--1")
    assert not is_range("bytes")
    assert not is_range("bytes=1-2-3")
