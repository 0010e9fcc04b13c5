"""Asking the directory. Importing this loads ldap3, so that is done only when LDAP is
configured. Everything here blocks: call it in a thread."""

import math
import ssl
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from locutory_http import Trust, refused_certificate
from locutory_ldap.config import LdapConfig
from locutory_ldap.filters import search_filter, without_conditions
from locutory_ldap.people import Person
from locutory_ldap.results import POLICY, must_change, refused_bind, said

with warnings.catch_warnings():
    # ldap3 uses names of pyasn1 that have new ones.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3  # type: ignore[import-untyped]
    from ldap3.core.exceptions import LDAPException  # type: ignore[import-untyped]

_SUCCESS, _MORE_THAN_ASKED, _NOT_THERE = 0, 4, 32
_NOBODY = "locutory-check-of-the-settings"
"""A name that nobody has."""


class DirectoryDown(Exception):
    """The directory does not answer, or not as the settings want it to."""


class Refusal(Exception):
    """A person may not sign in. The text is for the log; ``dn``: their entry, if it is known."""

    def __init__(self, reason: str, dn: str = "") -> None:
        super().__init__(reason)
        self.dn = dn


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


def tls_context(config: LdapConfig, trust: Trust) -> ssl.SSLContext:
    """With a file of an authority the certificate is checked only if that is asked for;
    without one it always is (contract oauth §7)."""
    authority = config.ldap_ca_cert_path
    checked = not authority or config.ldap_tls_reject_unauthorized
    return trust.make(authority=authority, verify=checked)


class Directory:
    """One directory, on one server or on several that hold the same."""

    def __init__(self, config: LdapConfig, trust: Trust) -> None:
        self._config = config
        self._seconds = math.ceil(config.timeout_seconds)  # ldap3 knows only whole ones
        needs_tls = any(_encrypted(url) for url in config.addresses) or config.ldap_starttls
        self._tls = _Tls(tls_context(config, trust)) if needs_tls else None
        self._first = 0
        named = (config.ldap_id, config.ldap_username, config.ldap_email, *config.ldap_full_name)
        usual = (
            *("mail", "uid", "sAMAccountName", "userPrincipalName", "givenName", "sn"),
            *("cn", "name", "commonname", "displayName"),
        )
        self._attributes = list(dict.fromkeys(name for name in (*named, *usual) if name))

    def _server(self, url: str) -> Any:
        """A new one each time: ldap3's remembers which addresses answered, for all threads."""
        parts = urlsplit(url)
        return ldap3.Server(
            parts.hostname or "localhost",
            port=parts.port or (636 if _encrypted(url) else 389),
            use_ssl=_encrypted(url),
            tls=self._tls,
            get_info=ldap3.NONE,
            connect_timeout=self._seconds,
        )

    def _open(self, user: str | None, password: str | None) -> Any:
        """A connection, encrypted if that is configured, but not yet bound: to the server
        that answered last, or to the next that does."""
        failures = []
        urls = self._config.addresses
        for number in range(len(urls)):
            index = (self._first + number) % len(urls)
            server = self._server(urls[index])
            connection = ldap3.Connection(
                server,
                user=user or None,
                password=password if user else None,
                authentication=ldap3.SIMPLE if user else ldap3.ANONYMOUS,
                receive_timeout=self._seconds,
                # A referral would carry the password to another server.
                auto_referrals=False,
                read_only=True,
                check_names=False,
            )
            try:
                connection.open()
                if self._config.ldap_starttls and not server.ssl and not connection.start_tls():
                    raise LDAPException(f"no encryption: {said(connection.result)}")
            except (LDAPException, OSError) as error:
                _close(connection)
                failures.append(f"{server.host}:{server.port}: {_reason(error)}")
            else:
                self._first = index
                return connection
        raise DirectoryDown(f"the directory does not answer ({'; '.join(failures)})")

    @contextmanager
    def _connected(self, user: str | None, password: str | None) -> Iterator[Any]:
        connection = self._open(user, password)
        try:
            yield connection
        except (LDAPException, OSError) as error:
            raise DirectoryDown(_reason(error)) from error
        finally:
            _close(connection)

    @contextmanager
    def _searcher(self) -> Iterator[Any]:
        secret = self._config.ldap_bind_credentials
        password = secret.get_secret_value() if secret else ""
        with self._connected(self._config.ldap_bind_dn, password) as connection:
            if not connection.bind():
                told = refused_bind(connection.result)
                raise DirectoryDown(f"LDAP_BIND_DN, the account that searches, is refused: {told}")
            yield connection

    def reach(self) -> None:
        """Connect, bind and search as for somebody who signs in; `DirectoryDown` when that
        cannot work."""
        with self._searcher() as connection:
            self._search(connection, self._config.ldap_search_filter, _NOBODY)

    def find(self, name: str) -> Person:
        """The person whom the filter finds; `Refusal` when it finds nobody or several."""
        template = self._config.ldap_search_filter
        with self._searcher() as connection:
            found = self._search(connection, template, name)
            if len(found) > 1:
                raise Refusal("several people have this name")
            if found:
                return found[0]
            loose = without_conditions(template)
            left_out = self._search(connection, loose, name) if loose else []
        if left_out:
            raise Refusal(
                "the person is there, but the other conditions of LDAP_SEARCH_FILTER (a group?) "
                "do not hold",
                left_out[0].dn,
            )
        raise Refusal("nobody below LDAP_USER_SEARCH_BASE has this name")

    def _search(self, connection: Any, template: str, name: str) -> list[Person]:
        """The entries that a search finds, two at most."""
        connection.search(
            self._config.ldap_user_search_base,
            search_filter(template, name),
            search_scope=ldap3.SUBTREE,
            attributes=self._attributes,
            size_limit=2,
            time_limit=self._seconds,
        )
        result = connection.result
        if result.get("result") == _NOT_THERE:
            raise DirectoryDown(
                "LDAP_USER_SEARCH_BASE is not there, or LDAP_BIND_DN may not see it "
                f"({said(result)})"
            )
        if result.get("result") not in (_SUCCESS, _MORE_THAN_ASKED):
            anonymous = "" if self._config.ldap_bind_dn else " (nobody is bound: set LDAP_BIND_DN)"
            raise DirectoryDown(f"the search is refused{anonymous}: {said(result)}")
        entries = [each for each in connection.response or () if each["type"] == "searchResEntry"]
        return [_person(entry) for entry in entries if entry["dn"]]

    def check_password(self, person: Person, password: str) -> None:
        """`Refusal` unless this is the person's password. An empty one never is: directories
        take a bind without password for an anonymous one, and let it succeed."""
        if not password.strip("\0 \t\r\n") or not person.dn:
            raise Refusal("no password", person.dn)
        with self._connected(person.dn, password) as connection:
            if not connection.bind(controls=[(POLICY, False, None)]):
                raise Refusal(refused_bind(connection.result), person.dn)
            if must_change(connection.result):
                raise Refusal("the password must be changed first", person.dn)


def _encrypted(url: str) -> bool:
    return url.lower().startswith("ldaps://")


def _close(connection: Any) -> None:
    with suppress(LDAPException, OSError):  # it may be gone already
        connection.unbind()
    if connection.socket is not None:  # left open when connecting failed
        connection.socket.close()


def _reason(error: Exception) -> str:
    certificate = refused_certificate(error)
    if certificate is not None:
        return f"its certificate is not trusted: {certificate}"
    return f"{type(error).__name__}: {error}"


def _person(entry: Mapping[str, Any]) -> Person:
    found = {}
    for name, values in entry["raw_attributes"].items():
        if values:
            found[name.lower()] = tuple(map(_text, values))
    return Person(str(entry["dn"]), found)


def _text(value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.hex()  # objectGUID and the like
