"""The plugin: full-text search over the history."""

import asyncio
from typing import ClassVar

import click
from beanie import Document

from locutory import Check, Context, Job, On, PhaseTask, Plugin, Provide, Route, hook
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.conversations import (
    CONVERSATIONS,
    HISTORY_FEED,
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
    MessageSaved,
    MessagesDeleted,
)
from locutory_contracts.search import SEARCH
from locutory_search.account_data import SearchData
from locutory_search.commands import Commands
from locutory_search.config import SearchConfig
from locutory_search.documents import SearchRecord
from locutory_search.embedded.file import check_fts5
from locutory_search.routes import SearchRoutes
from locutory_search.service import SearchService


class SearchPlugin(Plugin):
    """``/api/search`` and the index behind the search of conversations and messages."""

    name = "search"
    summary = "Full-text search over the history: built in, or Meilisearch"
    Config = SearchConfig
    provides: ClassVar = (SEARCH, ACCOUNT_DATA)
    wants: ClassVar = (CONVERSATIONS, HISTORY_FEED)

    @hook
    def setup(self, ctx: Context[SearchConfig]) -> None:
        self._service = SearchService(ctx)
        self._account_data = SearchData(self._service)

    @hook
    def documents(self) -> list[type[Document]]:
        return [SearchRecord]

    @hook
    def services(self) -> list[Provide]:
        backend = self._service.backend
        data = Provide(ACCOUNT_DATA, self._account_data, self.name)
        return [data] if backend is None else [data, Provide(SEARCH, backend)]

    @hook
    def subscriptions(self) -> list[On]:
        service = self._service
        # What a plugin missed is delivered in this order: deletions before additions.
        return [
            *account_events(self._account_data),
            On(ConversationsDeleted, service.conversations_deleted),
            On(MessagesDeleted, service.messages_deleted),
            On(ConversationsAdded, service.conversations_added),
            On(ConversationSaved, service.conversation_saved),
            On(MessageSaved, service.message_saved),
        ]

    @hook
    def routes(self) -> list[Route]:
        return SearchRoutes(self._service).all()

    @hook
    def phases(self, ctx: Context[SearchConfig]) -> list[PhaseTask]:
        config = ctx.config

        async def possible() -> None:
            if config.is_on and not config.uses_meilisearch:
                await asyncio.to_thread(check_fts5)

        service = self._service
        return [
            PhaseTask("startup checks", "FTS5", possible),
            PhaseTask(
                "server start", "search index", service.start, service.stop, drain=service.drain
            ),
        ]

    @hook
    def jobs(self, ctx: Context) -> list[Job]:
        from locutory_search.meilisearch.index import MeilisearchIndex

        backend = self._service.backend
        if not self._service.job_needed or not isinstance(backend, MeilisearchIndex):
            return []
        return [Job("meilisearch", ctx.config.follow_seconds, backend.sync, exclusive=True)]

    @hook
    def checks(self) -> list[Check]:
        return [Check("search index", self._service.advice)]

    @hook
    def commands(self, ctx: Context) -> list[click.Command]:
        return Commands(ctx, self._service).commands()
