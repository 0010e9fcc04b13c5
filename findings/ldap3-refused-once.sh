#!/bin/sh
# ldap3 (2.9.1): after one refused connection a Server object answers every attempt of the next five
# seconds with "invalid server address", without trying, although the server is there again. One
# Server kept for all connections makes a blink of the directory a five-second outage, and names the
# wrong reason for it; a Server made for each connection does not.
# Exits 0 while that is so, 1 when it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check "ldap3==2.9.1" "pyasn1==0.6.1"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import socket
import sys

import ldap3


def attempt(server: ldap3.Server) -> str:
    try:
        ldap3.Connection(server).open()
    except ldap3.core.exceptions.LDAPException as error:
        return str(error)
    return "connected"


def new() -> ldap3.Server:
    return ldap3.Server("127.0.0.1", port=port, get_info=ldap3.NONE, connect_timeout=5)


print("ldap3", ldap3.__version__)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
kept = new()
print("nobody listens:            ", attempt(kept))
with socket.create_server(("127.0.0.1", port)):
    same, fresh = attempt(kept), attempt(new())
print("somebody listens, as before:", same)
print("somebody listens, new object:", fresh)
sys.exit(0 if same == "invalid server address" and fresh == "connected" else 1)
PYTHON
