"""The list of agents, and the categories (contract agents §2, §5)."""

import re

from starlette.responses import Response

from locutory import JSON, Can, Request, Route, SignedIn
from locutory_agentbuilder.categories import Categories
from locutory_agentbuilder.listing.lists import Lists, Selection
from locutory_agentbuilder.listing.order import position_of
from locutory_agentbuilder.listing.tools import ToolList
from locutory_agentbuilder.resource_kind import PERMISSION
from locutory_agentbuilder.routes import models
from locutory_contracts.access import VIEW

LONGEST_SEARCH = 100
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)")
_DEFAULT, _UNREADABLE, _MOST = 100, 20, 1000
_PROMOTED = {"1": True, "0": False}


class ListRoutes:
    """The lists of the agent picker, the builder and the marketplace."""

    def __init__(self, lists: Lists, categories: Categories, tools: ToolList) -> None:
        self._lists = lists
        self._categories = categories
        self._tools = tools

    def all(self) -> list[Route]:
        """The routes."""
        return [
            Route(
                path="/api/agents",
                endpoint=self.page,
                access=Can(PERMISSION, "USE"),
                summary="A page of the agents that the caller reaches",
                query_schema=models.ListQuery,
                responses={200: models.PAGE},
                failure={"error": "Error listing agents"},
                contract="agents §2",
            ),
            Route(
                path="/api/agents/categories",
                endpoint=self.categories,
                access=SignedIn(),
                summary="Categories of the marketplace",
                responses={200: [models.CATEGORY]},
                failure={
                    "error": "Failed to fetch agent categories",
                    "userMessage": "Unable to load categories. Please refresh the page.",
                    "suggestion": "Try refreshing the page or check your network connection",
                },
                contract="agents §5",
            ),
            Route(
                path="/api/agents/tools",
                endpoint=self.tools,
                access=SignedIn(),
                summary="Tools that agents can be given",
                responses={200: [models.TOOL]},
                failure={"message": "Error listing tools"},
                contract="agents §6",
            ),
        ]

    async def page(self, request: Request) -> Response:
        """A page, last changed first."""
        search = (request.query_text("search") or "").strip()[:LONGEST_SEARCH]
        category = request.query_text("category") or ""
        selection = Selection(
            _number(request.query_text("requiredPermission"), VIEW, VIEW),
            category if category.strip() else "",
            search,
            _PROMOTED.get(request.query_text("promoted") or ""),
        )
        limit = _number(request.query_text("limit"), _DEFAULT, _UNREADABLE)
        after = position_of(request.query_text("cursor"))
        limit = min(_MOST, max(1, limit))
        return JSON(await self._lists.page(request.caller, selection, limit, after))

    async def categories(self, request: Request) -> Response:
        """The active categories; labels of built-in ones are translation keys."""
        return JSON(await self._categories.list(request.caller.tenant))

    async def tools(self, request: Request) -> Response:
        """The tools that the sources name, by name."""
        return JSON(await self._tools.of(request.caller))


def _number(text: str | None, absent: int, unreadable: int) -> int:
    """The whole number with which a text begins."""
    if text is None:
        return absent
    number = _LEADING_NUMBER.match(text[:20])
    return unreadable if number is None else int(number[1])
