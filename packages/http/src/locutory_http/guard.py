"""Keeps requests that a user can aim away from the server's own network (security §5).

A name is resolved once; when any of its addresses is forbidden the connection is refused,
else it is made to a checked address, while TLS still asks for the name. There is no second
look-up, so an answer that changes between check and use (DNS rebinding) has no effect.

The predicate compares numbers, never text, and does not trust `ipaddress.is_global` alone:
Python calls several of the listed networks global, and releases differ.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import httpcore2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

FORBIDDEN_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # SIIT
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",  # Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


class AddressRefused(httpcore2.ConnectError):
    """The host leads to an address that users may not reach."""


def forbidden(address: Address) -> bool:
    """``True`` when users may not reach this address."""
    if not address.is_global:
        return True
    return any(
        address.version == network.version and address in network for network in FORBIDDEN_NETWORKS
    )


def parse(text: str) -> Address | None:
    """A numeric address in canonical spelling, without a zone; ``None`` for a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


async def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a name as the operating system resolves them."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Decides which hosts requests with a user-given address may reach.

    Args:
        allowed: ``host:port`` or ``[ipv6]:port`` entries of the operator that are let
            through although they are private; compared with the host as written and with
            the address that it resolves to.
        resolve: function that resolves names.
    """

    def __init__(self, allowed: Iterable[str] = (), resolve: Resolve = system_resolve) -> None:
        self._allowed = frozenset(_authority(*_split(entry)) for entry in allowed)
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """The checked addresses of a host, in the resolver's order.

        Raises `AddressRefused` when any of them is forbidden, ``OSError`` when there are none.
        """
        if _authority(host, port) in self._allowed:
            return await self._resolve(host, port)
        found = await self._resolve(host, port)
        if not found:
            raise OSError(f"{host} has no address")
        for text in found:
            address = parse(text)
            if address is None:
                raise AddressRefused("the address cannot be read")
            if forbidden(address) and _authority(str(address), port) not in self._allowed:
                raise AddressRefused("the address is not public")
        return found

    async def check(self, url: str) -> None:
        """Check a URL before anything is sent to it. Raises `AddressRefused` for a forbidden one
        and for anything but a plain http or https URL; a name that cannot be resolved passes, since
        the connection will fail anyway."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise AddressRefused("the address cannot be read") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise AddressRefused("only http and https addresses without credentials")
        try:
            await self.addresses(parts.hostname, port)
        except (OSError, UnicodeError):
            return


def _split(entry: str) -> tuple[str, int]:
    host, _, port = entry.rpartition(":")
    return host.strip("[]"), int(port)


def _authority(host: str, port: int) -> str:
    address = parse(host.strip("[]"))
    return f"{address or host.lower().rstrip('.')}|{port}"


class GuardedBackend(httpcore2.AnyIOBackend):
    """Opens connections only to addresses that a `Guard` has checked."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve and check once, then connect to the first address that answers."""
        try:
            async with asyncio.timeout(timeout):
                found = await self._guard.addresses(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(str(error)) from error
        failure: Exception = httpcore2.ConnectError("no address")
        for address in dict.fromkeys(found):
            try:
                return await super().connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        """Raise `AddressRefused`: users cannot name a socket of this machine."""
        raise AddressRefused("unix sockets are not reachable")
