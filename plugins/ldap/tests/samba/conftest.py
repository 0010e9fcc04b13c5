"""Samba as an Active Directory domain controller, for the slow tests.

It is provisioned into a temporary folder and listens on an address of its own in 127.0.0.0/8, since
its ports cannot be chosen; nothing outside that folder is written.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from locutory_testing.network import Authority

PASSWORD = "Passw0rd-of-everybody"
BASE = "dc=samba,dc=test"
PEOPLE: dict[str, dict[str, str]] = {
    "searcher": {},
    "anna": {"given-name": "Änne", "surname": "Größe", "mail-address": "anna@example.com"},
    "peter1": {"given-name": "Peter", "surname": "Alpha"},
    "peter2": {"given-name": "Peter", "surname": "Beta"},
    "disabled": {},
    "expired": {},
    "mustchange": {},
}


@dataclass(slots=True)
class Samba:
    """A running domain controller."""

    address: str
    folder: Path
    authority: Path

    @property
    def url(self) -> str:
        return f"ldap://{self.address}"

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {
            "LDAP_URL": self.url,
            "LDAP_USER_SEARCH_BASE": f"cn=users,{BASE}",
            "LDAP_BIND_DN": f"cn=searcher,cn=users,{BASE}",
            "LDAP_BIND_CREDENTIALS": PASSWORD,
            "LDAP_SEARCH_FILTER": "(&(objectClass=user)(sAMAccountName={{username}}))",
            "LDAP_ID": "objectGUID",
            "LDAP_STARTTLS": "true",
            "LDAP_CA_CERT_PATH": str(self.authority),
            "LDAP_TLS_REJECT_UNAUTHORIZED": "true",
            **more,
        }


def free_address() -> str:
    """An address of this machine on which nobody listens for LDAP."""
    for _ in range(100):
        address = "127." + ".".join(str(1 + secrets.randbelow(250)) for _ in range(3))
        try:
            for port in (389, 636, 3268, 3269):
                with socket.create_server((address, port)):
                    pass
        except OSError:
            continue
        return address
    raise AssertionError("no free address")


def provision(folder: Path, address: str) -> Path:
    """A domain with a few people; its configuration."""

    def tool(*arguments: str) -> None:
        done = subprocess.run(
            ["samba-tool", *arguments], capture_output=True, text=True, check=False, cwd=folder
        )
        assert done.returncode == 0, done.stdout + done.stderr

    empty = folder / "empty.conf"
    empty.write_text("[global]\n")
    tool(
        "domain", "provision", f"--configfile={empty}", f"--targetdir={folder}",
        "--realm=SAMBA.TEST", "--domain=SAMBA", f"--adminpass={PASSWORD}", "--server-role=dc",
        "--dns-backend=NONE", "--host-name=dc1", f"--host-ip={address}",
        # Access lists in a file: not every file system has extended attributes.
        "--option=vfs objects=dfs_samba4 acl_xattr xattr_tdb",
    )  # fmt: skip
    authority = Authority(folder, key_identifiers=False)
    (folder / "server.pem").write_bytes(authority.certificate(address).read_bytes())
    (folder / "server.pem").chmod(0o600)
    config = folder / "etc" / "smb.conf"
    more = f"""[global]
        interfaces = {address}/8
        bind interfaces only = yes
        server services = ldap
        pid directory = {folder}
        ncalrpc dir = {folder}/ncalrpc
        winbindd socket directory = {folder}/winbindd
        ntp signd socket directory = {folder}/ntp
        log file = {folder}/log.%m
        ldap server require strong auth = no
        tls certfile = {folder}/server.pem
        tls keyfile = {folder}/server.pem
        tls cafile = {authority.file}
        tls verify peer = no_check
"""
    text = config.read_text()
    kept = [line for line in text.splitlines() if "server services" not in line]
    config.write_text("\n".join(kept).replace("[global]\n", more, 1) + "\n")
    where = (f"--configfile={config}", "-H", str(folder / "private" / "sam.ldb"))
    for name, values in PEOPLE.items():
        options = [f"--{option}={value}" for option, value in values.items()]
        tool("user", "create", name, PASSWORD, *options, *where)
    tool("user", "disable", "disabled", *where)
    tool("user", "setexpiry", "expired", "--days=-1", *where)
    must = ("--newpassword", PASSWORD, "--must-change-at-next-login")
    tool("user", "setpassword", "mustchange", *must, *where)
    tool("group", "add", "chatters", *where)
    tool("group", "addmembers", "chatters", "anna", *where)
    return config


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """A domain controller that lives as long as the session."""
    if not Path("/usr/share/samba/setup/ad-schema").is_dir() or shutil.which("samba") is None:
        pytest.skip("Samba is not installed: tests/install.sh (samba-ad-dc)")
    if os.geteuid() != 0:
        pytest.skip("Samba listens on port 389, which only root may")
    folder, address = tmp_path_factory.mktemp("samba"), free_address()
    config = provision(folder, address)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            ["samba", f"--configfile={config}", "-i", "-M", "single", "--no-process-group"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 60
        for port in (389, 636):
            while True:
                try:
                    socket.create_connection((address, port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "output").read_text()
                    assert time.monotonic() < deadline, "samba did not start"
                    time.sleep(0.05)
        yield Samba(address, folder, folder / "test-ca.pem")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def password() -> str:
    """Everybody's."""
    return PASSWORD


@pytest.fixture
def base() -> Any:
    return BASE
