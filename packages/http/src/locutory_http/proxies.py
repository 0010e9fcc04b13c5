"""Selection of the proxy of a request (`PROXY`, `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`)."""

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote, urlsplit

SCHEMES = ("http", "https", "socks5", "socks5h")
DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; its credentials are left out of the representation."""

    scheme: str
    host: str
    port: int
    auth: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address of the proxy without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self.url.partition("://")[2]


def parse_proxy(text: str) -> Proxy:
    """Parse the address of a proxy; without a scheme it is an HTTP proxy.

    Raises ``ValueError`` with a text that contains nothing of the address, which may contain a
    password.
    """
    text = text.strip()
    if "://" not in text:
        text = "http://" + text.removeprefix("//")
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise ValueError(f"begins with {', '.join(name + '://' for name in SCHEMES)}")
    # The last @: passwords hold all sorts of signs.
    credentials, _, place = rest.rpartition("@")
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port
        if host is not None and ":" in host:
            ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("is no address of a proxy, as http://proxy.example:3128 is") from None
    if not host or re.search(r"[\s\\<>\"^`{|}%]", host) or parts.path.strip("/") or parts.query:
        raise ValueError("is no address of a proxy, as http://proxy.example:3128 is")
    user, _, password = credentials.partition(":")
    auth = (unquote(user), unquote(password)) if credentials else None
    return Proxy(scheme, host, port or DEFAULT_PORTS[scheme], auth)


@dataclass(frozen=True, slots=True)
class _Exception:
    """An entry of `NO_PROXY`. ``port`` 0 stands for any."""

    host: str
    port: int = 0
    network: _Network | None = None

    def holds(self, host: str, port: int) -> bool:
        if self.port not in (0, port):
            return False
        if self.network is not None:
            try:
                address = ipaddress.ip_address(host)
            except ValueError:
                return False
            mapped = getattr(address, "ipv4_mapped", None) or address
            return mapped in self.network
        return self.host == "*" or host == self.host or host.endswith("." + self.host)


def _plain(host: str) -> str:
    """A host in the form in which hosts are compared: lower case, IDNA-encoded, without brackets,
    zone or final dot."""
    host = host.strip().strip("[]").partition("%")[0].lower().removesuffix(".")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _exception(entry: str) -> _Exception | None:
    """Parse one entry: a host, ``.domain``, ``*.domain``, an address or a network of addresses,
    each but a network with or without ``:port``; ``*`` for everything. ``None`` for anything else.
    """
    entry = entry.partition("://")[2] or entry
    try:
        bare = re.sub(r"[\[\]]", "", entry) if "/" in entry else entry
        return _Exception("", network=ipaddress.ip_network(bare, strict=False))
    except ValueError:
        entry = entry.partition("/")[0]
    bracketed = re.fullmatch(r"\[(.+)\](?::(\d{1,5}))?", entry)
    named = bracketed or re.fullmatch(r"([^:]+)(?::(\d{1,5}))?", entry)
    if named is None:
        return None
    host, port = named[1], int(named[2] or 0)
    if host == "*":
        return _Exception("*", port)
    host = _plain(re.sub(r"^\*?\.?", "", host))
    try:
        return _Exception("", port, ipaddress.ip_network(host))
    except ValueError:
        return _Exception(host, port) if host else None


class Proxies:
    """The proxies of a deployment, and the hosts that are reached without them.

    Args:
        http: for addresses that begin with http.
        https: for those that begin with https; ``None``: as ``http``.
        exceptions: the text of `NO_PROXY`, parts separated by commas or spaces.
    """

    def __init__(
        self, http: Proxy | None = None, https: Proxy | None = None, exceptions: str = ""
    ) -> None:
        self._by_scheme = {"http": http, "https": https or http}
        entries = (_exception(entry) for entry in re.split(r"[\s,]+", exceptions) if entry)
        self._exceptions = tuple(entry for entry in entries if entry is not None)
        self._of = lru_cache(maxsize=1024)(self._find)

    def __bool__(self) -> bool:
        """``True`` when there is any proxy."""
        return any(self._by_scheme.values())

    def of(self, scheme: str, host: str, port: int | None = None) -> Proxy | None:
        """The proxy for a destination, or ``None``."""
        return self._of(scheme, host, port)

    def _find(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        proxy = self._by_scheme.get(scheme)
        if proxy is None:
            return None
        host, port = _plain(host), port or DEFAULT_PORTS.get(scheme, 0)
        return None if any(each.holds(host, port) for each in self._exceptions) else proxy
