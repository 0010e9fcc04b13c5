"""Reverse proxies in front of the server: the client's address, the path that they pass on, and
advice on wrong settings."""

import ipaddress
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MEMORY = 4096
_OWN_PATHS = ("/api", "/oauth", "/assets", "/images")
# So many requests without an address before it is said that there is none: somebody on this
# machine may ask directly.
_BARE = 20

log = structlog.get_logger("locutory.http")


class ProxyTrust:
    """Believes ``X-Forwarded-For`` only from trusted networks, and only ``hops`` entries.

    ``hops`` below 1 counts as 1 (contract kernel §3: ``TRUST_PROXY=0`` still trusts one).
    """

    def __init__(self, hops: int, networks: Sequence[str]) -> None:
        self._hops = max(1, hops)
        self._networks: list[Network] = [
            ipaddress.ip_network(network, strict=False) for network in networks
        ]
        self._known: dict[str, bool] = {}

    def trusts(self, peer: str) -> bool:
        """``True`` when this is the address of a trusted proxy."""
        verdict = self._known.get(peer)
        if verdict is None:
            try:
                address = ipaddress.ip_address(peer)
            except ValueError:
                return False
            # A server that listens on [::] sees IPv4 peers as ::ffff:10.0.0.1.
            address = getattr(address, "ipv4_mapped", None) or address
            verdict = any(address in network for network in self._networks)
            if len(self._known) >= _MEMORY:
                self._known.clear()
            self._known[peer] = verdict
        return verdict

    def client(self, peer: str, forwarded: str | None) -> str:
        """The client's address: walks ``X-Forwarded-For`` (all its lines, joined by commas) from
        the right, one entry per trusted hop; the peer's own address when it is not trusted."""
        if not forwarded or not self.trusts(peer):
            return peer
        address = peer
        for entry in reversed(forwarded.split(",")[-self._hops :]):
            named = _bare(entry.strip())
            if not named or not self.trusts(address):
                break
            address = named
        return address


@lru_cache(maxsize=_MEMORY)
def _bare(entry: str) -> str:
    """An address without its port: ``[::1]:80``, ``1.2.3.4:80``; "" when it is not an address."""
    if entry.startswith("["):
        entry = entry[1:].split("]", 1)[0]
    elif entry.count(":") == 1:
        entry = entry.split(":", 1)[0]
    try:
        ipaddress.ip_address(entry)
    except ValueError:
        return ""
    return entry


class ProxyWatch:
    """Detects a proxy that hides its clients' addresses: warns once in the log, and in a file of
    the data folder for ``locutory doctor``."""

    def __init__(self, data_dir: Path, *, is_https: bool) -> None:
        self._file = data_dir / "proxy-advice"
        self._is_https = is_https  # then there is a proxy: the server itself has no TLS
        self._bare = 0
        self._said: set[str] = set()

    def look(self, peer: str, *, is_trusted: bool, is_forwarded: bool) -> None:
        """Take one request into account."""
        if is_trusted and is_forwarded:
            self._is_https = False
        elif is_trusted and self._is_https:
            self._bare += 1
            if self._bare == _BARE:
                self._say(
                    f"The reverse proxy at {peer} sends no X-Forwarded-For: everybody counts as one "
                    "address, in rate limits and bans. Let it send the header (docs/proxies.md)"
                )
        elif is_forwarded and not self._said and _is_private(peer):
            self._say(
                f"X-Forwarded-For of {peer} is not believed. If that is your reverse proxy, set "
                f"LOCUTORY_TRUSTED_PROXIES={peer} or its network (docs/proxies.md)"
            )

    def _say(self, advice: str) -> None:
        if advice in self._said:
            return
        self._said.add(advice)
        log.warning("http.proxy", advice=advice)
        with suppress(OSError), self._file.open("a", encoding="utf-8") as file:
            file.write(f"{advice}\n")

    async def advice(self) -> str | None:
        """The warnings since the server started, one per line; ``None`` when there are none."""
        if not self._file.exists():
            return None
        return self._file.read_text("utf-8").strip().replace("\n", "\n         ")

    def forget(self) -> None:
        """Delete the recorded warnings."""
        self._file.unlink(missing_ok=True)


def _is_private(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_private
    except ValueError:
        return False


def prefix_of(address: str) -> str:
    """The path of a public address, without a trailing slash. "" at the root, and for a path that
    is one of the server's own."""
    try:
        path = urlsplit(address).path.rstrip("/")
    except ValueError:
        return ""
    own = f"{path}/".lower().startswith(tuple(f"{name}/" for name in _OWN_PATHS))
    return path if path.startswith("/") and not own else ""


def take_off(prefix: str, scope: MutableMapping[str, Any]) -> None:
    """Convert the path of a request to the server's own, when a proxy passes its sub-directory on,
    or when it starts with more than one slash."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or path.encode()
    start = prefix.encode()
    if prefix and f"{path}/".startswith(f"{prefix}/") and raw.startswith(start):
        path, raw = path[len(prefix) :], raw[len(start) :]
    scope["path"] = "/" + path.lstrip("/")
    scope["raw_path"] = b"/" + raw.lstrip(b"/")
