"""Ways to hand a mail over: SMTP, and Mailgun's interface (contract auth §10)."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from functools import cached_property
from typing import Protocol

import aiosmtplib
import httpx2

from locutory_auth.config.mail import MailSettings
from locutory_auth.mail.messages import MailMessage
from locutory_auth.mail.services import Service, known_service
from locutory_http import Outgoing, refused_certificate

SECONDS = 30.0
LARGEST = 1024 * 1024
"""The maximum bytes of a response."""


class NotSent(Exception):
    """A mail was not accepted. ``final``: another attempt would fail too."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Transport(Protocol):
    """Hands mails over."""

    async def send(self, mail: MailMessage) -> None:
        """Hand one over; `NotSent` when it was not taken."""
        ...

    async def check_connection(self) -> None:
        """All that sending does but for the mail itself; `NotSent` when that fails."""
        ...


def _address(name: str, address: str) -> Address:
    try:
        # Line breaks would be refused, and a header is no place for them.
        return Address(display_name=" ".join(name.split()), addr_spec=address)
    except (ValueError, IndexError, MessageError) as error:
        raise NotSent(f"no mail address: {error}", final=True) from error


class Smtp:
    """An SMTP server."""

    def __init__(self, settings: MailSettings, outgoing: Outgoing) -> None:
        self._settings = settings
        self._outgoing = outgoing
        known = known_service(settings.email_service) if settings.email_service else None
        self._server = known or Service(
            settings.email_host or "localhost",
            settings.email_port,
            tls=settings.email_encryption == "tls",
        )
        self._sender = settings.sender

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        settings = self._settings
        return self._outgoing.trust.make(
            verify=not settings.email_allow_selfsigned, name=settings.email_encryption_hostname
        )

    def _client(self) -> aiosmtplib.SMTP:
        """Connects, encrypts and signs in when it is entered."""
        settings, server = self._settings, self._server
        password = settings.email_password
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=settings.email_username or None,
            password=password.get_secret_value() if password else None,
            use_tls=server.tls,
            # None upgrades where the server offers it.
            start_tls=_upgrade(settings.email_encryption, server),
            tls_context=self._tls,
            timeout=SECONDS,
        )

    async def send(self, mail: MailMessage) -> None:
        """Send one mail by SMTP."""
        with _smtp_errors():
            message = self._message(mail)
            async with self._client() as client:
                await client.send_message(message)

    async def check_connection(self) -> None:
        """Check the connection: announce the sender to the SMTP server, and reset."""
        with _smtp_errors():
            async with self._client() as client:
                await client.mail(self._sender.addr_spec)
                await client.rset()

    def _message(self, mail: MailMessage) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = _address(mail.name, mail.address)
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = localtime()
        message["Message-ID"] = make_msgid(domain=self._sender.domain or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message


@contextmanager
def _smtp_errors() -> Iterator[None]:
    """Errors of SMTP as `NotSent`."""
    try:
        yield
    except aiosmtplib.SMTPResponseException as error:
        raise NotSent(f"{error.code} {error.message}", final=error.code >= 500) from error
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = [refused.code for refused in error.recipients]
        raise NotSent("the recipient was refused", final=min(codes) >= 500) from error
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        reason = refused_certificate(error)
        if reason is None:
            final = isinstance(error, ValueError)
            raise NotSent(str(error) or type(error).__name__, final=final) from error
        text = f"the certificate of the mail server is not trusted: {reason}"
        raise NotSent(text, final=True) from error


def _upgrade(encryption: str, server: Service) -> bool | None:
    if server.tls:
        return False
    return True if encryption == "starttls" else None


class Mailgun:
    """Mailgun's interface."""

    def __init__(self, settings: MailSettings, outgoing: Outgoing) -> None:
        host = settings.mailgun_host.rstrip("/")
        self._url = f"{host}/v3/{settings.mailgun_domain}/messages"
        key = settings.mailgun_api_key
        self._key = key.get_secret_value() if key else ""
        self._sender = settings.sender
        self._outgoing = outgoing

    async def send(self, mail: MailMessage) -> None:
        """Send one mail by Mailgun; raises `NotSent` when it does not accept it."""
        fields = {
            "from": str(self._sender),
            "to": str(_address(mail.name, mail.address)),
            "subject": " ".join(mail.subject.split()),
            "text": mail.text,
            "html": mail.html,
        }
        status = await self._post(fields)
        if status != 200:
            final = 400 <= status < 500 and status != 429
            raise NotSent(f"Mailgun answered {status}", final=final)

    async def check_connection(self) -> None:
        """Check the connection: post a mail without a recipient, which Mailgun refuses as
        incomplete when key and domain are right. Raises `NotSent` otherwise."""
        status = await self._post({"from": str(self._sender)})
        if status in (401, 403, 404) or status >= 500:
            raise NotSent(f"Mailgun answered {status} for MAILGUN_API_KEY and MAILGUN_DOMAIN")

    async def _post(self, fields: Mapping[str, str]) -> int:
        try:
            async with self._outgoing.client(SECONDS, most=LARGEST) as client:
                answer = await client.post(self._url, data=fields, auth=("api", self._key))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise NotSent(str(error) or type(error).__name__) from error
        return answer.status_code


def make_transport(settings: MailSettings, outgoing: Outgoing) -> Transport | None:
    """The configured way; ``None`` when mail is not configured."""
    if not settings.mail_configured:
        return None
    return Mailgun(settings, outgoing) if settings.uses_mailgun else Smtp(settings, outgoing)
