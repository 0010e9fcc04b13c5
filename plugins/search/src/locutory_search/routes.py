"""``GET /api/search/enable`` (contract search §1)."""

from starlette.responses import Response

from locutory import JSON, Request, Route, SignedIn
from locutory_search.service import SearchService


class SearchRoutes:
    """The one route."""

    def __init__(self, service: SearchService) -> None:
        self._service = service

    def all(self) -> list[Route]:
        return [
            Route(
                path="/api/search/enable",
                endpoint=self.enable,
                access=SignedIn(),
                summary="May the history be searched?",
                contract="search §1",
                responses={200: True},
            )
        ]

    async def enable(self, request: Request) -> Response:
        """A bare boolean; whatever fails is false."""
        return JSON(await self._service.is_available())
