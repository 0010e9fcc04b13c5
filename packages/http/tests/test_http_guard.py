"""The guard: every forbidden network, every spelling, and answers that change."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpcore2
import httpx2
import pytest

from locutory_http import AddressRefused, Guard
from locutory_http.guard import GuardedBackend, forbidden
from locutory_http.transport import GuardedTransport

FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:53aa::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden(address: str) -> None:
    assert forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert not forbidden(ipaddress.ip_address(address))


SPELLINGS = [
    "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001",
    "127.0.0.1.", "①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "0",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
async def test_spellings_of_loopback(host: str) -> None:
    """What the system takes for this machine is refused, or is not resolved at all."""
    guard = Guard()
    try:
        await guard.check(f"http://{host}:8080/v1")
    except AddressRefused:
        return
    with pytest.raises((OSError, UnicodeError)):
        socket.getaddrinfo(host.strip("[]"), 8080)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com", "file:///etc/passwd", "http://", "example.com/v1", "http://user:pw@example.com/",
     "http://example.com:99999", "gopher://127.0.0.1:70/", "", "http://[::1"],
)  # fmt: skip
async def test_only_plain_addresses(url: str) -> None:
    with pytest.raises(AddressRefused):
        await Guard(resolve=fixed("8.8.8.8")).check(url)


def fixed(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_one_forbidden_answer_among_public_ones_is_enough(address: str) -> None:
    guard = Guard(resolve=fixed("8.8.8.8", address, "1.1.1.1"))
    with pytest.raises(AddressRefused):
        await guard.addresses("mixed.example", 443)


async def test_zones_and_unreadable_answers_are_refused() -> None:
    for answer in ("fe80::1%eth0", "not-an-address"):
        with pytest.raises(AddressRefused):
            await Guard(resolve=fixed(answer)).addresses("x.example", 443)


async def test_exemptions() -> None:
    loopback = fixed("127.0.0.1")
    assert await Guard(["127.0.0.1:11434"], loopback).addresses("ollama.local", 11434)
    assert await Guard(["Ollama.Local:11434"], loopback).addresses("ollama.local", 11434)
    assert await Guard(["[::1]:1"], fixed("::1")).addresses("x.local", 1)
    for entry in ("127.0.0.1:11435", "other.local:11434", "127.0.0.2:11434"):
        with pytest.raises(AddressRefused):
            await Guard([entry], loopback).addresses("ollama.local", 11434)


async def test_names_without_an_address_pass_the_check_and_fail_to_connect() -> None:
    async def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    guard = Guard(resolve=nobody)
    await guard.check("https://nowhere.example/v1")
    async with httpx2.AsyncClient(transport=GuardedTransport(guard)) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://nowhere.example/")


class Rebinding:
    """A resolver that tells the truth once and lies afterwards."""

    def __init__(self, *answers: str) -> None:
        self.answers: Iterator[str] = iter(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return [next(self.answers)]


async def test_rebinding_has_no_effect(origin: Any) -> None:
    """The address that is connected to is the one that was checked."""
    resolver = Rebinding("8.8.8.8", "127.0.0.1")
    guard = Guard(resolve=resolver)
    await guard.check(f"http://rebind.example:{origin.port}/v1")
    async with httpx2.AsyncClient(transport=GuardedTransport(guard)) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://rebind.example:{origin.port}/v1/models")
    assert resolver.asked == 2
    assert origin.seen == []


async def test_the_name_is_resolved_once_for_a_connection_and_sent_as_host(origin: Any) -> None:
    resolver = Rebinding("127.0.0.1")
    guard = Guard([f"127.0.0.1:{origin.port}"], resolver)
    async with httpx2.AsyncClient(transport=GuardedTransport(guard)) as client:
        for _ in range(2):
            answer = await client.get(f"http://models.example:{origin.port}/v1/models")
            assert answer.status_code == 200
    assert resolver.asked == 1
    assert origin.heads("host") == [f"models.example:{origin.port}"] * 2


async def test_redirects_are_not_followed(origin: Any) -> None:
    origin.reply = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n"
    guard = Guard([f"127.0.0.1:{origin.port}"])
    async with httpx2.AsyncClient(
        transport=GuardedTransport(guard), follow_redirects=False
    ) as client:
        answer = await client.get(origin.url("127.0.0.1"))
    assert answer.status_code == 302
    assert len(origin.seen) == 1


async def test_tls_asks_for_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checked address is connected to, the certificate is checked for the host."""
    connected: list[str] = []
    names: list[str | None] = []

    class Stream(httpcore2.AsyncNetworkStream):
        async def start_tls(
            self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
        ) -> httpcore2.AsyncNetworkStream:
            names.append(server_hostname)
            raise httpcore2.ConnectError("stop here")

        async def aclose(self) -> None:
            return None

    async def connect(self: Any, host: str, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        connected.append(host)
        return Stream()

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    transport = GuardedTransport(Guard(resolve=fixed("93.184.216.34")))
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("https://secure.example/")
    assert connected == ["93.184.216.34"]
    assert names == ["secure.example"]


async def test_the_next_address_is_tried(origin: Any) -> None:
    guard = Guard(
        [f"127.0.0.1:{origin.port}", f"127.0.0.9:{origin.port}"],
        fixed("127.0.0.9", "127.0.0.1"),
    )
    async with httpx2.AsyncClient(transport=GuardedTransport(guard)) as client:
        answer = await client.get(f"http://two.example:{origin.port}/v1/models")
    assert answer.status_code == 200


async def test_unix_sockets_are_out_of_reach() -> None:
    with pytest.raises(AddressRefused):
        await GuardedBackend(Guard()).connect_unix_socket("/var/run/docker.sock")
