"""``/api/convos`` (contract convos §2)."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Empty, NoBody, Raw, Request, Route, RouteGroup, Services, SignedIn, Text
from locutory_contracts.conversations import SHARED_CONVERSATIONS
from locutory_contracts.search import SearchFailed
from locutory_conversations.config import ConversationsConfig
from locutory_conversations.deletion import Deletion
from locutory_conversations.listing.conversations import ConversationList, Selection
from locutory_conversations.listing.order import BadCursor, Order
from locutory_conversations.listing.search import HistorySearch
from locutory_conversations.routes import models
from locutory_conversations.routes.checks import ConversationChecks, error
from locutory_conversations.store import Store, key_of
from locutory_conversations.titles import Titles
from locutory_conversations.updates import ConversationUpdates

_HIDDEN = ("subagentThreadLease", "_meiliIndex")
_MAX_TAGS = 100
_NO_TITLE = "Title not found or method not implemented for the conversation's endpoint"


class ConversationRoutes:
    """Lists, single conversations, and changes of them."""

    def __init__(
        self,
        config: ConversationsConfig,
        store: Store,
        services: Services,
        checks: ConversationChecks,
        updates: ConversationUpdates,
        deletion: Deletion,
        titles: Titles,
        log: BoundLogger,
    ) -> None:
        self._config = config
        self._store = store
        self._services = services
        self._checks = checks
        self._updates = updates
        self._deletion = deletion
        self._titles = titles
        self._log = log
        self._list = ConversationList(store)
        self._history_search = HistorySearch(store, services)

    def all(self) -> list[Route]:
        """The routes."""
        convos = RouteGroup("/api/convos", access=SignedIn())
        changing = convos.but(
            checks=(self._checks.guard,),
            invalid=models.INVALID_TARGET,
            responses={403: models.ERROR, 404: models.ERROR},
            contract="convos §2.4-2.6",
        )
        return [
            convos.get(
                "",
                self.list,
                "A page of the caller's conversations",
                query=models.ListQuery,
                invalid=models.INVALID_QUERY,
                responses={
                    200: {"conversations": [models.CONVERSATION], "nextCursor": None},
                    400: models.ERROR,
                    500: {"error": models.LIST_FAILED},
                },
                failure={"error": models.LIST_FAILED},
                contract="convos §2.1",
            ),
            convos.get(
                "/{conversation_id}",
                self.one,
                "One conversation",
                responses={200: models.CONVERSATION, 404: "No such conversation"},
                contract="convos §2.2",
            ),
            convos.get(
                "/gen_title/{conversation_id}",
                self.title,
                "Wait for a generated title",
                responses={200: {"title": "Title"}, 404: {"message": _NO_TITLE}},
                contract="convos §2.3",
            ),
            changing.post(
                "/update",
                self.rename,
                "Rename a conversation",
                body=models.RenameBody,
                responses={201: models.CONVERSATION},
                failure="Error updating conversation",
            ),
            changing.post(
                "/archive",
                self.archive,
                "Archive a conversation, or bring it back",
                body=models.ArchiveBody,
                responses={200: models.CONVERSATION},
                failure="Error archiving conversation",
            ),
            changing.post(
                "/pin",
                self.pin,
                "Pin or unpin a conversation",
                body=models.PinBody,
                responses={200: models.CONVERSATION},
                failure="Error pinning conversation",
            ),
            convos.post(
                "/archive/all",
                self.archive_all,
                "Archive every conversation in the list",
                body=NoBody,
                responses={200: {"archivedCount": 3}},
                failure="Error archiving all conversations",
                contract="convos §2.5",
            ),
            convos.delete(
                "",
                self.delete,
                "Delete one conversation with its messages",
                body=models.DeleteBody,
                invalid=models.INVALID_DELETION,
                responses={
                    200: "No conversationId provided",
                    201: models.DELETED,
                    404: models.ERROR,
                },
                failure="Error clearing conversations",
                contract="convos §2.7",
            ),
            convos.delete(
                "/all",
                self.delete_all,
                "Delete every conversation of the caller",
                responses={201: models.DELETED},
                failure="Error clearing conversations",
                contract="convos §2.8",
            ),
        ]

    async def list(self, request: Request) -> Response:
        """A page of the list."""
        query = request.valid(models.ListQuery)
        selection, text = self._selection(query), query.search.strip()
        if text:
            ids = await self._found(request.caller.id, text)
            if not ids:
                return JSON({"conversations": [], "nextCursor": None})
            selection = replace(selection, ids=ids)
        rows, cursor = await self._list.page(request.caller.id, selection)
        await self._mark_shared(request.caller.id, rows)
        return JSON({"conversations": rows, "nextCursor": cursor})

    async def _found(self, user: str, text: str) -> tuple[str, ...]:
        """Conversations that a search finds. Empty without a search plugin; the client hides its
        field then."""
        engine = self._history_search.engine
        if engine is None:
            return ()
        try:
            return await self._history_search.conversations(engine, user, text)
        except SearchFailed as failure:
            self._log.warning("conversations.search_failed", reason=str(failure))
            raise error(500, models.LIST_FAILED) from None

    def _selection(self, query: models.ListQuery) -> Selection:
        order = Order(query.sortBy, query.sortDirection != "asc")
        try:
            cursor = order.read(query.cursor) if query.cursor else None
        except BadCursor:
            raise error(400, models.LIST_FAILED) from None
        return Selection(
            limit=min(query.limit, self._config.largest_page),
            archived=query.isArchived,
            pinned=query.pinned,
            tags=tuple(query.tags[:_MAX_TAGS]),
            project=query.projectId,
            order=order,
            cursor=cursor,
        )

    async def _mark_shared(self, user: str, rows: Sequence[Raw]) -> None:
        """Add ``isShared``; left out when links are off or cannot be looked up."""
        if not self._config.allow_shared_links or not rows:
            return
        links = self._services.find(SHARED_CONVERSATIONS)
        shared: set[str] = set()
        if links is not None:
            try:
                shared = await links.shared(user, [row["conversationId"] for row in rows])
            except Exception:
                self._log.exception("conversations.shared_lookup_failed")
                return
        for row in rows:
            row["isShared"] = row["conversationId"] in shared

    async def one(self, request: Request) -> Response:
        """The whole document."""
        key = key_of(request.caller.id, request.path_params["conversation_id"])
        document = await self._store.conversations_plain.find_one(key)
        return Empty(404) if document is None else JSON(shown_conversation(document))

    async def title(self, request: Request) -> Response:
        """The title, as soon as there is one."""
        found = await self._titles.wait(
            request.caller.id, request.path_params["conversation_id"], request.is_disconnected
        )
        if found is None:
            return JSON({"message": _NO_TITLE}, 404)
        return JSON({"title": found})

    async def rename(self, request: Request) -> Response:
        """Set the title."""
        arg = request.valid(models.RenameBody).arg
        document = await self._updates.rename(request.caller.id, arg.conversationId, arg.title)
        return await self._answer(request, arg.conversationId, document, 201)

    async def archive(self, request: Request) -> Response:
        """Set or clear ``isArchived``."""
        arg = request.valid(models.ArchiveBody).arg
        document = await self._updates.archive(
            request.caller.id, arg.conversationId, arg.isArchived
        )
        return await self._answer(request, arg.conversationId, document, 200)

    async def pin(self, request: Request) -> Response:
        """Set or clear ``pinned``."""
        arg = request.valid(models.PinBody).arg
        document = await self._updates.pin(request.caller.id, arg.conversationId, arg.pinned)
        return await self._answer(request, arg.conversationId, document, 200)

    async def archive_all(self, request: Request) -> Response:
        """Archive everything that the list shows."""
        return JSON({"archivedCount": await self._updates.archive_all(request.caller.id)})

    async def delete(self, request: Request) -> Response:
        """Delete one conversation."""
        conversation_id = request.valid(models.DeleteBody).arg.conversationId
        if not conversation_id:
            return Text("No conversationId provided")
        deleted = await self._deletion.one(request.caller.id, conversation_id)
        if not deleted.conversation_ids:
            raise error(404, "Conversation not found")
        return JSON(deleted.body(), 201)

    async def delete_all(self, request: Request) -> Response:
        """Delete everything."""
        deleted = await self._deletion.all(request.caller.id)
        return JSON(deleted.body(), 201)

    async def _answer(
        self, request: Request, conversation_id: str, document: Raw | None, status: int
    ) -> Response:
        if document is None:
            await self._checks.refuse_foreign(request, conversation_id)
            raise error(404, "Conversation not found")
        return JSON(shown_conversation(document), status)


def shown_conversation(document: Raw) -> Raw:
    """A stored conversation as answers show it."""
    return {name: value for name, value in document.items() if name not in _HIDDEN}
