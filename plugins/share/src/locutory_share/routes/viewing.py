"""Routes for readers of links (contract share §2, §3, §4)."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from locutory import (
    JSON,
    Empty,
    Limit,
    OptionalUser,
    Principal,
    Public,
    Raw,
    Request,
    Route,
    RouteGroup,
    SignedIn,
    by_ip,
    by_user,
)
from locutory_share.access_control import AccessControl
from locutory_share.config import Settings, ShareConfig
from locutory_share.forking import Forking
from locutory_share.links import WITHOUT_FILES, LinkStore
from locutory_share.publisher import refusal
from locutory_share.routes import models
from locutory_share.serializer import LinkSerializer

READERS = OptionalUser("public links are for everybody; the link itself decides")
"""Access of routes that look at the link before they answer."""

_FRESH = {"cache-control": "private, no-store"}
_TOO_MANY = {"message": "Too many requests. Try again later"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that the caller may read."""

    link: Raw


class ViewerAccess:
    """Lets readers in."""

    def __init__(self, store: LinkStore, access_control: AccessControl) -> None:
        self._store = store
        self._access_control = access_control

    async def open(
        self, request: Request, viewer: Principal | None, projection: dict[str, int] | None = None
    ) -> Raw:
        """The link of a request, for somebody who may read it; 401, 403 or 404 otherwise. Whom
        the proxy takes for a tenant's sees only that tenant's links before signing in."""
        link = await self._store.live(request.path_params["share_id"], projection)
        tenant = request.named_tenant if viewer is None else None
        if link is None or tenant not in (None, link.get("tenantId")):
            raise refusal(404, "Shared link not found")
        await self._access_control.admit(link, viewer)
        return link


class ViewingRoutes:
    """Read a link, and continue its chat."""

    def __init__(
        self,
        config: ShareConfig,
        settings: Settings,
        viewer_access: ViewerAccess,
        serializer: LinkSerializer,
        forking: Forking,
    ) -> None:
        self._config = config
        self._settings = settings
        self._viewer_access = viewer_access
        self._serializer = serializer
        self._forking = forking

    def all(self) -> list[Route]:
        """The routes."""
        share = RouteGroup(
            "/api/share/{share_id}",
            access=READERS,
            contract="share §3",
            responses={403: "The link is for others", 404: models.MESSAGE},
        )
        return [
            share.get(
                "",
                self.read,
                "A shared conversation without anything private",
                responses={200: models.SHARED, 401: models.MESSAGE},
                failure={"message": "Error getting shared messages"},
            ),
            share.get(
                "/config",
                self.page,
                "What the page of a shared conversation needs to know",
                responses={200: {"appTitle": "LibreChat"}, 401: models.MESSAGE},
                failure={"message": "Error getting shared startup config"},
            ),
            share.post(
                "/fork",
                self.fork,
                "Continue a shared conversation as one's own",
                access=SignedIn(),
                limits=fork_limits(self._config),
                checks=(self._opened,),
                body=models.ForkBody,
                invalid=models.INVALID,
                responses={
                    201: {"conversation": {}, "messages": []},
                    400: models.MESSAGE,
                    409: {"message": "Shared link was updated"},
                    429: _TOO_MANY,
                },
                failure={"message": "Error forking shared conversation"},
                contract="share §4",
            ),
        ]

    async def read(self, request: Request) -> Response:
        """The conversation as readers see it."""
        link = await self._viewer_access.open(request, request.principal)
        if not link.get("conversationId"):
            return Empty(404)
        return JSON(await self._serializer.read(link), headers=_FRESH)

    async def page(self, request: Request) -> Response:
        """The page's configuration."""
        await self._viewer_access.open(request, request.principal, WITHOUT_FILES)
        return JSON(self._settings.page, headers=_FRESH)

    async def fork(self, request: Request) -> Response:
        """A copy that belongs to the caller."""
        link, body = request.valid(Opened).link, request.valid(models.ForkBody)
        if not link.get("conversationId"):
            raise refusal(404, "Shared conversation not found")
        forked = await self._forking.fork(
            request.caller, link, body.shareRevision, body.targetMessageIndex
        )
        return JSON(forked, 201)

    async def _opened(self, request: Request) -> None:
        request.keep(Opened(await self._viewer_access.open(request, request.caller)))


def fork_limits(config: ShareConfig) -> tuple[Limit, Limit]:
    """One budget for all forks and duplicates: limits of one name share a counter, and these
    have the names of those of the plugin `conversations`."""

    def limit(who: str, amount: int, minutes: float, key: Callable[[Request], str | None]) -> Limit:
        return Limit(
            f"fork_{who}_limiter",
            amount,
            max(1, round(minutes * 60)),
            _TOO_MANY,
            key,
            violation="file_upload_limit",
            score=config.fork_violation_score,
        )

    return (
        limit("ip", config.fork_ip_max, config.fork_ip_window, by_ip),
        limit("user", config.fork_user_max, config.fork_user_window, by_user),
    )


def closed_routes() -> list[Route]:
    """In place of the routes of readers while links are switched off: as if there were none,
    also where another plugin has an answer for servers without links."""

    async def closed(request: Request) -> Response:
        return JSON({"message": "Endpoint not found"}, 404)

    return [
        Route(
            path=path,
            endpoint=closed,
            access=Public("shared links are switched off; there is nothing to see"),
            summary="Shared links are switched off",
            responses={404: {"message": "Endpoint not found"}},
            contract="share §1",
        )
        for path in ("/api/share/{share_id}", "/api/share/{share_id}/config")
    ]
