"""Which certificates are trusted, with real servers of TLS."""

import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest

from locutory_http import CertificateNotTrusted, Outgoing, Trust, refused_certificate
from locutory_testing.network import Authority


async def reach(origins: Any, tls: ssl.SSLContext, trust: Trust, host: str = "localhost") -> str:
    async with origins().running(tls) as server, Outgoing(trust=trust).client(5.0) as client:
        return str((await client.get(server.url(host))).text)


@pytest.fixture(params=[True, False], ids=["key identifiers", "no key identifiers"])
def authority(request: pytest.FixtureRequest, tmp_path: Path) -> Authority:
    return Authority(tmp_path, key_identifiers=request.param)


async def test_authorities_of_ones_own(origins: Any, authority: Authority) -> None:
    """On Python 3.13 too, whose strict checks refuse authorities without key identifiers."""
    tls = authority.server("localhost")
    for trust in (Trust(extra=str(authority.file)), Trust(file=str(authority.file))):
        assert trust.warnings == []
        assert await reach(origins, tls, trust) == "hello"


async def test_everything_else_is_still_checked(
    origins: Any, authority: Authority, tmp_path: Path
) -> None:
    trust = Trust(extra=str(authority.file))
    assert trust.context.verify_mode is ssl.CERT_REQUIRED
    assert trust.context.check_hostname
    assert not trust.context.verify_flags & ssl.VERIFY_X509_STRICT
    (other := tmp_path / "other").mkdir()
    for tls, reason in (
        (authority.server("other.example"), "not valid for 'localhost'"),
        (authority.server("localhost", expired=True), "expired"),
        (Authority(other, "Other CA").server("localhost"), "NODE_EXTRA_CA_CERTS"),
    ):
        with pytest.raises(CertificateNotTrusted, match="certificate is not trusted") as failed:
            await reach(origins, tls, trust)
        assert reason in str(failed.value)


async def test_an_unknown_authority_is_named_as_the_reason(
    origins: Any, authority: Authority
) -> None:
    with pytest.raises(httpx2.ConnectError, match=r"not trusted: .*NODE_EXTRA_CA_CERTS"):
        await reach(origins, authority.server("localhost"), Trust())
    async with origins().running(authority.server("localhost")) as server:
        allowed = [f"localhost:{server.port}"]
        async with Outgoing().guarded(allowed, 5.0) as client:
            with pytest.raises(CertificateNotTrusted):
                await client.get(server.url())
        trusting = Outgoing(trust=Trust(extra=str(authority.file)))
        async with trusting.guarded(allowed, 5.0) as client:
            assert (await client.get(server.url())).text == "hello"


async def test_extra_authorities_add_to_whichever_roots_there_are(
    origins: Any, tmp_path: Path
) -> None:
    one, two = Authority(tmp_path, "One"), Authority(tmp_path, "Two")
    both = Trust(file=str(one.file), extra=str(two.file))
    for authority in (one, two):
        assert await reach(origins, authority.server("localhost"), both) == "hello"
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(
        b"# Our authorities\r\n" + one.file.read_bytes() + b"\n\n" + two.file.read_bytes()
    )
    for authority in (one, two):
        trust = Trust(extra=str(bundle))
        assert await reach(origins, authority.server("localhost"), trust) == "hello"
    usual = len(Trust().context.get_ca_certs())
    assert len(both.context.get_ca_certs()) == 2
    assert len(Trust(extra=str(two.file)).context.get_ca_certs()) == usual + 1


async def test_what_cannot_be_read_is_a_warning(origins: Any, tmp_path: Path) -> None:
    """As in Node: those that can be read count."""
    authority = Authority(tmp_path)
    empty, half = tmp_path / "empty.pem", tmp_path / "half.pem"
    empty.write_text("nothing\n")
    half.write_bytes(
        authority.file.read_bytes()
        + b"-----BEGIN CERTIFICATE-----\nTm90aGluZw==\n-----END CERTIFICATE-----\n"
    )
    for path, told in (
        (tmp_path / "missing.pem", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (empty, "holds no certificate"),
        (half, "1 unreadable certificates of 2"),
    ):
        trust = Trust(extra=str(path))
        [warning] = trust.warnings
        assert warning.startswith(f"NODE_EXTRA_CA_CERTS: {path} ")
        assert told in warning
        assert trust.context
    trust = Trust(extra=str(half))
    assert await reach(origins, authority.server("localhost"), trust) == "hello"
    [warning] = Trust(file=str(tmp_path / "missing.pem")).warnings
    assert warning.startswith("SSL_CERT_FILE: ")
    [warning] = Trust(folder=str(tmp_path / "missing")).warnings
    assert warning.startswith("SSL_CERT_DIR: ")


async def test_roots_that_cannot_be_read_trust_nobody(origins: Any, tmp_path: Path) -> None:
    """A wrong `SSL_CERT_FILE` does not bring the system's roots back."""
    trust = Trust(file=str(tmp_path / "missing.pem"))
    assert trust.context.get_ca_certs() == []
    with pytest.raises(CertificateNotTrusted):
        await reach(origins, Authority(tmp_path).server("localhost"), trust)


async def test_contexts_for_other_protocols(tmp_path: Path) -> None:
    one, two = Authority(tmp_path, "One"), Authority(tmp_path, "Two")
    trust = Trust(extra=str(one.file))
    only = trust.make(authority=str(two.file))
    assert len(only.get_ca_certs()) == 1
    assert only.verify_mode is ssl.CERT_REQUIRED
    assert not only.verify_flags & ssl.VERIFY_X509_STRICT
    loose = trust.make(verify=False)
    assert loose.verify_mode is ssl.CERT_NONE
    named = trust.make(name="mail.example")
    assert named.check_hostname
    assert not named.verify_flags & ssl.VERIFY_X509_STRICT
    for wrong in (tmp_path / "missing.pem", tmp_path):
        with pytest.raises(OSError):
            trust.make(authority=str(wrong))


def test_other_errors_are_no_certificates() -> None:
    assert refused_certificate(OSError("no")) is None
    assert refused_certificate(None) is None
    circle = ValueError("a")
    circle.__cause__ = ValueError("b")
    circle.__cause__.__cause__ = circle
    assert refused_certificate(circle) is None
