"""``GET /api/config`` and ``GET /api/banner`` (contract user §2, §12)."""

from starlette.responses import Response

from locutory import JSON, Empty, OptionalUser, Request, Route, Routes
from locutory_webclient.banners import Banners
from locutory_webclient.startup import Startup

# Switches of `interface` that stand for a feature of one path, not for a permission.
_SWITCHES = {"presets": "/api/presets"}


def switched_off(routes: Routes) -> list[str]:
    """The switches whose path no plugin serves, except with a response for features that are
    off."""
    matches = {name: routes.match("GET", path) for name, path in _SWITCHES.items()}
    return [name for name, found in matches.items() if found is None or found.route.fallback]


class ClientRoutes:
    """Handlers of the client's own routes."""

    def __init__(self, startup: Startup, banners: Banners, routes: Routes) -> None:
        self._startup = startup
        self._banners = banners
        self._routes = routes

    def all(self) -> list[Route]:
        """The two routes."""
        return [
            Route(
                path="/api/config",
                endpoint=self.config,
                access=OptionalUser("the login page needs it; strangers see less"),
                summary="Start-up configuration of the web client",
                responses={200: {"appTitle": "LibreChat", "emailLoginEnabled": True}},
                failure={"error": "The start-up configuration could not be put together"},
                contract="user §2",
            ),
            Route(
                path="/api/banner",
                endpoint=self.banner,
                access=OptionalUser("public banners are shown before login"),
                summary="The banner of the moment; an empty body when there is none",
                responses={200: {"bannerId": "maintenance", "message": "Back at noon"}},
                failure={"message": "Error getting banner"},
                contract="user §12",
            ),
        ]

    async def config(self, request: Request) -> Response:
        """The configuration for strangers, or for the caller."""
        if request.principal is None:
            return JSON(self._startup.for_strangers())
        off = switched_off(self._routes)
        return JSON(await self._startup.for_account(request.principal, off))

    async def banner(self, request: Request) -> Response:
        """The banner in force, or nothing."""
        banner = await self._banners.current(request.principal)
        return Empty() if banner is None else JSON(banner)
