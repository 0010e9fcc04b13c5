"""Which proxy a request takes: settings in every spelling, and real proxies."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from locutory_configfile import environment_values
from locutory_http import Outgoing, OutgoingSettings, Proxies, Proxy, parse_proxy
from locutory_testing.network import Authority, ForwardProxy

BOTH = Proxy("http", "proxy.example", 3128)


def outgoing(**environment: str) -> Outgoing:
    values = environment_values(OutgoingSettings, environment)
    return OutgoingSettings.model_validate(values).outgoing


@pytest.fixture
async def proxy() -> AsyncIterator[ForwardProxy]:
    async with ForwardProxy().running() as made:
        yield made


@pytest.mark.parametrize(
    ("text", "url", "auth"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None),
        ("proxy.example:3128", "http://proxy.example:3128", None),
        ("proxy.example", "http://proxy.example:80", None),
        ("//proxy.example:3128/", "http://proxy.example:3128", None),
        (" HTTP://Proxy.Example:3128/ ", "http://proxy.example:3128", None),
        ("127.0.0.1:3128", "http://127.0.0.1:3128", None),
        ("[::1]:3128", "http://[::1]:3128", None),
        ("https://proxy.example", "https://proxy.example:443", None),
        ("socks5://proxy.example", "socks5://proxy.example:1080", None),
        ("socks5h://proxy.example:9050", "socks5h://proxy.example:9050", None),
        ("http://ann:geheim@proxy.example:3128", "http://proxy.example:3128", ("ann", "geheim")),
        ("ann:geheim@proxy.example:3128", "http://proxy.example:3128", ("ann", "geheim")),
        ("http://corp%5Cann:p%40ss@h:1", "http://h:1", ("corp\\ann", "p@ss")),
        ("http://ann:p@ss#/?:x@h:1", "http://h:1", ("ann", "p@ss#/?:x")),
        ("http://ann@h:1", "http://h:1", ("ann", "")),
    ],
)
def test_proxies_as_people_write_them(text: str, url: str, auth: tuple[str, str] | None) -> None:
    made = parse_proxy(text)
    assert (made.url, made.auth) == (url, auth)
    assert "geheim" not in repr(made)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://ann:geheim@proxy.example",
        "socks4://ann:geheim@proxy.example",
        "http://ann:geheim@",
        "http://ann:geheim@proxy.example:port",
        "http://ann:geheim@proxy.example:99999",
        "http://ann:geheim@[::1",
        "http://ann:geheim@proxy example:1",
        "http://ann:geheim@proxy.example/some/path",
    ],
)
def test_what_is_no_proxy_is_named_without_its_password(text: str) -> None:
    with pytest.raises(ValueError) as failure:
        parse_proxy(text)
    assert "geheim" not in str(failure.value)
    for variable in ("PROXY", "HTTP_PROXY", "https_proxy"):
        with pytest.raises(ValidationError):
            outgoing(**{variable: text})


@pytest.mark.parametrize(
    ("environment", "http", "https"),
    [
        ({}, None, None),
        ({"PROXY": " "}, None, None),
        ({"PROXY": "a:1"}, "a", "a"),
        ({"proxy": "a:1"}, "a", "a"),
        ({"PROXY": "a:1", "HTTP_PROXY": "b:1", "https_proxy": "c:1"}, "a", "a"),
        ({"HTTP_PROXY": "a:1"}, "a", "a"),
        ({"HTTPS_PROXY": "a:1"}, None, "a"),
        ({"HTTP_PROXY": "a:1", "HTTPS_PROXY": "b:1"}, "a", "b"),
        ({"http_proxy": "a:1", "HTTP_PROXY": "b:1"}, "a", "a"),
        ({"https_proxy": "a:1", "HTTPS_PROXY": "b:1"}, None, "a"),
        ({"PROXY": "a:1", "NO_PROXY": "x.example"}, None, None),
        ({"HTTP_PROXY": "a:1", "no_proxy": "x.example"}, None, None),
        ({"PROXY": "a:1", "no_proxy": "y.example", "NO_PROXY": "x.example"}, "a", "a"),
    ],
)
def test_variables(environment: dict[str, str], http: str | None, https: str | None) -> None:
    proxies = outgoing(**environment).proxies
    for scheme, expected in (("http", http), ("https", https)):
        found = proxies.of(scheme, "x.example", None)
        assert (found and found.host) == expected


@pytest.mark.parametrize(
    ("exceptions", "reached", "not_reached"),
    [
        ("localhost", ["localhost:80", "localhost:3230", "LOCALHOST:1"], ["127.0.0.1:80", "a:80"]),
        ("example.org", ["example.org:443", "a.b.example.org:1", "example.org.:1"], ["aexample.org:1"]),
        (".example.org", ["example.org:443", "a.example.org:1"], ["aexample.org:1", "org:1"]),
        ("*.example.org", ["example.org:443", "a.example.org:1"], ["aexample.org:1"]),
        ("*example.org", ["example.org:443", "a.example.org:1"], ["aexample.org:1"]),
        ("Example.ORG.", ["example.org:443"], ["example.com:443"]),
        ("example.org:8443", ["example.org:8443", "a.example.org:8443"], ["example.org:443"]),
        ("http://example.org:8443/", ["example.org:8443"], ["example.org:443"]),
        ("127.0.0.1", ["127.0.0.1:1"], ["127.0.0.2:1", "localhost:1"]),
        ("127.0.0.1:8080", ["127.0.0.1:8080"], ["127.0.0.1:80"]),
        ("::1", ["[::1]:80"], ["[::2]:80"]),
        ("[::1]:3000", ["[::1]:3000", "[0:0::1]:3000"], ["[::1]:80"]),
        ("10.0.0.0/8", ["10.1.2.3:1", "[::ffff:10.1.2.3]:1"], ["11.0.0.1:1", "ten.example:1"]),
        ("192.168.1.7/24", ["192.168.1.9:1"], ["192.168.2.9:1"]),
        ("fd00::/8", ["[fd12::1]:1"], ["[fe80::1]:1"]),
        ("*", ["anything.example:1", "10.0.0.1:2", "[::1]:3"], []),
        ("*:8080", ["a.example:8080"], ["a.example:80"]),
        ("bücher.example", ["xn--bcher-kva.example:1", "bücher.example:1"], ["example:1"]),
        ("a.example, b.example c.example\n,,d.example", ["a.example:1", "b.example:1", "c.example:1", "d.example:1"], ["e.example:1"]),
        (" , :::, 300.1.2.3/99, a:b:c, [", [], ["a.example:1", "localhost:1"]),
    ],
)  # fmt: skip
def test_exceptions(exceptions: str, reached: list[str], not_reached: list[str]) -> None:
    proxies = Proxies(BOTH, None, exceptions)
    for scheme in ("http", "https"):
        for place in (*reached, *not_reached):
            host, _, port = place.rpartition(":")
            found = proxies.of(scheme, host, int(port))
            assert found is (None if place in reached else BOTH), place


def test_the_usual_ports_count_for_exceptions_with_a_port() -> None:
    proxies = Proxies(BOTH, None, "a.example:443")
    assert proxies.of("https", "a.example") is None
    assert proxies.of("http", "a.example") is BOTH


class TestRealProxies:
    async def test_http_and_https_go_through_it(
        self, origin: Any, origins: Any, proxy: ForwardProxy, tmp_path: Path
    ) -> None:
        authority = Authority(tmp_path)
        for variable in ("PROXY", "http_proxy"):
            async with origins().running(authority.server("localhost")) as secure:
                made = outgoing(
                    **{variable: proxy.place, "NODE_EXTRA_CA_CERTS": str(authority.file)}
                )
                async with made.client(5.0) as client:
                    for url in (origin.url(), secure.url()):
                        assert (await client.get(url)).text == "hello"
                assert proxy.seen[-2:] == [
                    f"GET {origin.url()}",
                    f"CONNECT localhost:{secure.port}",
                ]
                assert len(secure.seen) == 1

    async def test_exceptions_do_not(self, origin: Any, proxy: ForwardProxy) -> None:
        made = outgoing(PROXY=proxy.url, NO_PROXY="localhost,192.0.2.0/24")
        async with made.client(5.0) as client:
            assert (await client.get(origin.url("localhost"))).text == "hello"
            assert proxy.seen == []
            assert (await client.get(origin.url("127.0.0.1"))).text == "hello"
            assert proxy.seen == [f"GET {origin.url('127.0.0.1')}"]
        async with made.client(5.0, direct=True) as client:
            assert (await client.get(origin.url("127.0.0.1"))).text == "hello"
        assert len(proxy.seen) == 1

    async def test_passwords_reach_the_proxy_and_nobody_else(
        self, origin: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with ForwardProxy("ann:p@ss").running() as proxy:
            made = outgoing(PROXY=f"ann:p%40ss@{proxy.place}")
            async with made.client(5.0) as client:
                assert (await client.get(origin.url())).status_code == 200
            assert "proxy-authorization" not in origin.seen[0].lower()
            wrong = outgoing(PROXY=f"ann:geheim@{proxy.place}")
            async with wrong.client(5.0) as client:
                for url in (origin.url(), "https://models.example/"):
                    with pytest.raises(
                        httpx2.ProxyError, match=r"through the proxy .*: 407"
                    ) as failed:
                        await client.get(url)
        assert "geheim" not in repr(failed.value) + str(failed.value) + caplog.text
        assert "geheim" not in repr(wrong.proxies) + repr(OutgoingSettings(proxy="a:geheim@h:1"))

    async def test_a_proxy_that_is_away_is_named(self, origin: Any) -> None:
        made = outgoing(PROXY="ann:geheim@127.0.0.1:1")
        async with made.client(5.0) as client:
            for url in (origin.url(), "https://models.example/"):
                with pytest.raises(httpx2.ConnectError) as failed:
                    await client.get(url)
                assert "through the proxy 127.0.0.1:1: " in str(failed.value)

    async def test_a_proxy_with_tls(self, origin: Any, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        async with ForwardProxy().running(authority.server("localhost")) as proxy:
            address = f"https://localhost:{proxy.port}"
            made = outgoing(PROXY=address, NODE_EXTRA_CA_CERTS=str(authority.file))
            async with made.client(5.0) as client:
                assert (await client.get(origin.url())).text == "hello"
            async with outgoing(PROXY=address).client(5.0) as client:
                with pytest.raises(httpx2.ConnectError, match="not trusted"):
                    await client.get(origin.url())

    async def test_socks(self, origin: Any, socks: Any) -> None:
        async with outgoing(PROXY=f"socks5://127.0.0.1:{socks.port}").client(5.0) as client:
            assert (await client.get(origin.url())).text == "hello"
        assert socks.seen == [f"localhost:{origin.port}"]

    async def test_the_environment_of_the_process_counts_only_through_settings(
        self, origin: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, "http://127.0.0.1:1")
        async with Outgoing().client(5.0) as client:
            assert (await client.get(origin.url())).text == "hello"

    async def test_addresses_of_users_never_go_through_it(
        self, origin: Any, proxy: ForwardProxy
    ) -> None:
        """The guard's promise holds with a proxy too: it would resolve the name again."""
        made = outgoing(PROXY=proxy.url)
        async with made.guarded([], 5.0) as client:
            for host in ("localhost", "127.0.0.1"):
                with pytest.raises(httpx2.ConnectError, match="not public"):
                    await client.get(origin.url(host))
        async with made.guarded([f"localhost:{origin.port}"], 5.0) as client:
            assert (await client.get(origin.url())).text == "hello"
        assert proxy.seen == []
