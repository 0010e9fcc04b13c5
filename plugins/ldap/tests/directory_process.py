"""A directory for machines without OpenLDAP: ``directory_process.py <ldif> <cert> <key> <port> <tls port>``.

ldaptor answers binds and searches; it lacks StartTLS, and unlike directories that are open to
the attack it refuses a name with an empty password, so both are added here.
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from ldaptor.attributeset import LDAPAttributeSet
from ldaptor.inmemory import fromLDIFFile
from ldaptor.interfaces import IConnectedLDAPEntry
from ldaptor.protocols import pureldap
from ldaptor.protocols.ldap.ldapserver import LDAPServer
from twisted.internet import protocol, ssl
from twisted.internet import reactor as installed_reactor
from twisted.python.components import registerAdapter

reactor: Any = installed_reactor  # typed as a module


class Server(LDAPServer):  # type: ignore[misc]  # ldaptor tells no types
    def handle_LDAPBindRequest(self, request: Any, controls: Any, reply: Any) -> Any:  # noqa: N802
        if not request.auth:
            self.boundUser = None
            return pureldap.LDAPBindResponse(resultCode=0)
        return super().handle_LDAPBindRequest(request, controls, reply)

    def handle_LDAPExtendedRequest(self, request: Any, controls: Any, reply: Any) -> Any:  # noqa: N802
        if request.requestName != pureldap.LDAPStartTLSRequest.oid:
            return super().handle_LDAPExtendedRequest(request, controls, reply)
        reply(pureldap.LDAPStartTLSResponse(resultCode=0))
        self.transport.startTLS(self.factory.tls)
        return None


class Directory(protocol.ServerFactory):
    protocol = Server

    def __init__(self, root: Any, tls: Any) -> None:
        self.root, self.tls = root, tls


def _in_order(values: Any) -> Any:
    """The values of an attribute, which ldaptor has in a set, always in the same order."""
    return iter(sorted(set.__iter__(values)))


def main(entries: str, certificate: str, key: str, port: str, secure_port: str) -> None:
    LDAPAttributeSet.__iter__ = _in_order
    tls = ssl.DefaultOpenSSLContextFactory(key, certificate)
    registerAdapter(lambda directory: directory.root, Directory, IConnectedLDAPEntry)

    def listen(root: Any) -> None:
        directory = Directory(root, tls)
        reactor.listenTCP(int(port), directory, interface="127.0.0.1")
        reactor.listenSSL(int(secure_port), directory, tls, interface="127.0.0.1")

    fromLDIFFile(BytesIO(Path(entries).read_bytes())).addCallback(listen)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
