"""What the server makes of the reverse proxies in front of it."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from locutory import JSON, Public, Request, Route
from locutory.http.fallback import PAGES
from locutory.responses import Text
from locutory.services import Provide
from locutory.settings import KernelConfig
from locutory_httpserver.proxies import ProxyTrust, ProxyWatch, prefix_of
from locutory_testing import Serve


class Site:
    """Stands for the web client."""

    async def serve(self, request: Request) -> Text:
        return Text(f"page {request.scope['path']}")


@pytest.fixture
def plugin(make_plugin: Any) -> Any:
    async def show(request: Request) -> JSON:
        return JSON({"ip": request.ip, "id": request.path_params.get("id")})

    routes = [
        Route(path=path, endpoint=show, access=Public("test"), summary="Show")
        for path in ("/api/ip", "/api/things/{id}")
    ]
    return make_plugin("door", provides=(PAGES,), services=[Provide(PAGES, Site())], routes=routes)


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("127.0.0.1", "203.0.113.7"),
        ("127.8.8.8", "203.0.113.7"),
        ("::1", "203.0.113.7"),
        ("::ffff:127.0.0.1", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.1"),
        ("172.18.0.1", "172.18.0.1"),
        ("192.168.1.9", "192.168.1.9"),
        ("::ffff:192.168.1.9", "::ffff:192.168.1.9"),
        ("fd00::9", "fd00::9"),
        ("fe80::9", "fe80::9"),
        ("198.51.100.9", "198.51.100.9"),
    ],
)
def test_only_this_machine_is_believed_by_default(peer: str, client: str) -> None:
    config = KernelConfig()
    trust = ProxyTrust(config.proxy_hops, config.trusted_proxies)
    for forwarded in ("203.0.113.7", "6.6.6.6,203.0.113.7:81", "6.6.6.6, [::1], 203.0.113.7"):
        assert trust.client(peer, forwarded) == client


async def test_the_header_forwarded_is_left_alone(serve: Serve, plugin: Any) -> None:
    """No proxy that we know overwrites it, so anybody can send it."""
    async with serve(plugin) as server:
        headers = {"forwarded": "for=203.0.113.7", "x-real-ip": "203.0.113.7"}
        answer = await server.client.get("/api/ip", headers=headers)
        assert answer.json()["ip"] == "127.0.0.1"


def advice_of(logs: list[Any]) -> list[str]:
    return [line["advice"] for line in logs if line["event"] == "http.proxy"]


async def test_a_proxy_that_hides_addresses_is_named_once(
    serve: Serve, plugin: Any, tmp_path: Path
) -> None:
    address = {"DOMAIN_SERVER": "https://chat.example"}
    async with serve(plugin, environment=address) as server:
        with structlog.testing.capture_logs() as logs:
            for _ in range(50):
                await server.client.get("/api/ip")
        assert len(advice_of(logs)) == 1
        assert "sends no X-Forwarded-For" in advice_of(logs)[0]
        assert await server.kernel.dispatcher.proxy_watch.advice() == advice_of(logs)[0]
    # The next start begins anew; a proxy that does right says nothing, nor does a plain address.
    for environment, headers in ((address, {"x-forwarded-for": "203.0.113.7"}), ({}, {})):
        async with serve(plugin, environment=environment) as server:
            with structlog.testing.capture_logs() as logs:
                for _ in range(50):
                    await server.client.get("/api/ip", headers=headers)
                    await server.client.get("/api/ip")
            assert not advice_of(logs)
            assert await server.kernel.dispatcher.proxy_watch.advice() is None


async def test_a_proxy_that_is_not_believed_is_named_once(tmp_path: Path) -> None:
    watch = ProxyWatch(tmp_path, is_https=False)
    with structlog.testing.capture_logs() as logs:
        for peer in ("8.8.8.8", "", "testclient", "172.18.0.1", "172.18.0.1", "172.18.0.2"):
            watch.look(peer, is_trusted=False, is_forwarded=True)
    assert len(advice_of(logs)) == 1
    assert "LOCUTORY_TRUSTED_PROXIES=172.18.0.1" in advice_of(logs)[0]
    assert await watch.advice() == advice_of(logs)[0]


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("https://chat.example", ""),
        ("https://chat.example/", ""),
        ("https://chat.example/chat", "/chat"),
        ("https://chat.example/a/b/", "/a/b"),
        ("https://chat.example/api", ""),
        ("https://chat.example/API/chat", ""),
        ("https://chat.example/apichat", "/apichat"),
        ("http://[", ""),
        ("chat.example", ""),
    ],
)
def test_the_prefix_of_an_address(address: str, prefix: str) -> None:
    assert prefix_of(address) == prefix


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/things/1", {"id": "1"}),
        ("/chat/api/things/1", {"id": "1"}),
        ("/chat//api/things/1", {"id": "1"}),
        ("//api/things/1", {"id": "1"}),
        ("/chat/api/things/a%2Fchat%2Fb", {"id": "a/chat/b"}),
        ("/chat/chat/api/things/1", None),
        ("/chat", "page /"),
        ("/chat/", "page /"),
        ("/chat/c/new", "page /c/new"),
        ("/c/new", "page /c/new"),
        ("/chatter/c", "page /chatter/c"),
        ("/chat/api/unknown", None),
        ("/chat/api", None),
        ("/other/api/things/1", None),
        ("/other//api/things/1", None),
        ("/a/b/API/things/1", None),
        ("/chat/livez", "OK"),
    ],
)
async def test_a_sub_directory_may_be_passed_on(
    serve: Serve, plugin: Any, raw_http: Any, path: str, expected: Any
) -> None:
    """Never a page for what a program asked for (``None``)."""
    environment = {"DOMAIN_CLIENT": "https://chat.example/chat"}
    async with serve(plugin, environment=environment) as server:
        answer = await server.client.get(f"{server.url}{path}")
        if expected is None:
            assert (answer.status_code, answer.json()) == (404, {"message": "Endpoint not found"})
        elif isinstance(expected, dict):
            assert answer.json() == {"ip": "127.0.0.1", **expected}
        else:
            assert answer.text == expected


async def test_without_a_sub_directory_no_prefix_is_taken_off(serve: Serve, plugin: Any) -> None:
    async with serve(plugin) as server:
        answer = await server.client.get("/chat2/api/ip")
        assert (answer.status_code, answer.json()) == (404, {"message": "Endpoint not found"})
        assert (await server.client.get("/chat2/c/new")).text == "page /chat2/c/new"
