"""Declaration of the plugin."""

from beanie import Document

from locutory import (
    Action,
    Context,
    On,
    PermissionGroup,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.conversations import (
    CONVERSATIONS,
    ConversationsAdded,
    ConversationsDeleted,
)
from locutory_debounce import DebouncedTask
from locutory_tags.account_data import TagData
from locutory_tags.config import TagsConfig
from locutory_tags.documents import ConversationTag, Recount
from locutory_tags.routes import TagRoutes
from locutory_tags.service import Tags


class TagsPlugin(Plugin):
    """``/api/tags``."""

    name = "tags"
    summary = "Bookmarks: tags on conversations, with counts and an order"
    Config = TagsConfig
    provides = (ACCOUNT_DATA,)
    wants = (CONVERSATIONS,)

    @hook
    def setup(self, ctx: Context[TagsConfig]) -> None:
        self._tags = Tags(ctx.database, ctx.services, ctx.config, ctx.log)
        self._debounced_recount = DebouncedTask(
            self._tags.recount, lambda: ctx.database[Recount], ctx.log
        )
        self._account_data = TagData(self._tags, self._debounced_recount)

    @hook
    def documents(self) -> list[type[Document]]:
        return [ConversationTag, Recount]

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [PermissionGroup("BOOKMARKS", {"USE": Action(user=True)}, "Bookmarks")]

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNT_DATA, self._account_data, self.name)]

    @hook
    def subscriptions(self) -> list[On]:
        async def changed(fact: ConversationsAdded | ConversationsDeleted) -> None:
            await self._debounced_recount.request(fact.user)

        return [
            On(ConversationsAdded, changed),
            On(ConversationsDeleted, changed),
            *account_events(self._account_data),
        ]

    @hook
    def routes(self) -> list[Route]:
        return TagRoutes(self._tags, self._debounced_recount).all()

    @hook
    def phases(self) -> list[PhaseTask]:
        return [
            PhaseTask(
                "post-startup tasks",
                "late counts",
                self._debounced_recount.catch_up,
                undo=self._debounced_recount.stop,
                drain=self._debounced_recount.flush_all,
            )
        ]
