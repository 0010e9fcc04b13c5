"""Declaration of the plugin."""

from beanie import Document

from locutory import Context, On, PhaseTask, Plugin, Provide, Route, hook
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import (
    CONVERSATIONS,
    PROJECTS,
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
)
from locutory_contracts.portability import PORTABLE
from locutory_projects.documents import ChatProject, Recount
from locutory_projects.portable import KIND, PortableProjects
from locutory_projects.routes import ProjectRoutes
from locutory_projects.service import Projects
from locutory_projects.statistics import Statistics


class ProjectsPlugin(Plugin):
    """``/api/projects``."""

    name = "projects"
    summary = "Projects: folders of conversations with their statistics"
    provides = (PROJECTS, PORTABLE)
    wants = (CONVERSATIONS,)

    @hook
    def setup(self, ctx: Context) -> None:
        self._statistics = Statistics(ctx.database, ctx.services, ctx.log)
        self._projects = Projects(ctx.database, ctx.services, self._statistics)

    @hook
    def documents(self) -> list[type[Document]]:
        return [ChatProject, Recount]

    @hook
    def services(self) -> list[Provide]:
        return [
            Provide(PROJECTS, self._projects),
            Provide(PORTABLE, PortableProjects(self._projects), KIND),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        async def account_deleted(fact: AccountDeleted) -> None:
            await self._statistics.forget(fact.user_id)
            await self._projects.erase(fact.user_id)

        return [
            On(ConversationSaved, self._statistics.saved),
            On(ConversationsAdded, self._statistics.counted),
            On(ConversationsDeleted, self._statistics.counted),
            On(AccountDeleted, account_deleted),
        ]

    @hook
    def routes(self) -> list[Route]:
        return ProjectRoutes(self._projects).all()

    @hook
    def phases(self) -> list[PhaseTask]:
        debounced_recount = self._statistics.debounced_recount
        return [
            PhaseTask(
                "post-startup tasks",
                "late counts",
                debounced_recount.catch_up,
                undo=debounced_recount.stop,
                drain=debounced_recount.flush_all,
            )
        ]
