"""Ways to hand a letter over: SMTP, and Mailgun's interface (contract auth §10)."""

import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from functools import cached_property
from typing import Protocol

import aiosmtplib
import httpx2

from locutory_auth.config.mail import MailSettings
from locutory_auth.mail.letters import Letter
from locutory_auth.mail.services import Service, known_service
from locutory_http import Outgoing, refused_certificate

SECONDS = 30.0
LARGEST = 1024 * 1024
"""Bytes of an answer at most."""


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

    def __init__(self, settings: MailSettings, outgoing: Outgoing) -> None:
        self._settings = settings
        self._outgoing = outgoing
        known = known_service(settings.email_service) if settings.email_service else None
        self._server = known or Service(
            settings.email_host or "localhost",
            settings.email_port,
            tls=settings.email_encryption == "tls",
        )
        self._sender = settings.email_from or ""
        self._sender_name = settings.email_from_name or settings.app_title

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        settings = self._settings
        return self._outgoing.trust.make(
            verify=not settings.email_allow_selfsigned, name=settings.email_encryption_hostname
        )

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
                tls_context=self._tls,
                timeout=SECONDS,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"{error.code} {error.message}", final=error.code >= 500) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise NotSent("the recipient was refused", final=min(codes) >= 500) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _not_sent(error) from error

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


def _not_sent(error: Exception) -> NotSent:
    reason = refused_certificate(error)
    if reason is not None:
        return NotSent(f"the certificate of the mail server is not trusted: {reason}", final=True)
    return NotSent(str(error) or type(error).__name__, final=isinstance(error, ValueError))


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
        self._sender = settings.email_from or ""
        self._sender_name = settings.email_from_name or settings.app_title
        self._outgoing = outgoing

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
            async with self._outgoing.client(SECONDS, most=LARGEST) as client:
                answer = await client.post(self._url, data=fields, auth=("api", self._key))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise NotSent(str(error) or type(error).__name__) from error
        if answer.status_code != 200:
            final = 400 <= answer.status_code < 500 and answer.status_code != 429
            raise NotSent(f"Mailgun answered {answer.status_code}", final=final)


def transport(settings: MailSettings, outgoing: Outgoing) -> Transport | None:
    """The configured way; ``None`` when mail is not configured."""
    if not settings.mail_configured:
        return None
    return Mailgun(settings, outgoing) if settings.uses_mailgun else Smtp(settings, outgoing)
