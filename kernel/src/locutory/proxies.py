"""Finding the client's address behind trusted reverse proxies."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MEMORY = 4096


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

    def _trusts(self, peer: str) -> bool:
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
        """The client's address: walks ``X-Forwarded-For`` (all its lines, joined by commas)
        from the right, one entry a trusted hop; the peer itself when nothing is believed."""
        if not forwarded or not self._trusts(peer):
            return peer
        address = peer
        for entry in reversed(forwarded.split(",")[-self._hops :]):
            named = _bare(entry.strip())
            if not named or not self._trusts(address):
                break
            address = named
        return address


@lru_cache(maxsize=_MEMORY)
def _bare(entry: str) -> str:
    """An address without its port: ``[::1]:80``, ``1.2.3.4:80``; empty when it is none."""
    if entry.startswith("["):
        entry = entry[1:].split("]", 1)[0]
    elif entry.count(":") == 1:
        entry = entry.split(":", 1)[0]
    try:
        ipaddress.ip_address(entry)
    except ValueError:
        return ""
    return entry
