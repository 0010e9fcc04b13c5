"""The page without a client."""

import base64
import hashlib
import re

import pytest

from locutory_testing import Serve, SignIn


async def test_it_says_how_to_go_on(serve: Serve) -> None:
    async with serve("webclient", SignIn()) as server:
        page = (await server.client.get("/")).text
        for command in (
            "git clone --depth 1 --branch v0.8.8-rc1 \\\n  https://github.com/danny-avila/LibreChat\n"
            "cd LibreChat\nnpm ci\nnpm run frontend",
            "CLIENT_DIST=/path/to/LibreChat/client/dist make run",
            f"curl {server.url}/api/auth/register \\",
        ):
            assert f'<pre tabindex="0"><code>{command}' in page, command
        names = re.findall(r"<li>([^<]+)</li>", page)
        assert names == sorted(names) == ["signin", "webclient"]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("chat.example:8080", "http://chat.example:8080/"),
        ("[::1]:3080", "http://[::1]:3080/"),
        ('"><script>alert(1)</script>', "http://localhost:3080/"),
        ("x'; rm -rf ~ #", "http://localhost:3080/"),
        ("$(id)", "http://localhost:3080/"),
        ("a" * 300, "http://localhost:3080/"),
    ],
)
async def test_the_example_names_the_address_of_the_reader(
    serve: Serve, host: str, shown: str
) -> None:
    async with serve("webclient") as server:
        answer = await server.client.get("/", headers={"host": host})
        assert f"curl {shown}api/auth/register" in answer.text
        assert host == shown[7:-1] or host not in answer.text
        assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"


async def test_what_browsers_and_robots_ask_for_by_themselves(serve: Serve) -> None:
    async with serve("webclient") as server:
        assert 'href="/favicon.svg"' in (await server.client.get("/")).text
        for path in ("/favicon.svg", "/favicon.ico"):
            icon = await server.client.get(path)
            assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
            assert icon.text.startswith("<svg ")
        robots = await server.client.get("/robots.txt")
        assert robots.text == "User-agent: *\nDisallow: /\n"
        assert robots.headers["content-type"].startswith("text/plain")
        assert (await server.client.get("/other.ico")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/nope"])
async def test_pages_load_nothing_of_others_and_run_nothing(serve: Serve, path: str) -> None:
    async with serve("webclient") as server:
        answer = await server.client.get(path)
        style = answer.text.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert f"style-src 'sha256-{digest}'" in policy
        assert "script" not in policy
        assert not re.search(r"<script|<img|src=|style=| on\w+=|@import|url\(", answer.text)
