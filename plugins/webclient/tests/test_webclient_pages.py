"""The client's page and our own (contract kernel §7.2, §7.3)."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from locutory import StartupError
from locutory_testing import Serve, Server
from locutory_webclient.index import base_path

PAGE = """<!doctype html>
<html lang="en-US">
  <head>
    <base href="/" />
    <meta property="og:locale" lang="en-US" />
  </head>
  <body><div id="root"></div></body>
</html>
"""
DEVTOOLS = "x-librechat-enable-query-devtools"


@pytest.fixture
def client(tmp_path: Path) -> Path:
    root = tmp_path / "client-build"
    root.mkdir()
    (root / "index.html").write_text(PAGE)
    (root / "sw.js").write_text("self;")
    return root


@asynccontextmanager
async def serving(serve: Serve, client: Path, **environment: str) -> AsyncIterator[Server]:
    async with serve(
        "webclient", environment={"CLIENT_DIST": str(client), **environment}
    ) as server:
        yield server


async def test_the_page_on_every_path(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        for path in ("/", "/index.html", "/c/new", "/login", "/a.b/c", "/INDEX.html"):
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
                answer = await server.client.request(method, path)
                assert (answer.status_code, answer.text) == (200, PAGE), (method, path)
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
                assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
                assert answer.headers["pragma"] == "no-cache"
                assert answer.headers["expires"] == "0"
                assert DEVTOOLS in answer.headers["vary"]
                assert answer.headers["access-control-allow-origin"] == "*"
                assert answer.headers["x-robots-tag"] == "noindex"


async def test_its_headers_can_be_set(serve: Serve, client: Path) -> None:
    async with serving(
        serve,
        client,
        INDEX_CACHE_CONTROL="private, max-age=1",
        INDEX_PRAGMA="x",
        INDEX_EXPIRES="Thu, 01 Dec 2033 16:00:00 GMT",
    ) as server:
        answer = await server.client.get("/")
        assert answer.headers["cache-control"] == "private, max-age=1"
        assert answer.headers["pragma"] == "x"
        assert answer.headers["expires"] == "Thu, 01 Dec 2033 16:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "lang"),
    [
        ({}, "en-US"),
        ({"accept-language": "en-US,en;q=0.9"}, "en-US"),
        ({"accept-language": "de-DE,de;q=0.9"}, "de-DE"),
        ({"accept-language": "fr;q=0.9, de"}, "fr;q=0.9"),
        ({"accept-language": ","}, "en-US"),
        ({"accept-language": "de", "cookie": "lang=zh-Hans; other=1"}, "zh-Hans"),
        ({"accept-language": "de", "cookie": "lang="}, "de"),
        ({"accept-language": '"><script>alert(1)</script>'}, "&quot;><script>alert(1)</script>"),
        ({"accept-language": "x" * 5000}, "x" * 5000),
    ],
)
async def test_language(serve: Serve, client: Path, headers: dict[str, str], lang: str) -> None:
    async with serving(serve, client) as server:
        for _ in range(2):
            answer = await server.client.get("/", headers=headers)
            assert answer.text == PAGE.replace('lang="en-US"', f'lang="{lang}"')


async def test_many_languages_do_not_fill_the_memory(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        plugin = next(plugin for plugin in server.kernel.plugins if plugin.name == "webclient")
        index = plugin._pages._index  # type: ignore[attr-defined]
        for number in range(500):
            assert f'lang="l{number}"'.encode() in index.render(f"l{number}")
        assert len(index._pages) <= 64


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("http://localhost:3080", "/"),
        ("https://example.com/", "/"),
        ("https://example.com/chat", "/chat/"),
        ("https://example.com/a/b/?x=1#y", "/a/b/"),
        ('https://example.com/"x', "/&quot;x/"),
        ("http://[broken", "/"),
    ],
)
async def test_sub_directory(serve: Serve, client: Path, address: str, base: str) -> None:
    async with serving(serve, client, DOMAIN_CLIENT=address) as server:
        answer = await server.client.get("/c/new")
        assert f'<base href="{base}" />' in answer.text
        assert answer.text == PAGE.replace('base href="/"', f'base href="{base}"')


def test_base_paths() -> None:
    assert base_path("https://example.com//chat//") == "/chat/"


async def test_query_devtools(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        plain = await server.client.get("/", headers={DEVTOOLS: "true"})
        assert "data-librechat-query-devtools" not in plain.text
        answer = await server.client.get("/c/x", headers={DEVTOOLS: "1"})
        assert answer.text.count('<script data-librechat-query-devtools="true">') == 1
        assert '"enableQueryDevtools":true' in answer.text
        assert answer.text.index("data-librechat-query-devtools") < answer.text.index("</head>")


async def test_the_page_is_compressed_and_conditional(serve: Serve, client: Path) -> None:
    (client / "index.html").write_text(PAGE + "<!-- -->" * 500)
    async with serving(serve, client) as server:
        answer = await server.client.get("/")
        assert answer.headers["content-encoding"] in ("gzip", "br")
        assert "Accept-Encoding" in answer.headers["vary"]
        again = await server.client.get("/", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("exists", [True, False])
async def test_a_wrong_client_dist_does_not_start(
    serve: Serve, tmp_path: Path, exists: bool
) -> None:
    folder = tmp_path / "empty"
    if exists:
        folder.mkdir()
    with pytest.raises(StartupError) as caught:
        async with serving(serve, folder):
            pass
    assert "CLIENT_DIST [webclient]" in str(caught.value)
    assert "has no index.html" in str(caught.value)
    assert "unset CLIENT_DIST" in str(caught.value)


async def test_the_client_in_the_data_folder(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    async with serve("webclient") as server:
        assert (await server.client.get("/c/new")).text == PAGE


async def test_a_page_of_our_own_without_a_client(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "client").mkdir()
    async with serve(
        "webclient", environment={"DOMAIN_CLIENT": "https://example.com/chat"}
    ) as server:
        answer = await server.client.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        text = answer.text
        assert "version 0.1.0" in text
        assert "<li>webclient</li>" in text
        assert "CLIENT_DIST" in text
        assert "/api/docs" not in text, "no plugin describes the API"
        assert str(tmp_path) not in text, "strangers learn no path"
        style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
        assert style is not None
        digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
        policy = answer.headers["content-security-policy"]
        assert f"style-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "<script" not in text
        assert " style=" not in text
        assert not re.search(r'(?:src|href)="https?:', text)


async def test_other_paths_without_a_client(serve: Serve) -> None:
    async with serve("webclient") as server:
        answer = await server.client.get("/c/%3Cscript%3Ealert(1)%3C/script%3E?x=<b>")
        assert answer.status_code == 404
        assert "<script" not in answer.text
        assert "/c/&lt;script&gt;" in answer.text
        assert "content-security-policy" in answer.headers
        assert len((await server.client.get("/" + "x" * 5000)).text) < 6000
        asset = await server.client.get("/assets/app.js")
        assert (asset.status_code, asset.content) == (404, b"")


async def test_reloading_finds_a_new_build(serve: Serve, client: Path) -> None:
    async with serving(serve, client) as server:
        assert (await server.client.get("/new.js")).status_code == 404
        (client / "new.js").write_text("new")
        (client / "index.html").write_text(PAGE.replace("root", "fresh"))
        plugin = next(plugin for plugin in server.kernel.plugins if plugin.name == "webclient")
        context = server.kernel.contexts["webclient"]
        server.kernel.hooks.call("reload", plugin, context)
        assert (await server.client.get("/new.js")).text == "new"
        assert "fresh" in (await server.client.get("/")).text
        (client / "index.html").unlink()
        server.kernel.hooks.call("reload", plugin, context)
        assert "fresh" in (await server.client.get("/")).text, "a broken build changes nothing"
