"""Ways to hand a letter over: SMTP, and Mailgun's interface (contract auth §10)."""

import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from typing import Protocol

import aiosmtplib
import httpx2

from locutory_auth.config.mail import MailSettings
from locutory_auth.mail.letters import Letter
from locutory_auth.mail.services import Service, known_service

SECONDS = 30.0


class NotSent(Exception):
    """A letter was not taken. ``final``: trying again is no use."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Transport(Protocol):
    """Hands letters over."""

    async def send(self, letter: Letter) -> None:
        """Hand one over; `NotSent` when it was not taken."""
        ...


def _address(name: str, address: str) -> Address:
    try:
        # Line breaks would be refused, and a header is no place for them.
        return Address(display_name=" ".join(name.split()), addr_spec=address)
    except (ValueError, IndexError, MessageError) as error:
        raise NotSent(f"no mail address: {error}", final=True) from error


class Smtp:
    """An SMTP server."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        known = known_service(settings.email_service) if settings.email_service else None
        self._server = known or Service(
            settings.email_host or "localhost",
            settings.email_port,
            tls=settings.email_encryption == "tls",
        )
        self._sender = settings.email_from or ""
        self._sender_name = settings.email_from_name or settings.app_title

    async def send(self, letter: Letter) -> None:
        """See the protocol."""
        settings, server = self._settings, self._server
        password = settings.email_password
        try:
            message = self._message(letter)
            await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                username=settings.email_username or None,
                password=password.get_secret_value() if password else None,
                use_tls=server.tls,
                # None upgrades where the server offers it.
                start_tls=_upgrade(settings.email_encryption, server),
                tls_context=self._context(),
                timeout=SECONDS,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"{error.code} {error.message}", final=error.code >= 500) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise NotSent("the recipient was refused", final=min(codes) >= 500) from error
        except ValueError as error:
            raise NotSent(str(error), final=True) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(str(error) or type(error).__name__) from error

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = _address(self._sender_name, self._sender)
        message["To"] = _address(letter.name, letter.address)
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = localtime()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        return message

    def _context(self) -> ssl.SSLContext:
        name = self._settings.email_encryption_hostname
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.expected = name
        context.load_default_certs()
        if self._settings.email_allow_selfsigned:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class _NamedContext(ssl.SSLContext):
    """Checks the certificate against a name of its own when one is given."""

    expected: str | None = None

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


def _upgrade(encryption: str, server: Service) -> bool | None:
    if server.tls:
        return False
    return True if encryption == "starttls" else None


class Mailgun:
    """Mailgun's interface."""

    def __init__(self, settings: MailSettings) -> None:
        host = settings.mailgun_host.rstrip("/")
        self._url = f"{host}/v3/{settings.mailgun_domain}/messages"
        key = settings.mailgun_api_key
        self._key = key.get_secret_value() if key else ""
        self._sender = settings.email_from or ""
        self._sender_name = settings.email_from_name or settings.app_title
        self._proxy = settings.outbound_proxy

    async def send(self, letter: Letter) -> None:
        """See the protocol."""
        fields = {
            "from": str(_address(self._sender_name, self._sender)),
            "to": str(_address(letter.name, letter.address)),
            "subject": " ".join(letter.subject.split()),
            "text": letter.text,
            "html": letter.html,
        }
        try:
            async with httpx2.AsyncClient(proxy=self._proxy, timeout=SECONDS) as client:
                answer = await client.post(self._url, data=fields, auth=("api", self._key))
        except httpx2.HTTPError as error:
            raise NotSent(str(error) or type(error).__name__) from error
        if answer.status_code != 200:
            final = 400 <= answer.status_code < 500 and answer.status_code != 429
            raise NotSent(f"Mailgun answered {answer.status_code}", final=final)


def transport(settings: MailSettings) -> Transport | None:
    """The configured way; ``None`` when mail is not configured."""
    if not settings.mail_configured:
        return None
    return Mailgun(settings) if settings.uses_mailgun else Smtp(settings)
