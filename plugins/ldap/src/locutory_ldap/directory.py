"""Asking the directory. Importing this loads ldap3, so that is done only when LDAP is
configured. Everything here blocks: call it in a thread."""

import math
import ssl
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from locutory_http import Trust
from locutory_ldap.config import NAME, Config

with warnings.catch_warnings():
    # ldap3 uses names of pyasn1 that have new ones.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3  # type: ignore[import-untyped]
    from ldap3.core.exceptions import LDAPException  # type: ignore[import-untyped]
    from ldap3.utils.conv import escape_filter_chars  # type: ignore[import-untyped]

INVALID_CREDENTIALS = 49
_ANSWERS = (0, 4, 32)
"""Results of a search that say something: success, more than were asked for, nothing there."""

Person = Mapping[str, str]
"""Attributes by name in lower case, each its first value; ``dn`` is among them."""


class DirectoryDown(Exception):
    """The directory does not answer, or refuses the account that searches."""


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """TLS by the standard library, which also checks the host's name."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        connection.socket = self._context.wrap_socket(
            connection.socket,
            do_handshake_on_connect=do_handshake,
            server_hostname=connection.server.host,
        )


def tls_context(config: Config, trust: Trust) -> ssl.SSLContext:
    """With a file of an authority the certificate is checked only if that is asked for;
    without one it always is (contract oauth §7)."""
    authority = config.ldap_ca_cert_path
    checked = not authority or config.ldap_tls_reject_unauthorized
    return trust.make(authority=authority, verify=checked)


def search_filter(template: str, name: str) -> str:
    """The filter that finds a person. What was typed is data in it, never syntax."""
    text = template.strip().replace(NAME, escape_filter_chars(name))
    return text if text.startswith("(") else f"({text})"


class Directory:
    """One directory."""

    def __init__(self, config: Config, trust: Trust) -> None:
        self._config = config
        self._seconds = math.ceil(config.timeout_seconds)  # ldap3 knows only whole ones
        parts = urlsplit(config.ldap_url or "")
        encrypted = parts.scheme.lower() == "ldaps"
        self._starttls = config.ldap_starttls and not encrypted
        needs_tls = encrypted or self._starttls
        self._server = ldap3.Server(
            parts.hostname or "localhost",
            port=parts.port or (636 if encrypted else 389),
            use_ssl=encrypted,
            tls=_Tls(tls_context(config, trust)) if needs_tls else None,
            get_info=ldap3.NONE,
            connect_timeout=self._seconds,
        )
        named = (config.ldap_id, config.ldap_username, config.ldap_email, *config.ldap_full_name)
        usual = (
            *("mail", "uid", "sAMAccountName", "givenName", "sn"),
            *("cn", "name", "commonname", "displayName"),
        )
        self._attributes = list(dict.fromkeys(name for name in (*named, *usual) if name))

    @contextmanager
    def _connected(self, user: str | None, password: str | None) -> Iterator[Any]:
        """A connection, encrypted if that is configured, but not yet bound."""
        anonymous = not user
        connection = ldap3.Connection(
            self._server,
            user=user or None,
            password=password if user else None,
            authentication=ldap3.ANONYMOUS if anonymous else ldap3.SIMPLE,
            receive_timeout=self._seconds,
            # A referral would carry the password to another server.
            auto_referrals=False,
            read_only=True,
            check_names=False,
        )
        try:
            connection.open()
            if self._starttls and not connection.start_tls():
                raise DirectoryDown("the directory does not encrypt the connection")
            yield connection
        except (LDAPException, OSError) as error:
            raise DirectoryDown(f"{type(error).__name__}: {error}") from error
        finally:
            with suppress(LDAPException, OSError):  # it may be gone already
                connection.unbind()
            if connection.socket is not None:  # left open when connecting failed
                connection.socket.close()

    def reach(self) -> None:
        """Connect and bind as the account that searches; `DirectoryDown` otherwise."""
        with self._searcher():
            return

    @contextmanager
    def _searcher(self) -> Iterator[Any]:
        secret = self._config.ldap_bind_credentials
        password = secret.get_secret_value() if secret else ""
        with self._connected(self._config.ldap_bind_dn, password) as connection:
            if not connection.bind():
                told = connection.result.get("description")
                raise DirectoryDown(f"the account that searches is refused: {told}")
            yield connection

    def find(self, name: str) -> Person | None:
        """The person whom the filter finds; ``None`` when it finds nobody or several."""
        with self._searcher() as connection:
            connection.search(
                self._config.ldap_user_search_base,
                search_filter(self._config.ldap_search_filter, name),
                search_scope=ldap3.SUBTREE,
                attributes=self._attributes,
                size_limit=2,
                time_limit=self._seconds,
            )
            if connection.result.get("result") not in _ANSWERS:
                told = connection.result.get("description")
                raise DirectoryDown(f"the search is refused: {told}")
            entries = [
                entry for entry in connection.response or () if entry["type"] == "searchResEntry"
            ]
            if len(entries) != 1 or not entries[0]["dn"]:
                return None
            return _person(entries[0])

    def accepts(self, person: Person, password: str) -> bool:
        """Is this the person's password? An empty one never is: directories take a bind
        without password for an anonymous one, and let it succeed."""
        if not password.strip("\0 \t\r\n") or not person["dn"]:
            return False
        with self._connected(person["dn"], password) as connection:
            if connection.bind():
                return True
            if connection.result.get("result") != INVALID_CREDENTIALS:
                told = connection.result.get("description")
                raise Refusal(str(told))
            return False


class Refusal(Exception):
    """The directory refuses a bind for another reason than the password."""


def _person(entry: Mapping[str, Any]) -> Person:
    found = {"dn": str(entry["dn"])}
    for name, values in entry["raw_attributes"].items():
        if values:
            value = values[0]
            try:
                found[name.lower()] = value.decode().strip()
            except UnicodeDecodeError:
                found[name.lower()] = value.hex()  # objectGUID and the like
    return found
