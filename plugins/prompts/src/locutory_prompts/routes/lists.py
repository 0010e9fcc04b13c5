"""Lists of groups, and the categories (contract prompts §4)."""

import re

from starlette.responses import Response

from locutory import JSON, Can, Request, Route, SignedIn, encode
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
_LEADING_NUMBER = re.compile(r"\s*([+-]?\d+)")
_DEFAULT, _UNREADABLE, _MOST = 10, 20, 100
_FAILED = {"error": "Error getting prompt groups"}


class ListRoutes:
    """The lists of the side panel, the command popover and the category selector."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    def all(self) -> list[Route]:
        """The routes."""
        use = Can(PERMISSION, "USE")
        return [
            Route(
                path="/api/prompts/groups",
                endpoint=self.page,
                access=use,
                summary="A page of the prompts that the caller sees",
                query_schema=models.PageQuery,
                responses={200: models.PAGE},
                failure=_FAILED,
                contract="prompts §4",
            ),
            Route(
                path="/api/prompts/all",
                endpoint=self.everything,
                access=use,
                summary="Every prompt that the caller sees",
                query_schema=models.ListQuery,
                responses={200: [models.ROW]},
                failure=_FAILED,
                contract="prompts §4",
            ),
            Route(
                path="/api/categories",
                endpoint=self.categories,
                access=SignedIn(),
                summary="Categories of prompts",
                responses={200: [{"label": "com_ui_idea", "value": "idea"}]},
                failure={"message": "Failed to retrieve categories", "error": "unknown"},
                contract="prompts §4",
            ),
        ]

    async def page(self, request: Request) -> Response:
        """A page, most used first."""
        limit = page_size(request)
        after = position_of(request.query_text("cursor"))
        found = await self._lists.page(request.caller, _selection(request), limit, after)
        more = found.after is not None
        rest = {
            "pageNumber": "1",
            "pageSize": str(limit),
            "pages": "9999" if more else "1",
            "has_more": more,
            "after": found.after,
        }
        return JSON({"promptGroups": found.rows, **rest})

    async def everything(self, request: Request) -> Response:
        """The whole list."""
        return JSON(await self._lists.everything(request.caller, _selection(request)))

    async def categories(self, request: Request) -> Response:
        """The fixed list; labels are translation keys of the client."""
        return JSON(_LABELLED)


def page_size(request: Request) -> int:
    """``limit``, or ``pageSize`` without it: 1 to 100, 20 when it is no number."""
    text = request.query_text("limit") or request.query_text("pageSize")
    if not text:
        return _DEFAULT
    number = _LEADING_NUMBER.match(text[:20])
    return _UNREADABLE if number is None else min(_MOST, max(1, int(number[1])))


def _selection(request: Request) -> Selection:
    return Selection(request.query_text("name") or "", request.query_text("category") or "")
