"""Routes for the owner of links (contract share §5)."""

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Can, Raw, Request, Route, RouteGroup, Services, SignedIn
from locutory_contracts.search import SEARCH
from locutory_share.access_control import PERMISSIONS, AccessControl
from locutory_share.links import LinkStore, revision_of
from locutory_share.listing import BadCursor, LinkList, Order
from locutory_share.publisher import LinkOptions, LinkPublisher, refusal
from locutory_share.routes import models

_HITS = 20


class ManagingRoutes:
    """List, make, renew and delete one's own links."""

    def __init__(
        self,
        store: LinkStore,
        services: Services,
        publisher: LinkPublisher,
        access_control: AccessControl,
        log: BoundLogger,
    ) -> None:
        self._store = store
        self._services = services
        self._publisher = publisher
        self._access_control = access_control
        self._log = log
        self._list = LinkList(store)

    def all(self) -> list[Route]:
        """The routes."""
        share = RouteGroup(
            "/api/share", access=SignedIn(), contract="share §5", invalid=models.INVALID
        )
        publish = Can(PERMISSIONS, "CREATE")
        return [
            share.get(
                "",
                self.page,
                "A page of the caller's shared links",
                query=models.ListQuery,
                responses={200: {"links": [], "hasNextPage": False}, 400: models.MESSAGE},
                failure={"message": "Error getting shared links"},
            ),
            share.get(
                "/link/{conversation_id}",
                self.link,
                "The link of a conversation, if there is one",
                responses={
                    200: {
                        "success": False,
                        "shareId": None,
                        "conversationId": models.PUBLISHED["conversationId"],
                    }
                },
                failure={"message": "Error getting shared link"},
            ),
            share.post(
                "/{conversation_id}",
                self.create,
                "Make a link to a conversation",
                access=publish,
                body=models.PublishBody,
                responses={
                    200: models.PUBLISHED,
                    400: models.MESSAGE,
                    404: models.MESSAGE,
                    409: {"message": "Share already exists"},
                },
                failure={"message": "Error creating shared link"},
            ),
            share.patch(
                "/{share_id}",
                self.update,
                "Publish the conversation as it is now under the same link",
                access=publish,
                body=models.PublishBody,
                responses={200: models.PUBLISHED, 400: models.MESSAGE, 404: models.MESSAGE},
                failure={"message": "Error updating shared link"},
            ),
            share.delete(
                "/{share_id}",
                self.delete,
                "Delete a link",
                responses={
                    200: {"success": True, "message": "Share deleted successfully"},
                    404: {"message": "Share not found"},
                },
                failure={"message": "Error deleting shared link"},
            ),
        ]

    async def page(self, request: Request) -> Response:
        """A page of links."""
        query = request.valid(models.ListQuery)
        order = Order(query.sortBy, query.sortDirection != "asc")
        try:
            position = order.read(query.cursor) if query.cursor else None
        except BadCursor:
            raise refusal(400, "cursor is not valid for this sort") from None
        search, user = query.search, request.caller.id
        found = await self._search(user, search) if search else None
        if found is not None and not found:
            return JSON({"links": [], "hasNextPage": False})
        return JSON(await self._list.page(user, order, position, query.pageSize, found))

    async def _search(self, user: str, text: str) -> list[str]:
        """Conversations that match; none when search is off or fails."""
        search = self._services.find(SEARCH)
        if search is None:
            return []
        try:
            return list(await search.conversations(user, text, _HITS))
        except Exception:
            self._log.exception("share.search_failed")
            return []

    async def link(self, request: Request) -> Response:
        """The most recently published link of a conversation."""
        conversation_id = request.path_params["conversation_id"]
        links = await self._store.of_conversation(request.caller.id, conversation_id)
        if not links:
            body = {"success": False, "shareId": None, "conversationId": conversation_id}
            return JSON(body)
        link = max(links, key=lambda link: (revision_of(link), link["_id"]))
        await self._access_control.repair(link)
        found = {
            "_id": link["_id"],
            "success": True,
            "shareId": link.get("shareId"),
            "targetMessageId": link.get("targetMessageId"),
            "snapshotFiles": link.get("snapshotFiles"),
            "conversationId": conversation_id,
        }
        return JSON({name: value for name, value in found.items() if value is not None})

    async def create(self, request: Request) -> Response:
        """Make a link."""
        options = _options(request.valid(models.PublishBody))
        conversation_id = request.path_params["conversation_id"]
        return _published(await self._publisher.create(request.caller, conversation_id, options))

    async def update(self, request: Request) -> Response:
        """Publish a link again."""
        options = _options(request.valid(models.PublishBody))
        share_id = request.path_params["share_id"]
        return _published(await self._publisher.update(request.caller, share_id, options))

    async def delete(self, request: Request) -> Response:
        """Delete a link."""
        link = await self._publisher.withdraw(request.caller, request.path_params["share_id"])
        if link is None:
            raise refusal(404, "Share not found")
        return JSON(
            {
                "_id": link["_id"],
                "success": True,
                "shareId": link["shareId"],
                "message": "Share deleted successfully",
            }
        )


def _options(body: models.PublishBody) -> LinkOptions:
    return LinkOptions(body.targetMessageId or None, body.snapshotFiles)


def _published(link: Raw) -> Response:
    names = ("_id", "shareId", "conversationId", "targetMessageId")
    return JSON({name: link[name] for name in names if name in link})
