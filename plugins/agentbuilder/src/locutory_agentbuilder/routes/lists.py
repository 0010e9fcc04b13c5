"""The list of agents, and the categories (contract agents §2, §5)."""

from starlette.responses import Response

from locutory import JSON, Can, Request, Route, RouteGroup, SignedIn
from locutory_agentbuilder.categories import Categories
from locutory_agentbuilder.listing.lists import Lists, Selection
from locutory_agentbuilder.listing.order import position_of
from locutory_agentbuilder.listing.tools import ToolList
from locutory_agentbuilder.resource_kind import PERMISSION
from locutory_agentbuilder.routes import models


class ListRoutes:
    """The lists of the agent picker, the builder and the marketplace."""

    def __init__(self, lists: Lists, categories: Categories, tools: ToolList) -> None:
        self._lists = lists
        self._categories = categories
        self._tools = tools

    def all(self) -> list[Route]:
        """The routes."""
        agents = RouteGroup("/api/agents", access=SignedIn())
        return [
            agents.get(
                "",
                self.page,
                "A page of the agents that the caller reaches",
                access=Can(PERMISSION, "USE"),
                query=models.ListQuery,
                responses={200: models.PAGE},
                failure={"error": "Error listing agents"},
                contract="agents §2",
            ),
            agents.get(
                "/categories",
                self.categories,
                "Categories of the marketplace",
                responses={200: [models.CATEGORY]},
                failure={
                    "error": "Failed to fetch agent categories",
                    "userMessage": "Unable to load categories. Please refresh the page.",
                    "suggestion": "Try refreshing the page or check your network connection",
                },
                contract="agents §5",
            ),
            agents.get(
                "/tools",
                self.tools,
                "Tools that agents can be given",
                responses={200: [models.TOOL]},
                failure={"message": "Error listing tools"},
                contract="agents §6",
            ),
        ]

    async def page(self, request: Request) -> Response:
        """A page, last changed first."""
        query = request.valid(models.ListQuery)
        selection = Selection(
            query.requiredPermission,
            query.category if query.category.strip() else "",
            query.search,
            query.promoted,
        )
        after = position_of(query.cursor)
        return JSON(await self._lists.page(request.caller, selection, query.limit, after))

    async def categories(self, request: Request) -> Response:
        """The active categories; labels of built-in ones are translation keys."""
        return JSON(await self._categories.list(request.caller.tenant))

    async def tools(self, request: Request) -> Response:
        """The tools that the sources name, by name."""
        return JSON(await self._tools.of(request.caller))
