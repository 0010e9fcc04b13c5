"""Routes for the owner of links (contract share §5)."""

import re
from typing import Any

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Can, Request, Route, Services, SignedIn
from locutory.database import Raw
from locutory_contracts.search import SEARCH
from locutory_share.access_control import PERMISSIONS, AccessControl
from locutory_share.links import LinkStore, revision_of
from locutory_share.listing import SORT_FIELDS, BadCursor, LinkList, Order
from locutory_share.publisher import LinkOptions, LinkPublisher, refusal
from locutory_share.routes import models

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,16}")
_PAGE = 10
_LARGEST_PAGE = 100
_LONGEST_SEARCH = 256
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
        publish = Can(PERMISSIONS, "CREATE")
        return [
            Route(
                path="/api/share",
                endpoint=self.page,
                access=SignedIn(),
                summary="A page of the caller's shared links",
                query_schema=models.ListQuery,
                responses={200: {"links": [], "hasNextPage": False}, 400: models.MESSAGE},
                failure={"message": "Error getting shared links"},
                contract="share §5",
            ),
            Route(
                path="/api/share/link/{conversation_id}",
                endpoint=self.link,
                access=SignedIn(),
                summary="The link of a conversation, if there is one",
                responses={
                    200: {
                        "success": False,
                        "shareId": None,
                        "conversationId": models.PUBLISHED["conversationId"],
                    }
                },
                failure={"message": "Error getting shared link"},
                contract="share §5",
            ),
            Route(
                path="/api/share/{conversation_id}",
                endpoint=self.create,
                methods=("POST",),
                access=publish,
                summary="Make a link to a conversation",
                body_schema=models.PublishBody,
                responses={
                    200: models.PUBLISHED,
                    400: models.MESSAGE,
                    404: models.MESSAGE,
                    409: {"message": "Share already exists"},
                },
                failure={"message": "Error creating shared link"},
                contract="share §5",
            ),
            Route(
                path="/api/share/{share_id}",
                endpoint=self.update,
                methods=("PATCH",),
                access=publish,
                summary="Publish the conversation as it is now under the same link",
                body_schema=models.PublishBody,
                responses={200: models.PUBLISHED, 400: models.MESSAGE, 404: models.MESSAGE},
                failure={"message": "Error updating shared link"},
                contract="share §5",
            ),
            Route(
                path="/api/share/{share_id}",
                endpoint=self.delete,
                methods=("DELETE",),
                access=SignedIn(),
                summary="Delete a link",
                responses={
                    200: {"success": True, "message": "Share deleted successfully"},
                    404: {"message": "Share not found"},
                },
                failure={"message": "Error deleting shared link"},
                contract="share §5",
            ),
        ]

    async def page(self, request: Request) -> Response:
        """A page of links."""
        search = (_single(request, "search") or "").strip()
        if len(search) > _LONGEST_SEARCH:
            raise refusal(400, f"search must be {_LONGEST_SEARCH} characters or fewer")
        field = _single(request, "sortBy")
        order = Order(
            field if field in SORT_FIELDS else "createdAt",
            _single(request, "sortDirection") != "asc",
        )
        cursor = (_single(request, "cursor") or "").strip()
        try:
            position = order.read(cursor) if cursor else None
        except BadCursor:
            raise refusal(400, "cursor is not valid for this sort") from None
        found = await self._search(request.caller.id, search) if search else None
        if found is not None and not found:
            return JSON({"links": [], "hasNextPage": False})
        size = _page_size(_single(request, "pageSize"))
        return JSON(await self._list.page(request.caller.id, order, position, size, found))

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
        options = _options(request.fields)
        conversation_id = request.path_params["conversation_id"]
        return _published(await self._publisher.create(request.caller, conversation_id, options))

    async def update(self, request: Request) -> Response:
        """Publish anew."""
        options = _options(request.fields)
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


def _options(fields: dict[str, Any]) -> LinkOptions:
    target, files = fields.get("targetMessageId"), fields.get("snapshotFiles", True)
    if "targetMessageId" in fields and not (isinstance(target, str) and target.strip()):
        raise refusal(400, "targetMessageId must be a non-empty string")
    if not isinstance(files, bool):
        raise refusal(400, "snapshotFiles must be a boolean")
    return LinkOptions(target, files)


def _published(link: Raw) -> Response:
    names = ("_id", "shareId", "conversationId", "targetMessageId")
    return JSON({name: link[name] for name in names if name in link})


def _single(request: Request, name: str) -> str | None:
    """A query value; one that is repeated counts as absent."""
    value = request.query.get(name)
    return value if isinstance(value, str) else None


def _page_size(text: str | None) -> int:
    if text is None or not _WHOLE_NUMBER.fullmatch(text):
        return _PAGE
    return min(max(int(text), 1), _LARGEST_PAGE)
