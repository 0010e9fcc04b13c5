"""Writing a turn to the history (chat-stream §5.2). Without a history plugin nothing is saved."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from bson.errors import BSONError
from pymongo.errors import OperationFailure
from structlog.stdlib import BoundLogger

from locutory import Services
from locutory_agents.job import TurnRecord
from locutory_contracts.conversations import CONVERSATIONS, Conversations, Document

T = TypeVar("T")

RETRIES = (0.05, 0.5)
"""Seconds between the attempts of a write whose loss would lose a turn."""

LATE_RETRIES = (2.0, 10.0, 30.0)
"""Pauses in seconds before further attempts after the client has been asked to reload."""


NOT_STORED = "The answer could not be stored: it is too large for the database, or not valid."

_REFUSED = frozenset((2, 9, 14, 17, 22, 121, 10334, 17419, 17420))
"""Codes of a database that refuses the document itself, as too large or malformed."""

_ALWAYS = ("messageId", "conversationId", "parentMessageId", "isCreatedByUser", "sender")
_KEPT = frozenset((*_ALWAYS, "endpoint", "model", "iconURL"))


class SaveFailed(Exception):
    """A required write did not succeed."""


class NotStorable(SaveFailed):
    """The database refuses the answer permanently; a message that says so is stored in its
    place."""


def refused(error: Exception) -> bool:
    """True when the document itself cannot be written, so that another try is as futile."""
    if isinstance(error, OperationFailure):
        return error.code in _REFUSED
    return isinstance(error, BSONError | OverflowError | RecursionError | TypeError | ValueError)


class TurnWriter:
    """Writes the messages and the conversation of one turn, whoever does it: the worker that
    runs the turn, or another one after its death. Works from the job's record alone."""

    def __init__(self, services: Services, log: BoundLogger, user: str, record: TurnRecord) -> None:
        self._services = services
        self._log = log
        self._user = user
        self._record = record
        self.request_saved = False

    @property
    def _history(self) -> Conversations | None:
        return self._services.find(CONVERSATIONS)

    async def _insist(
        self, write: Callable[[], Awaitable[T]], delays: tuple[float, ...] = RETRIES
    ) -> T:
        """Try a write again after faults; every write here may be repeated. `NotStorable` at
        once when it is the document that is at fault."""
        for delay in delays:
            try:
                return await write()
            except Exception as error:
                if refused(error):
                    raise NotStorable(str(error)[:200]) from error
                self._log.warning(
                    "chat.save_retried",
                    conversation=self._record.conversation_id,
                    reason=f"{type(error).__name__}: {error}"[:200],
                )
                await asyncio.sleep(delay)
        try:
            return await write()
        except Exception as error:
            failed = NotStorable if refused(error) else SaveFailed
            raise failed(str(error)[:200]) from error

    async def request(self) -> Document | None:
        """Save the user's message, then the conversation, which is returned. A regenerated
        answer belongs to a message that is saved already: its content is left as it is, it only
        counts as written again (chat-stream §10)."""
        history = self._history
        if history is None:
            return None
        message = self._record.user_message

        async def write() -> Document | None:
            written = message
            if self._record.existing:
                stored = await history.message(self._user, message["messageId"])
                if stored is not None:
                    written = {key: message[key] for key in ("messageId", "conversationId")}
            await history.save_message(self._user, written, temporary=self._record.temporary)
            return await self._save_conversation(history)

        saved = await self._insist(write)
        self.request_saved = True
        return saved

    async def _save_conversation(self, history: Conversations) -> Document | None:
        return await history.save(
            self._user,
            self._record.conversation_id,
            self._record.conversation,
            temporary=self._record.temporary,
            created_at=self._record.started_at,
            replace_settings=True,
        )

    async def response(
        self, message: Mapping[str, Any], *, late: bool = False
    ) -> tuple[Document | None, Document | None]:
        """Save the answer, then the conversation again, so that it lists both messages. Returns
        both documents. ``late``: try longer, nobody waits. `NotStorable` when an error
        message is stored instead."""
        history = self._history
        if history is None:
            return None, None

        def writing(
            content: Mapping[str, Any],
        ) -> Callable[[], Awaitable[tuple[Document, Document | None]]]:
            async def write() -> tuple[Document, Document | None]:
                saved = await history.save_message(
                    self._user, content, temporary=self._record.temporary
                )
                return saved, await self._save_conversation(history)

            return write

        delays = LATE_RETRIES if late else RETRIES
        if not self.request_saved:
            await self.request()
        try:
            return await self._insist(writing(message), delays)
        except NotStorable:
            kept = {key: value for key, value in message.items() if key in _KEPT}
            told = {"text": "", "content": [{"type": "error", "error": NOT_STORED}]}
            await self._insist(writing(kept | told | {"unfinished": True, "error": False}), delays)
            raise

    async def title(self, text: str) -> None:
        """Save the title, when the conversation exists."""
        if self._history is not None:
            await self._history.save(
                self._user, self._record.conversation_id, {"title": text}, create=False
            )
