"""Lists of groups, and the categories (contract prompts §4)."""

from starlette.responses import Response

from locutory import JSON, Can, Request, Route, RouteGroup, SignedIn, encode
from locutory_prompts.listing.lists import Lists, Selection
from locutory_prompts.listing.order import position_of
from locutory_prompts.resource_kind import PERMISSION
from locutory_prompts.routes import models

CATEGORIES = (
    "idea",
    "travel",
    "teach_or_explain",
    "write",
    "shop",
    "code",
    "misc",
    "roleplay",
    "finance",
)
_LABELLED = encode([{"label": f"com_ui_{value}", "value": value} for value in CATEGORIES])
_FAILED = {"error": "Error getting prompt groups"}


class ListRoutes:
    """The lists of the side panel, the command popover and the category selector."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def all(self) -> list[Route]:
        """The routes."""
        prompts = RouteGroup(
            "/api", access=Can(PERMISSION, "USE"), failure=_FAILED, contract="prompts §4"
        )
        return [
            prompts.get(
                "/prompts/groups",
                self.page,
                "A page of the prompts that the caller sees",
                query=models.PageQuery,
                responses={200: models.PAGE},
            ),
            prompts.get(
                "/prompts/all",
                self.everything,
                "Every prompt that the caller sees",
                query=models.ListQuery,
                responses={200: [models.ROW]},
            ),
            prompts.get(
                "/categories",
                self.categories,
                "Categories of prompts",
                access=SignedIn(),
                responses={200: [{"label": "com_ui_idea", "value": "idea"}]},
                failure={"message": "Failed to retrieve categories", "error": "unknown"},
            ),
        ]

    async def page(self, request: Request) -> Response:
        """A page, most used first."""
        query = request.valid(models.PageQuery)
        after = position_of(query.cursor)
        found = await self._lists.page(request.caller, _selection(query), query.size, after)
        more = found.after is not None
        rest = {
            "pageNumber": "1",
            "pageSize": str(query.size),
            "pages": "9999" if more else "1",
            "has_more": more,
            "after": found.after,
        }
        return JSON({"promptGroups": found.rows, **rest})

    async def everything(self, request: Request) -> Response:
        """The whole list."""
        query = request.valid(models.ListQuery)
        return JSON(await self._lists.everything(request.caller, _selection(query)))

    async def categories(self, request: Request) -> Response:
        """The fixed list; labels are translation keys of the client."""
        return JSON(_LABELLED)


def _selection(query: models.ListQuery) -> Selection:
    return Selection(query.name, query.category)
