"""Sends letters in the background, so that no answer tells by its time who has an account."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog

from locutory import Cache
from locutory_auth.config.mail import MailSettings
from locutory_auth.mail.letters import Letter, Templates
from locutory_auth.mail.transports import NotSent, Transport, transport
from locutory_http import Outgoing

PAUSES = (1.0, 5.0, 25.0)
"""Seconds before the second, third and fourth attempt."""

REACH_SECONDS = 5.0
"""What the check of the deployment waits for the server of mail."""

AT_ONCE = 4
MOST_WAITING = 1000
MOST_AN_HOUR = 20
"""Letters to one address in an hour: strangers shall not flood it."""


_HOUR = 3600.0


class Postbox:
    """Renders letters and sees to it that they are sent.

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
        self._transport: Transport | None = transport(settings, outgoing)
        self._cache = cache
        self._log = log
        self._pauses = pauses
        self._waiting: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)

    @property
    def open(self) -> bool:
        """Is mail configured?"""
        return self._transport is not None

    def post(
        self, template: str, subject: str, address: str, name: str = "", **values: str
    ) -> None:
        """Send a letter soon. Faults are logged, never felt; without mail nothing happens."""
        if self._transport is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._log.error("mail.dropped", template=template, reason="too many letters wait")
            return
        letter = self.letter(template, subject, address, name, **values)
        task = asyncio.create_task(self._deliver(self._transport, letter, template))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def send(
        self, template: str, subject: str, address: str, name: str = "", **values: str
    ) -> None:
        """Send a letter now; `NotSent` when it was not taken."""
        if self._transport is None:
            raise NotSent("mail is not configured", final=True)
        await self._transport.send(self.letter(template, subject, address, name, **values))

    async def reach(self) -> str | None:
        """What keeps letters from being sent, for the deployment's checks."""
        if self._transport is None:
            return None
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await self._transport.reach()
        except (NotSent, TimeoutError) as error:
            told = str(error) or f"no answer in {REACH_SECONDS:.0f} seconds"
            return f"mails cannot be sent: {told}"
        return None

    def letter(
        self, template: str, subject: str, address: str, name: str = "", **values: str
    ) -> Letter:
        """A letter from its template. ``name`` is the addressee's, also in the text, where
        the address stands in for a missing one, and for one that somebody made up to send
        strangers to a site of his."""
        if "/" in name or "www." in name.lower():
            name = ""
        table = {"appName": self._app, "year": str(time.gmtime().tm_year), **values}
        text, html = self.templates.render(template, {"name": name or address, **table})
        return Letter(address, name, subject, text, html)

    async def _deliver(self, way: Transport, letter: Letter, template: str) -> None:
        key = hashlib.sha256(letter.address.encode()).hexdigest()
        if await self._cache.increment("mail:sent", key, 1, _HOUR) > MOST_AN_HOUR:
            self._log.warning("mail.dropped", template=template, reason="too many to one address")
            return
        for pause in (*self._pauses, None):
            try:
                async with self._turn:
                    await way.send(letter)
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
        """Wait until every letter is sent or given up."""
        while self._waiting:
            await asyncio.wait(set(self._waiting))

    async def close(self) -> None:
        """Give up what still waits."""
        for task in list(self._waiting):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
