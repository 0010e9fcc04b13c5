"""Sending mail in the background, so that the duration of a response does not reveal who has an
account."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from locutory import Cache
from locutory_auth.config.mail import MailSettings
from locutory_auth.mail.messages import MailMessage, Templates
from locutory_auth.mail.transports import NotSent, Transport, make_transport
from locutory_http import Outgoing

PAUSES = (1.0, 5.0, 25.0)
"""Seconds before the second, third and fourth attempt."""

CHECK_SECONDS = 5.0
"""Time limit of the check of the mail server."""

MAX_CONCURRENT = 4
MAX_WAITING = 1000
MAX_PER_HOUR = 20
"""Mails to one address in an hour: strangers shall not flood it."""


_HOUR = 3600.0


class Mailer:
    """Renders mails and sees to it that they are sent.

    Args:
        pauses: seconds between attempts.
    """

    def __init__(
        self,
        settings: MailSettings,
        cache: Cache,
        outgoing: Outgoing,
        log: structlog.stdlib.BoundLogger,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self.templates = Templates(settings.mail_templates)
        self._app = settings.app_title
        self._transport: Transport | None = make_transport(settings, outgoing)
        self._cache = cache
        self._log = log
        self._pauses = pauses
        self._waiting: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(MAX_CONCURRENT)

    @property
    def configured(self) -> bool:
        """``True`` when mail is configured."""
        return self._transport is not None

    def enqueue(
        self, template: str, subject: str, address: str, name: str = "", **values: str
    ) -> None:
        """Send a mail soon. Faults are logged, never felt; without mail nothing happens."""
        if self._transport is None:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._log.error("mail.dropped", template=template, reason="too many letters wait")
            return
        mail = self.render(template, subject, address, name, **values)
        task = asyncio.create_task(self._deliver(self._transport, mail, template))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def send(
        self, template: str, subject: str, address: str, name: str = "", **values: str
    ) -> None:
        """Send a mail now; `NotSent` when it was not taken."""
        if self._transport is None:
            raise NotSent("mail is not configured", final=True)
        await self._transport.send(self.render(template, subject, address, name, **values))

    async def check_connection(self) -> str | None:
        """The reason why mails cannot be sent, for the deployment's checks."""
        if self._transport is None:
            return None
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._transport.check_connection()
        except (NotSent, TimeoutError) as error:
            reason = str(error) or f"no answer in {CHECK_SECONDS:.0f} seconds"
            return f"mails cannot be sent: {reason}"
        return None

    def render(
        self, template: str, subject: str, address: str, name: str = "", **values: str
    ) -> MailMessage:
        """A mail from its template. ``name`` is the addressee's, also in the text; the address
        replaces a missing name, and one that somebody made up to lure strangers to their site."""
        if "/" in name or "www." in name.lower():
            name = ""
        table = {"appName": self._app, "year": str(time.gmtime().tm_year), **values}
        text, html = self.templates.render(template, {"name": name or address, **table})
        return MailMessage(address, name, subject, text, html)

    async def _deliver(self, transport: Transport, mail: MailMessage, template: str) -> None:
        key = hashlib.sha256(mail.address.encode()).hexdigest()
        if await self._cache.increment("mail:sent", key, 1, _HOUR) > MAX_PER_HOUR:
            self._log.warning("mail.dropped", template=template, reason="too many to one address")
            return
        for pause in (*self._pauses, None):
            try:
                async with self._turn:
                    await transport.send(mail)
            except NotSent as error:
                if error.final or pause is None:
                    self._log.error("mail.not_sent", template=template, reason=str(error))
                    return
                self._log.warning("mail.will_retry", template=template, reason=str(error))
                await asyncio.sleep(pause)
            except Exception:
                self._log.exception("mail.broken", template=template)
                return
            else:
                self._log.info("mail.sent", template=template)
                return

    async def drain(self) -> None:
        """Wait until every mail is sent or given up."""
        while self._waiting:
            await asyncio.wait(set(self._waiting))

    async def close(self) -> None:
        """Abandon the waiting mails."""
        for task in list(self._waiting):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
