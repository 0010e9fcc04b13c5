"""The one index of a server, and the events of the history that reach it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from locutory import Context
from locutory_contracts.conversations import (
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
    MessageSaved,
    MessagesDeleted,
)
from locutory_search.backend import Backend, now_ms
from locutory_search.config import SearchConfig
from locutory_search.embedded.file import IndexFile
from locutory_search.entries import Kind, entry_of
from locutory_search.history_reader import HistoryReader


class SearchService:
    """Chooses the back end; ``backend`` is ``None`` while search is switched off."""

    def __init__(self, ctx: Context) -> None:
        self.config: SearchConfig = ctx.config
        self._folder = ctx.data_dir / "search"
        self.backend: Backend | None = _backend(ctx, self._folder) if self.config.is_on else None

    @property
    def job_needed(self) -> bool:
        """``True`` when this server keeps Meilisearch up to date."""
        return self.config.is_on and self.config.uses_meilisearch and not self.config.meili_no_sync

    async def start(self) -> None:
        """Start the index; one that is not used any more is deleted, since entries that users
        delete would remain in it."""
        if self.backend is None or self.config.uses_meilisearch:
            IndexFile(self._folder).discard_all()
        if self.backend is not None:
            await self.backend.start()

    async def drain(self) -> None:
        """Write the last saved documents."""
        if self.backend is not None:
            await self.backend.drain()

    async def stop(self) -> None:
        """End."""
        if self.backend is not None:
            await self.backend.stop()

    async def is_available(self) -> bool:
        """``True`` when the client shows its search box."""
        return self.backend is not None and await self.backend.is_available()

    async def message_saved(self, fact: MessageSaved) -> None:
        self._take("messages", fact.message)

    async def conversation_saved(self, fact: ConversationSaved) -> None:
        self._take("conversations", fact.conversation)

    def _take(self, kind: Kind, document: Mapping[str, Any]) -> None:
        entry = None if self.backend is None else entry_of(kind, document, now_ms())
        if self.backend is not None and entry is not None:
            self.backend.take(entry)

    async def conversations_added(self, fact: ConversationsAdded) -> None:
        if self.backend is not None:
            await self.backend.added(fact.user, fact.conversation_ids)

    async def conversations_deleted(self, fact: ConversationsDeleted) -> None:
        if self.backend is not None:
            await self.backend.deleted("conversation", fact.user, fact.conversation_ids)

    async def messages_deleted(self, fact: MessagesDeleted) -> None:
        if self.backend is not None:
            await self.backend.deleted("message", fact.user, fact.message_ids)

    async def advice(self) -> str | None:
        """For ``locutory doctor``."""
        if bool(self.config.meili_host) != bool(self.config.meili_master_key):
            given, missing = ("MEILI_HOST", "MEILI_MASTER_KEY")
            if self.config.meili_master_key:
                given, missing = missing, given
            return f"{given} is set without {missing}, so the built-in index is used: set both"
        if self.config.uses_meilisearch and self.config.search is None:
            return "MEILI_HOST is set, but search is off: set SEARCH=true, or unset MEILI_HOST"
        return None if self.backend is None else await self.backend.advice()


def _backend(ctx: Context, folder: Path) -> Backend:
    config: SearchConfig = ctx.config
    history = HistoryReader(ctx.services, ctx.database)
    if config.uses_meilisearch:
        from locutory_search.meilisearch.index import MeilisearchIndex
        from locutory_search.meilisearch.records import Records

        records = Records(ctx.database, config.meili_host or "")
        return MeilisearchIndex(config, records, history, ctx.kernel.outgoing, ctx.log)
    from locutory_search.embedded.index import EmbeddedIndex

    return EmbeddedIndex(
        folder,
        history,
        ctx.log,
        follow_seconds=config.follow_seconds,
        purge_hours=config.purge_hours,
    )
