"""Declaration of the plugin."""

from beanie import Document

from locutory import Context, On, PhaseTask, Plugin, Provide, Route, hook
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.conversations import (
    CONVERSATIONS,
    PROJECTS,
    ConversationsAdded,
    ConversationSaved,
    ConversationsDeleted,
)
from locutory_projects.account_data import ProjectData
from locutory_projects.documents import ChatProject, Recount
from locutory_projects.routes import ProjectRoutes
from locutory_projects.service import Projects
from locutory_projects.statistics import Statistics


class ProjectsPlugin(Plugin):
    """``/api/projects``."""

    name = "projects"
    summary = "Projects: folders of conversations with their statistics"
    provides = (PROJECTS, ACCOUNT_DATA)
    wants = (CONVERSATIONS,)

    @hook
    def setup(self, ctx: Context) -> None:
        self._statistics = Statistics(ctx.database, ctx.services, ctx.log)
        self._projects = Projects(ctx.database, ctx.services, self._statistics)
        self._account_data = ProjectData(self._projects, self._statistics)

    @hook
    def documents(self) -> list[type[Document]]:
        return [ChatProject, Recount]

    @hook
    def services(self) -> list[Provide]:
        return [
            Provide(PROJECTS, self._projects),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return [
            On(ConversationSaved, self._statistics.saved),
            On(ConversationsAdded, self._statistics.counted),
            On(ConversationsDeleted, self._statistics.counted),
            *account_events(self._account_data),
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
