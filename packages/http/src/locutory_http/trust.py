"""Trusted certificates (`NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`, `SSL_CERT_DIR`)."""

import re
import ssl
from contextlib import suppress
from pathlib import Path

import httpx2

_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?"
    rb"-----END (?:X509 |TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)
_REFUSED = re.compile(r"certificate verify failed: (.+?)\.? \(_ssl\.c:\d+\)", re.DOTALL)
_UNKNOWN_ISSUER = re.compile(r"issuer certificate|self.signed certificate|verify the first")
"""OpenSSL's texts for a chain that does not end in a trusted certificate."""


def refused_certificate(error: BaseException | None) -> str | None:
    """The reason why a certificate was refused, when that made a connection fail; ``None`` when it
    failed for another reason. Searches the causes of the error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ssl.SSLCertVerificationError):
            # The text, and not `verify_message`: ldap3 makes errors of this class from it.
            found = _REFUSED.search(str(error))
            reason = found[1] if found else "verification failed"
            if _UNKNOWN_ISSUER.search(reason):
                reason += " (NODE_EXTRA_CA_CERTS names authorities to trust)"
            return reason
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def authorities(path: str) -> tuple[list[bytes], str | None]:
    """The certificates in a file, each in PEM, and a description of what is wrong with the file, or
    ``None``. Readable certificates count even if others in the file are unreadable, as in Node."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return [], f"cannot be read: {error.strerror or type(error).__name__}"
    found = _CERTIFICATE.findall(content)
    good = [certificate for certificate in found if _loads(certificate)]
    if not found:
        return [], "holds no certificate in PEM form"
    bad = len(found) - len(good)
    return good, f"holds {bad} unreadable certificates of {len(found)}" if bad else None


def _loads(certificate: bytes) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=_text(certificate))
    except (ssl.SSLError, ValueError):
        return False
    return True


def _text(certificate: bytes) -> str:
    return certificate.decode("ascii", "replace")


class Trust:
    """Makes TLS contexts, and caches the default one, since loading roots takes time and memory.

    Args:
        file: roots in place of the system's (`SSL_CERT_FILE`).
        folder: a hashed folder of them (`SSL_CERT_DIR`).
        extra: a file of additional authorities, for any roots (`NODE_EXTRA_CA_CERTS`).

    ``warnings`` are sentences about files that cannot be read: they are ignored, as in Node.
    """

    def __init__(self, file: str = "", folder: str = "", extra: str = "") -> None:
        self._file, self._folder = file, folder
        self._extra: list[bytes] = []
        self.warnings: list[str] = []
        if extra:
            self._extra, wrong = authorities(extra)
            if wrong:
                self.warnings.append(f"NODE_EXTRA_CA_CERTS: {extra} {wrong}")
        if file:
            _, wrong = authorities(file)
            if wrong:
                self.warnings.append(f"SSL_CERT_FILE: {file} {wrong}")
        if folder and not Path(folder).is_dir():
            self.warnings.append(f"SSL_CERT_DIR: {folder} is no folder")
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """The default context for clients, which all of them share."""
        if self._context is None:
            self._context = self.make()
        return self._context

    def make(
        self, *, authority: str | None = None, verify: bool = True, name: str | None = None
    ) -> ssl.SSLContext:
        """A separate context, for protocols other than HTTP.

        Args:
            authority: a file of certificates that are trusted in place of all others.
                ``OSError`` or ``ValueError`` when it cannot be read.
            verify: check the certificate and its name.
            name: the name that the certificate must have, in place of the server's.
        """
        context = bare_context() if name is None else _NamedContext(name)
        if authority is not None:
            context.load_verify_locations(cafile=authority)
        else:
            context = self._with_roots(context)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _with_roots(self, context: ssl.SSLContext) -> ssl.SSLContext:
        if isinstance(context, _NamedContext) and not self._file and not self._folder:
            context.load_default_certs()
        elif not self._file and not self._folder:
            context = _lenient(httpx2.create_ssl_context(trust_env=False))
        else:
            for option, path in (("cafile", self._file), ("capath", self._folder)):
                with suppress(OSError):  # told at the start; that root is missing then
                    if path:
                        context.load_verify_locations(**{option: path})
        for certificate in self._extra:
            context.load_verify_locations(cadata=_text(certificate))
        return context


class _NamedContext(ssl.SSLContext):
    """Checks certificates against a name of its own."""

    expected: str | None = None

    def __new__(cls, name: str) -> "_NamedContext":
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made.expected = name
        _lenient(made)
        return made

    def wrap_bio(  # type: ignore[override]
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(
            incoming, outgoing, server_side, self.expected or server_hostname, session
        )


def bare_context() -> ssl.SSLContext:
    """A context that checks everything and has no trusted roots yet."""
    return _lenient(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _lenient(context: ssl.SSLContext) -> ssl.SSLContext:
    """Unset `VERIFY_X509_STRICT`, which Python 3.13 sets: self-made authorities often lack an
    Authority Key Identifier, and Node accepts them. All other checks remain."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
