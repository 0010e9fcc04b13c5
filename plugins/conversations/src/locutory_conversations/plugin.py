"""Declaration of the plugin."""

from collections.abc import Iterable
from typing import ClassVar

import click
from beanie import Document

from locutory import Context, On, PhaseTask, Plugin, Provide, Route, hook
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.chat import GENERATIONS
from locutory_contracts.conversations import (
    CONVERSATIONS,
    HISTORY_FEED,
    PROJECTS,
    SHARED_CONVERSATIONS,
)
from locutory_contracts.models import CATALOGUE, TOKENS
from locutory_contracts.people import PEOPLE
from locutory_contracts.search import SEARCH
from locutory_conversations.account_data import ConversationData
from locutory_conversations.config import ConversationsConfig, InterfaceRetention, RateLimits
from locutory_conversations.copying.copies import Copies
from locutory_conversations.deletion import Deletion
from locutory_conversations.documents import Conversation, Message, ToolCall
from locutory_conversations.editing.edits import Edits
from locutory_conversations.exporting.command import ExportCommand
from locutory_conversations.exporting.stream import Exporter
from locutory_conversations.importing.importer import Importer
from locutory_conversations.importing.records import ConversationRecords
from locutory_conversations.message_ids import MessageIds
from locutory_conversations.record_kinds import RecordKinds
from locutory_conversations.retention import Retention
from locutory_conversations.routes.checks import ConversationChecks
from locutory_conversations.routes.conversations import ConversationRoutes
from locutory_conversations.routes.copies import CopyRoutes
from locutory_conversations.routes.edits import EditRoutes
from locutory_conversations.routes.messages import MessageRoutes
from locutory_conversations.routes.portability import PortabilityRoutes
from locutory_conversations.service import History
from locutory_conversations.services.feed import Feed
from locutory_conversations.store import Store
from locutory_conversations.titles import Titles
from locutory_conversations.updates import ConversationUpdates


class ConversationsPlugin(Plugin):
    """Conversations and messages."""

    name = "conversations"
    summary = "Conversations and messages: history, lists, edits, deletion"
    Config = ConversationsConfig
    sections: ClassVar = {"interface": InterfaceRetention, "rateLimits": RateLimits}
    reloads = ("interface", "temporary_hours")
    provides = (CONVERSATIONS, HISTORY_FEED, ACCOUNT_DATA)
    wants = (
        TOKENS,
        GENERATIONS,
        SHARED_CONVERSATIONS,
        PROJECTS,
        CATALOGUE,
        SEARCH,
        ACCOUNTS,
        PEOPLE,
        ACCOUNT_DATA,
    )

    @hook
    def setup(self, ctx: Context[ConversationsConfig]) -> None:
        config = ctx.config
        self._store = Store(ctx.database)
        self._retention = Retention(config.temporary_hours, ctx.section("interface"))
        self._message_ids = MessageIds(self._store)
        self._deletion = Deletion(self._store, ctx.events, self._message_ids)
        self._history = History(
            self._store, ctx.services, ctx.events, self._retention, self._message_ids
        )
        self._records = ConversationRecords(self._store, self._history.bulk_insert, self._retention)
        self._account_data = ConversationData(self._records, self._deletion)
        self._record_kinds = RecordKinds(ctx.services)
        self._exporter = Exporter(self._record_kinds)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [Conversation, Message, ToolCall]

    @hook
    def services(self) -> Iterable[Provide]:
        return [
            Provide(CONVERSATIONS, self._history),
            Provide(HISTORY_FEED, Feed(self._store)),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> Iterable[On]:
        return account_events(self._account_data)

    @hook
    def routes(self, ctx: Context[ConversationsConfig]) -> Iterable[Route]:
        config = ctx.config
        checks = ConversationChecks(
            self._store, ctx.services, ctx.events, self._history, config.access_violation_score
        )
        edits = Edits(self._store, ctx.services, ctx.events, self._history)
        conversations = ConversationRoutes(
            config,
            self._store,
            ctx.services,
            checks,
            ConversationUpdates(self._store, ctx.events),
            self._deletion,
            Titles(ctx.cache, config.title_hold_seconds),
            ctx.log,
        )
        messages = MessageRoutes(config, self._store, ctx.services, checks, ctx.log)
        writes = EditRoutes(checks, self._history, edits, self._deletion)
        copies = CopyRoutes(config, Copies(ctx.services, self._history))
        importer = Importer(
            ctx.services, self._history.bulk_insert, self._records, self._record_kinds, ctx.log
        )
        self._portability = PortabilityRoutes(
            config, ctx.section("rateLimits"), importer, self._exporter, ctx.cache, ctx.log
        )
        groups = (conversations, messages, writes, copies, self._portability)
        return [route for group in groups for route in group.all()]

    @hook
    def phases(self) -> Iterable[PhaseTask]:
        async def stop() -> None:
            await self._portability.running.stop()

        return [
            PhaseTask("startup checks", "records of an export", self._record_kinds.check),
            PhaseTask("routes", "imports", undo=stop),
        ]

    @hook
    def commands(self, ctx: Context) -> Iterable[click.Command]:
        return ExportCommand(ctx, self._exporter).commands()

    @hook
    def reload(self, ctx: Context) -> None:
        self._retention.configure(ctx.config.temporary_hours, ctx.section("interface"))
