"""Small servers, a forward proxy and certificate authorities, for tests of connections."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_PEM = serialization.Encoding.PEM


class Authority:
    """A certificate authority for tests.

    Args:
        folder: for its files.
        key_identifiers: put the identifiers of keys into certificates; self-made authorities
            often have none.
    """

    def __init__(
        self, folder: Path, name: str = "Test CA", *, key_identifiers: bool = True
    ) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key_identifiers = key_identifiers
        made = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True
        )
        certificate = self._signed(made)
        self.file = folder / f"{name.replace(' ', '-').lower()}.pem"
        """The file of its certificate, in PEM."""
        self.file.write_bytes(certificate.public_bytes(_PEM))

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta = timedelta(days=1)
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + lasts)
        )
        if self._key_identifiers:
            own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            made = made.add_extension(own, False).add_extension(issuer, False)
        return made

    def _signed(self, made: x509.CertificateBuilder) -> x509.Certificate:
        return made.sign(self._key, hashes.SHA256())

    def certificate(self, *names: str, expired: bool = False) -> Path:
        """A file with a key and a certificate for host names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        lasts = timedelta(hours=-1) if expired else timedelta(days=1)
        made = self._builder(subject, key, lasts).add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), False
        )
        plain, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
        path = self._folder / f"{names[0]}-{x509.random_serial_number():x}.pem"
        path.write_bytes(
            key.private_bytes(_PEM, form, plain) + self._signed(made).public_bytes(_PEM)
        )
        return path

    def server(self, *names: str, **options: Any) -> ssl.SSLContext:
        """A context for a server of these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(*names, **options))
        return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class LocalServer:
    """A server on a free port of 127.0.0.1 while a test runs. Subclasses implement `converse`."""

    port: int = field(default=0, init=False)
    _running: set["asyncio.Task[Any]"] = field(default_factory=set, init=False)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is closed afterwards."""
        raise NotImplementedError

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Serve; at the end every connection is closed."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.converse(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()


@dataclass
class ForwardProxy(LocalServer):
    """An HTTP proxy. ``seen``: the first line of every request, ``CONNECT host:port`` or an
    absolute address. ``password``: the "user:password" that it requires."""

    password: str = ""
    seen: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address of the proxy, with the password if it requires one."""
        return f"http://{self.password}@{self.place}" if self.password else f"http://{self.place}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        self.seen.append(f"{method} {target}")
        given = base64.b64encode(self.password.encode()).decode()
        if self.password and f"proxy-authorization: basic {given}".lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return
        place = target if method == "CONNECT" else target.split("/")[2]
        host, _, port = place.rpartition(":")
        there, back = await asyncio.open_connection(host or place, int(port) if host else 80)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                hop = ("proxy-", "connection:")
                lines = [
                    line for line in head.split("\r\n")[1:] if not line.lower().startswith(hop)
                ]
                # One request a connection: the next would come through unread.
                first = [f"{method} {path} HTTP/1.1", "connection: close"]
                back.write("\r\n".join(first + lines).encode("latin-1"))
            plain = method != "CONNECT"
            await asyncio.gather(_copy(reader, back), _copy(there, writer, closing=plain))
        finally:
            back.close()


async def _copy(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, *, closing: bool = False
) -> None:
    if closing:
        target.write(await source.readuntil(b"\r\n") + b"connection: close\r\n")
    while piece := await source.read(65536):
        target.write(piece)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
