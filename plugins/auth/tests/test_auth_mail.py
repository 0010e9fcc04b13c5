"""Letters and ways to send them (contract auth §10)."""

import asyncio
import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from locutory import JSON, Public, Request, Route, StartupError, hook
from locutory.data.cache import MemoryCache
from locutory.plugins.plugin import Plugin
from locutory_auth.config import MailSettings
from locutory_auth.mail.mailer import MAX_PER_HOUR, Mailer
from locutory_auth.mail.messages import VARIABLES, Templates
from locutory_auth.mail.services import known_service
from locutory_auth.mail.transports import Mailgun, NotSent, Smtp, make_transport
from locutory_http import Outgoing, Proxies, Trust, parse_proxy
from locutory_testing.network import ForwardProxy
from locutory_testing.waiting import until


def settings(mailbox: Any, **changes: Any) -> MailSettings:
    usual = {"email_from": "us@example.com", "app_title": "Test Chat"}
    return MailSettings(email_host="127.0.0.1", email_port=mailbox.port, **{**usual, **changes})


def box(
    chosen: MailSettings,
    pauses: tuple[float, ...] = (0.0, 0.0),
    outgoing: Outgoing | None = None,
) -> Mailer:
    return Mailer(chosen, MemoryCache(), outgoing or Outgoing(), structlog.get_logger(), pauses)


class TestTemplates:
    def test_what_people_type_stays_text(self, mailbox: Any) -> None:
        mail = box(settings(mailbox)).render(
            "verifyEmail",
            "Verify",
            "ann@example.com",
            "<b>Ann</b> {{link}} {% x %} \r\nBcc: eve@example.com",
            verificationLink="https://chat.example/verify?token=1&email=a%40b.c",
        )
        # A slash makes a name no name, so a plain one is tried as well.
        assert "<b>" not in mail.html
        plain = box(settings(mailbox)).render(
            "passwordReset", "Reset", "ann@example.com", "<i> {{year}} 'Ann' &\r\nX: y"
        )
        assert "&lt;i&gt; {{year}} &#x27;Ann&#x27; &amp; X: y" in plain.html
        assert "Hello <i> {{year}} 'Ann' & X: y," in plain.text
        assert 'href="https://chat.example/verify?token=1&amp;email=a%40b.c"' in mail.html
        assert "https://chat.example/verify?token=1&email=a%40b.c" in mail.text

    @pytest.mark.parametrize("name", ["", "go to http://evil.example", "WWW.evil.example", "a/b"])
    def test_a_made_up_name_leads_nobody_astray(self, mailbox: Any, name: str) -> None:
        mail = box(settings(mailbox)).render("passwordReset", "Reset", "ann@example.com", name)
        assert "Hello ann@example.com," in mail.text
        assert "evil" not in mail.text + mail.html

    def test_every_variable_is_used_and_no_other(self) -> None:
        for template, names in VARIABLES.items():
            values = {name: f"<{name}>" for name in names}
            text, html = Templates(None).render(template, values)
            assert "{{" not in text + html
            assert all(f"&lt;{name}&gt;" in html for name in names)

    def test_a_folder_replaces_single_files(self, tmp_path: Path) -> None:
        (tmp_path / "verifyEmail.html").write_text("<p>{{ name }}: {{verificationLink}}{{no}}</p>")
        templates = Templates(tmp_path)
        text, html = templates.render("verifyEmail", {"name": "A&B", "verificationLink": "L"})
        assert html == "<p>A&amp;B: L</p>"
        assert text.startswith("Hello A&B")
        assert templates.problems() == [
            "verifyEmail.html names no; known are appName, name, verificationLink, year"
        ]
        (tmp_path / "verifyEmail.html").write_bytes(b"\xff")
        assert "cannot be read" in templates.problems()[0]
        assert "does not exist" in Templates(tmp_path / "none").problems()[0]


class TestSmtp:
    async def test_a_letter_arrives(self, mailbox: Any) -> None:
        mailer = box(settings(mailbox))
        await mailer.send(
            "inviteUser", "Invite to\r\njoin!", "ann@example.com", "Änn, Ex", inviteLink="https://l"
        )
        message = await mailbox.next()
        assert mailbox.recipients == [["ann@example.com"]]
        assert message["From"] == "Test Chat <us@example.com>"
        assert message["To"].addresses[0].display_name == "Änn, Ex"
        assert message["Subject"] == "Invite to join!"
        assert message["Date"]
        assert message["Message-ID"].endswith("@example.com>")
        kinds = [part.get_content_type() for part in message.iter_parts()]
        assert kinds == ["text/plain", "text/html"]

    async def test_a_busy_server_is_asked_again(self, mailbox: Any) -> None:
        mailbox.refuse = "451 later"
        mailer = box(settings(mailbox), (0.05,) * 100)
        mailer.enqueue("passwordReset", "Reset", "ann@example.com")
        await until(lambda: mailbox.refused)
        mailbox.refuse = ""
        await mailbox.next()
        await mailer.drain()
        assert len(mailbox.messages) == 1

    @pytest.mark.parametrize("answer", ["550 no", "451 later"])
    async def test_giving_up_is_no_fault_of_the_caller(self, mailbox: Any, answer: str) -> None:
        mailbox.refuse = answer
        mailer = box(settings(mailbox))
        mailer.enqueue("passwordReset", "Reset", "ann@example.com")
        await mailer.drain()
        assert mailbox.messages == []
        with pytest.raises(NotSent) as failure:
            await mailer.send("passwordReset", "Reset", "ann@example.com")
        assert failure.value.final == answer.startswith("5")

    async def test_nobody_is_flooded(self, mailbox: Any) -> None:
        mailer = box(settings(mailbox))
        for _ in range(MAX_PER_HOUR + 5):
            mailer.enqueue("passwordReset", "Reset", "ann@example.com")
        mailer.enqueue("passwordReset", "Reset", "bob@example.com")
        await mailer.drain()
        sent = [to for (to,) in mailbox.recipients]
        assert sent.count("ann@example.com") == MAX_PER_HOUR
        assert sent.count("bob@example.com") == 1

    async def test_an_address_that_is_none(self, mailbox: Any) -> None:
        for address in ("ann@example.com\r\nRCPT TO:<eve@example.com>", "not an address", "a@b@c"):
            with pytest.raises(NotSent):
                await box(settings(mailbox)).send("passwordReset", "Reset", address)
        assert mailbox.messages == []

    async def test_a_server_that_is_away(self) -> None:
        chosen = MailSettings(email_host="127.0.0.1", email_port=1, email_from="us@example.com")
        with pytest.raises(NotSent) as failure:
            await box(chosen).send("passwordReset", "Reset", "ann@example.com")
        assert not failure.value.final

    async def test_starttls_can_be_insisted_on(self, mailbox: Any) -> None:
        chosen = settings(mailbox, email_encryption="STARTTLS")
        with pytest.raises(NotSent, match="STARTTLS"):
            await box(chosen).send("passwordReset", "Reset", "ann@example.com")

    def test_certificates_are_checked_unless_told_otherwise(self, mailbox: Any) -> None:
        strict = Smtp(settings(mailbox), Outgoing())._tls
        assert strict.verify_mode is ssl.CERT_REQUIRED
        assert strict.check_hostname
        loose = Smtp(settings(mailbox, email_allow_selfsigned=True), Outgoing())._tls
        assert loose.verify_mode is ssl.CERT_NONE

    async def test_nothing_is_sent_without_settings(self) -> None:
        mailer = box(MailSettings())
        assert not mailer.configured
        mailer.enqueue("passwordReset", "Reset", "ann@example.com")
        with pytest.raises(NotSent):
            await mailer.send("passwordReset", "Reset", "ann@example.com")

    @pytest.mark.parametrize(
        ("name", "host", "tls"),
        [
            ("gmail", "smtp.gmail.com", True),
            ("Outlook365", "smtp.office365.com", False),
            ("SES-EU-WEST-1", "email-smtp.eu-west-1.amazonaws.com", True),
            ("SES-AP-NORTHEAST-1", "email-smtp.ap-northeast-1.amazonaws.com", True),
        ],
    )
    def test_well_known_services(self, name: str, host: str, tls: bool) -> None:
        service = known_service(name)
        assert service is not None
        assert (service.host, service.tls) == (host, tls)
        chosen = MailSettings(email_service=name, email_from="us@example.com")
        assert isinstance(make_transport(chosen, Outgoing()), Smtp)

    def test_other_services_are_unknown(self) -> None:
        assert known_service("gmial") is None


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for mail.example, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "mail.pem"
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(pem, form, plain) + made.public_bytes(pem))
    return path


class TestSender:
    @pytest.mark.parametrize(
        ("given", "name", "shown"),
        [
            ("chat@x.example", None, "Test Chat <chat@x.example>"),
            ("Chat <chat@x.example>", None, "Chat <chat@x.example>"),
            ("Chat <chat@x.example>", "Us", "Us <chat@x.example>"),
            ('"Chat, Inc." <chat@x.example>', None, '"Chat, Inc." <chat@x.example>'),
            (" <chat@x.example>\n", None, "Test Chat <chat@x.example>"),
            ("Chat v1.2 <chat@localhost>", None, '"Chat v1.2" <chat@localhost>'),
        ],
    )
    async def test_forms(self, mailbox: Any, given: str, name: str | None, shown: str) -> None:
        chosen = settings(mailbox, email_from=given, email_from_name=name)
        await box(chosen).send("passwordReset", "Reset", "ann@example.com")
        assert mailbox.messages[-1]["from"] == shown
        assert str(Mailgun(chosen, Outgoing())._sender) == shown

    @pytest.mark.parametrize(
        "given",
        ["chat", "Chat <chat>", "Chat chat@x.example", "a@x.example, b@x.example", "Chat <a@x.example",
         "a@x..example", "ä@x.example", "<>", "Chat"],
    )  # fmt: skip
    async def test_what_is_none_is_named_at_the_start(self, serve: Any, given: str) -> None:
        with pytest.raises(StartupError, match=r"EMAIL_FROM.*: is no sender"):
            async with serve("auth", environment={"EMAIL_HOST": "h", "EMAIL_FROM": given}):
                pass
        # Nobody sends mail: nothing is wrong.
        assert not MailSettings(email_from=given).mail_configured


class TestCheckConnection:
    """The check at the start does all that sending does, but for the letter."""

    async def test_of_a_server_that_takes_letters(self, mailbox: Any) -> None:
        assert await box(settings(mailbox)).check_connection() is None
        assert await box(MailSettings()).check_connection() is None
        assert mailbox.messages == []

    async def test_of_none(self, serve: Any) -> None:
        chosen = MailSettings(email_host="127.0.0.1", email_port=1, email_from="us@example.com")
        told = await box(chosen).check_connection()
        assert told is not None
        assert told.startswith("mails cannot be sent: ")

    async def test_wrong_passwords_and_senders(self, mailbox: Any) -> None:
        told = await box(
            settings(mailbox, email_username="ann", email_password="x")
        ).check_connection()
        assert told is not None
        assert "AUTH" in told

    async def test_of_mailgun(self, serve: Any) -> None:
        fake = FakeMailgun()
        async with serve(fake) as server:
            chosen = MailSettings(
                mailgun_api_key="key",
                mailgun_domain="mg.example.com",
                mailgun_host=server.url,
                email_from="us@example.com",
            )
            fake.status = 400  # as Mailgun answers a letter to nobody
            assert await box(chosen).check_connection() is None
            assert "to" not in fake.taken[-1][1]
            fake.status = 401
            told = await box(chosen).check_connection()
            assert told is not None
            assert "Mailgun answered 401" in told


@pytest.mark.parametrize("encryption", ["tls", "starttls"])
async def test_encrypted_connections(mailbox: Any, certificate: Path, encryption: str) -> None:
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate)
    upgrade: dict[str, Any] = (
        {"tls_context": own, "require_starttls": True} if encryption == "starttls" else {}
    )
    listening = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, **upgrade),
        "127.0.0.1",
        0,
        ssl=own if encryption == "tls" else None,
    )
    mailbox.port = listening.sockets[0].getsockname()[1]

    async def send(trust: Trust | None = None, **changes: Any) -> None:
        chosen = settings(mailbox, email_encryption=encryption, **changes)
        mailer = box(chosen, outgoing=Outgoing(trust=trust))
        await mailer.send("passwordReset", "Reset", "ann@example.com")

    try:
        with pytest.raises(NotSent, match=r"certificate .* not trusted: self-signed"):
            await send(email_encryption_hostname="mail.example")
        told = await box(settings(mailbox, email_encryption=encryption)).check_connection()
        assert told is not None
        assert "certificate of the mail server is not trusted: self-signed" in told
        loose = settings(mailbox, email_encryption=encryption, email_allow_selfsigned=True)
        assert await box(loose).check_connection() is None
        await send(email_allow_selfsigned=True)
        for trust in (Trust(file=str(certificate)), Trust(extra=str(certificate))):
            await send(trust, email_encryption_hostname="mail.example")
            with pytest.raises(NotSent, match=r"not valid for '127.0.0.1'"):
                await send(trust)
            with pytest.raises(NotSent, match=r"not valid for 'other.example'"):
                await send(trust, email_encryption_hostname="other.example")
        assert len(mailbox.messages) == 3
    finally:
        listening.close()
        await listening.wait_closed()


class FakeMailgun(Plugin):
    """Takes letters as Mailgun does."""

    name = "mailgun"
    summary = "Takes letters; for tests only"

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.status = 200

    @hook
    def routes(self) -> list[Route]:
        return [
            Route(
                path="/v3/{domain}/messages",
                methods=("POST",),
                endpoint=self.take,
                access=Public("a test"),
                summary="Takes a letter",
            )
        ]

    async def take(self, request: Request) -> JSON:
        self.taken.append((request.headers["authorization"], dict(request.fields)))
        return JSON({"domain": request.path_params["domain"]}, self.status)


class TestMailgun:
    async def test_goes_first(self, serve: Any) -> None:
        fake = FakeMailgun()
        async with serve(fake) as server:
            chosen = MailSettings(
                mailgun_api_key="key",
                mailgun_domain="mg.example.com",
                mailgun_host=server.url + "/",
                email_host="127.0.0.1",
                email_port=1,
                email_from="us@example.com",
                email_from_name="Us",
            )
            assert isinstance(make_transport(chosen, Outgoing()), Mailgun)
            await box(chosen).send("passwordReset", "Reset", "ann@example.com", "Ann")
            ((authorization, fields),) = fake.taken
            assert authorization == "Basic " + base64.b64encode(b"api:key").decode()
            assert fields["from"] == "Us <us@example.com>"
            assert fields["to"] == "Ann <ann@example.com>"
            assert fields["subject"] == "Reset"
            assert "Hello Ann," in fields["text"]
            assert "Hello Ann," in fields["html"]
            async with ForwardProxy().running() as proxy:
                behind = Outgoing(Proxies(parse_proxy(proxy.place)))
                mailer = box(chosen, outgoing=behind)
                await mailer.send("passwordReset", "Reset", "ann@example.com")
                assert proxy.seen == [f"POST {server.url}/v3/mg.example.com/messages"]
            for status, final in ((401, True), (429, False), (500, False)):
                fake.status = status
                with pytest.raises(NotSent) as failure:
                    await box(chosen).send("passwordReset", "Reset", "ann@example.com")
                assert failure.value.final is final
