"""Reads documents from the services of the plugin that stores the history."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

from pymongo.errors import DuplicateKeyError

from locutory import Database, Services
from locutory_contracts.conversations import (
    CONVERSATIONS,
    HISTORY_FEED,
    Document,
    HistoryFeed,
)
from locutory_search.backend import now_ms
from locutory_search.documents import SearchRecord
from locutory_search.entries import Entry, Kind, entry_of

_IDENTITY = "database"


class HistoryReader:
    """The history of one server."""

    def __init__(self, services: Services, database: Database) -> None:
        self._services = services
        self._database = database

    @property
    def feed(self) -> HistoryFeed | None:
        """``None`` while no enabled plugin offers one."""
        return self._services.find(HISTORY_FEED)

    async def conversation(self, user: str, conversation_id: str) -> list[Entry]:
        """The entries of one conversation as it is stored now; none when it is gone."""
        history = self._services.get(CONVERSATIONS)
        found = await history.find(user, conversation_id)
        if found is None:
            return []
        messages = await history.messages(user, conversation_id)
        return entries("conversations", [found]) + entries("messages", messages)

    async def identity(self) -> str:
        """A name of the database that lives as long as it."""
        records = self._database[SearchRecord]
        found = await records.find_one({"_id": _IDENTITY})
        if found is None:
            with suppress(DuplicateKeyError):  # another server was faster
                await records.insert_one({"_id": _IDENTITY, "value": str(uuid4())})
            found = await records.find_one({"_id": _IDENTITY})
        return "" if found is None else str(found["value"])


def entries(kind: Kind, documents: Sequence[Document]) -> list[Entry]:
    """The entries of stored documents; those without an owner are left out."""
    now = now_ms()
    found = (entry_of(kind, document, now) for document in documents)
    return [entry for entry in found if entry is not None]
