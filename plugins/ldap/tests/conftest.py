"""A directory (OpenLDAP's slapd, or one in Python), and accounts, for the tests."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from locutory import JSON, Context, HTTPError, Plugin, Provide, Public, Request, Route, hook
from locutory_contracts.sign_in import PASSWORD_CHECKS, SIGN_INS, Identity, IdentityRefused
from locutory_testing import Serve, Server
from locutory_testing.waiting import free_port, wait_until_it_listens

BASE = "dc=example,dc=com"
SEARCHER, SECRET = f"cn=searcher,{BASE}", "secret-of-the-searcher"

ENTRIES = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: uid=ada,ou=people,{BASE}
objectClass: inetOrgPerson
uid: ada
cn: Ada Lovelace
sn: Lovelace
givenName: Ada
displayName: Countess
mail: ada@example.com
mail: ada@second.example.com
employeeNumber: 1815
memberOf: cn=chatters,{BASE}
userPassword: ada-password

dn: uid=bob,ou=people,{BASE}
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Builder
mail: twin@example.com
userPassword: bob-password

dn: uid=bobby,ou=people,{BASE}
objectClass: inetOrgPerson
uid: bobby
cn: Bobby
sn: Builder
mail: twin@example.com
userPassword: bob-password

dn: cn=Nameless,ou=people,{BASE}
objectClass: inetOrgPerson
cn: Nameless
sn: Nameless
employeeNumber: 7
userPassword: nameless-password

dn: uid=bea,ou=people,{BASE}
objectClass: inetOrgPerson
uid: zoe
uid: bea
uid: alias
cn: Bea
sn: Bee
userPassword: bea-password

dn: cn=Zora,ou=people,{BASE}
objectClass: inetOrgPerson
uid: zora.two
uid: zora.one
cn: Zora
sn: Zett
userPassword: zora-password

dn: uid=first,ou=people,{BASE}
objectClass: inetOrgPerson
uid: first
cn: First Peter
sn: Peter
givenName: Peter
userPassword: peter-password

dn: uid=second,ou=people,{BASE}
objectClass: inetOrgPerson
uid: second
cn: Second Peter
sn: Peter
givenName: Peter
userPassword: peter-password

dn: uid=reset,ou=people,{BASE}
objectClass: inetOrgPerson
uid: reset
cn: Reset
sn: Reset
mail: reset@example.com
pwdReset: TRUE
userPassword: reset-password

dn: uid=locked,ou=people,{BASE}
objectClass: inetOrgPerson
uid: locked
cn: Locked
sn: Locked
mail: locked@example.com
pwdAccountLockedTime: 000001010000Z
userPassword: locked-password

dn: ou=hidden,{BASE}
objectClass: organizationalUnit
ou: hidden

dn: cn=chatters,{BASE}
objectClass: groupOfNames
cn: chatters
member: uid=ada,ou=people,{BASE}

dn: cn=policy,{BASE}
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdMustChange: TRUE
pwdLockout: TRUE

dn: uid=star,ou=people,{BASE}
objectClass: inetOrgPerson
uid: star
cn: Star *)(uid=*
sn: Star
employeeNumber: *)(uid=*
userPassword: star-password
"""

CONFIG = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
TLSCACertificateFile {folder}/ca.crt
TLSCertificateFile {folder}/server.crt
TLSCertificateKeyFile {folder}/server.key
{extra}
database mdb
suffix "{base}"
rootdn "{searcher}"
rootpw {secret}
directory {folder}/data
overlay ppolicy
ppolicy_default "cn=policy,{base}"
ppolicy_use_lockout
overlay memberof
access to dn.base="ou=hidden,{base}" by dn.base="{searcher}" read by * none
access to attrs=userPassword by anonymous auth by * none
access to * by anonymous {anonymous} by * read
"""


def _key(folder: Path, name: str) -> None:
    """A key for 127.0.0.1, and its own certificate as authority."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.crt").write_bytes(pem)
    (folder / "server.crt").write_bytes(pem)
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@dataclass(slots=True)
class OpenLdap:
    """A running directory."""

    url: str
    secure_url: str
    folder: Path
    is_openldap: bool

    def settings(self, **more: str) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {
            "LDAP_URL": self.url,
            "LDAP_USER_SEARCH_BASE": f"ou=people,{BASE}",
            "LDAP_BIND_DN": SEARCHER,
            "LDAP_BIND_CREDENTIALS": SECRET,
            "LDAP_SEARCH_FILTER": "uid={{username}}",
            **more,
        }


def openldap(folder: Path, ports: tuple[int, int]) -> list[str]:
    """The command of OpenLDAP's slapd with the people in it; ``[]`` where it is not installed."""
    program, loader = (
        shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("slapd", "slapadd")
    )
    if program is None or loader is None:
        return []
    (folder / "data").mkdir()
    text = CONFIG.format(
        folder=folder, base=BASE, searcher=SEARCHER, secret=SECRET, anonymous="read",
        # As directories that are open to this attack answer.
        extra="allow bind_anon_cred bind_anon_dn",
    )  # fmt: skip
    config = folder / "slapd.conf"
    config.write_text(text)
    (folder / "people.ldif").write_text(ENTRIES)
    load = [loader, "-f", str(config), "-l", str(folder / "people.ldif")]
    subprocess.run(load, check=True, capture_output=True)
    urls = f"ldap://127.0.0.1:{ports[0]} ldaps://127.0.0.1:{ports[1]}"
    return [program, "-f", str(config), "-h", urls, "-d", "0"]


def ldaptor(folder: Path, ports: tuple[int, int]) -> list[str]:
    """The command of a directory in Python, with the same people in it."""
    searcher = f"\ndn: {SEARCHER}\nobjectClass: person\ncn: searcher\nuserPassword: {SECRET}\n\n"
    (folder / "people.ldif").write_text(ENTRIES + searcher)
    program = Path(__file__).with_name("directory_process.py")
    files = [folder / name for name in ("people.ldif", "server.crt", "server.key")]
    return [sys.executable, "-W", "ignore", str(program), *map(str, files), *map(str, ports)]


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLdap]:
    """A directory with a few people on free ports: OpenLDAP where it is installed."""
    folder = tmp_path_factory.mktemp("slapd")
    _key(folder, "directory")
    ports = free_port(), free_port()
    command = openldap(folder, ports)
    found = bool(command)
    command = command or ldaptor(folder, ports)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for port in ports:
            wait_until_it_listens(process, port, "the directory")
        yield OpenLdap(
            f"ldap://127.0.0.1:{ports[0]}", f"ldaps://127.0.0.1:{ports[1]}", folder, found
        )
    finally:
        process.terminate()
        process.wait()


class People(Plugin):
    """Takes identities, and the route at which people sign in."""

    name = "people"
    summary = "Accounts for tests"
    provides = (SIGN_INS,)

    def __init__(self) -> None:
        self.identities: list[Identity] = []

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        self._services = ctx.services
        return [Provide(SIGN_INS, self)]

    @hook
    def routes(self) -> list[Route]:
        return [
            Route(
                path="/login",
                methods=("POST",),
                endpoint=self.login,
                access=Public("for tests"),
                summary="Sign in",
            )
        ]

    async def login(self, request: Request) -> JSON:
        check = self._services.named(PASSWORD_CHECKS, "ldap")
        assert check is not None
        try:
            found = await check.check(request.text("email") or "", request.text("password") or "")
        except IdentityRefused as refusal:
            raise HTTPError(404, {"message": str(refusal)}) from None
        return JSON({"id": found})

    async def adopt(self, identity: Identity, *, may_register: bool, address: str = "") -> str:
        assert may_register
        self.identities.append(identity)
        return identity.subject


@dataclass(slots=True)
class Site:
    """A server that asks a directory."""

    server: Server
    people: People

    async def login(self, name: str, password: str) -> tuple[int, Any]:
        """Status and message (or id) of a sign-in."""
        body = {"email": name, "password": password}
        response = await self.server.client.post("/login", json=body)
        if response.status_code == 500:
            return 500, response.text
        answer = response.json()
        return response.status_code, answer.get("id") or answer.get("message")


class Open(Protocol):
    def __call__(
        self, environment: Mapping[str, str], **options: Any
    ) -> AbstractAsyncContextManager[Site]: ...


@pytest.fixture
def site(serve: Serve) -> Open:
    """``async with site({...}) as found:``"""

    @asynccontextmanager
    async def start(environment: Mapping[str, str], **options: Any) -> AsyncIterator[Site]:
        people = People()
        async with serve("ldap", people, environment=environment, **options) as server:
            yield Site(server, people)

    return start
