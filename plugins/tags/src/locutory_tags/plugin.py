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
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import (
    CONVERSATIONS,
    ConversationsAdded,
    ConversationsDeleted,
)
from locutory_contracts.portability import PORTABLE
from locutory_tags.config import TagsConfig
from locutory_tags.debounced_recount import DebouncedRecount
from locutory_tags.documents import ConversationTag, Recount
from locutory_tags.portable import KIND, PortableTags
from locutory_tags.routes import TagRoutes
from locutory_tags.service import Tags


class TagsPlugin(Plugin):
    """``/api/tags``."""

    name = "tags"
    summary = "Bookmarks: tags on conversations, with counts and an order"
    Config = TagsConfig
    provides = (PORTABLE,)
    wants = (CONVERSATIONS,)

    @hook
    def setup(self, ctx: Context[TagsConfig]) -> None:
        self._tags = Tags(ctx.database, ctx.services, ctx.config, ctx.log)
        self._debounced_recount = DebouncedRecount(ctx.database, self._tags.recount, ctx.log)

    @hook
    def documents(self) -> list[type[Document]]:
        return [ConversationTag, Recount]

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [PermissionGroup("BOOKMARKS", {"USE": Action(user=True)}, "Bookmarks")]

    @hook
    def services(self) -> list[Provide]:
        return [Provide(PORTABLE, PortableTags(self._tags), KIND)]

    @hook
    def subscriptions(self) -> list[On]:
        async def changed(fact: ConversationsAdded | ConversationsDeleted) -> None:
            await self._debounced_recount.request(fact.user)

        async def account_deleted(fact: AccountDeleted) -> None:
            await self._debounced_recount.forget(fact.user_id)
            await self._tags.erase(fact.user_id)

        return [
            On(ConversationsAdded, changed),
            On(ConversationsDeleted, changed),
            On(AccountDeleted, account_deleted),
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
