"""``/api/convos`` (contract convos §2)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Empty, NoBody, Request, Route, Services, SignedIn, Text
from locutory.database import Raw
from locutory_contracts.conversations import SHARED_CONVERSATIONS
from locutory_contracts.search import SearchFailed
from locutory_conversations.config import ConversationsConfig
from locutory_conversations.deletion import Deletion
from locutory_conversations.listing.conversations import UNASSIGNED, ConversationList, Selection
from locutory_conversations.listing.order import SORT_FIELDS, BadCursor, Order
from locutory_conversations.listing.search import HistorySearch
from locutory_conversations.routes import models
from locutory_conversations.routes.checks import ConversationChecks, error
from locutory_conversations.saving import is_project_id
from locutory_conversations.store import Store, key_of
from locutory_conversations.titles import Titles
from locutory_conversations.updates import ConversationUpdates

_HIDDEN = ("subagentThreadLease", "_meiliIndex")
_LEADING_NUMBER = re.compile(r"\s*(\d{1,9})")
_MAX_TAGS = 100
_LIST_FAILED = "Error fetching conversations"
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
        return [
            Route(
                path="/api/convos",
                endpoint=self.list,
                access=SignedIn(),
                summary="A page of the caller's conversations",
                query_schema=models.ListQuery,
                responses={
                    200: {"conversations": [models.CONVERSATION], "nextCursor": None},
                    400: models.ERROR,
                    500: {"error": _LIST_FAILED},
                },
                failure={"error": _LIST_FAILED},
                contract="convos §2.1",
            ),
            Route(
                path="/api/convos/{conversation_id}",
                endpoint=self.one,
                access=SignedIn(),
                summary="One conversation",
                responses={200: models.CONVERSATION, 404: "No such conversation"},
                contract="convos §2.2",
            ),
            Route(
                path="/api/convos/gen_title/{conversation_id}",
                endpoint=self.title,
                access=SignedIn(),
                summary="Wait for a generated title",
                responses={200: {"title": "Title"}, 404: {"message": _NO_TITLE}},
                contract="convos §2.3",
            ),
            self._change(
                "update", self.rename, "Rename a conversation", models.RenameBody, 201, "updating"
            ),
            self._change(
                "archive",
                self.archive,
                "Archive a conversation, or bring it back",
                models.ArchiveBody,
                200,
                "archiving",
            ),
            self._change(
                "pin", self.pin, "Pin or unpin a conversation", models.PinBody, 200, "pinning"
            ),
            Route(
                path="/api/convos/archive/all",
                endpoint=self.archive_all,
                methods=("POST",),
                access=SignedIn(),
                summary="Archive every conversation in the list",
                body=NoBody,
                responses={200: {"archivedCount": 3}},
                failure="Error archiving all conversations",
                contract="convos §2.5",
            ),
            Route(
                path="/api/convos",
                endpoint=self.delete,
                methods=("DELETE",),
                access=SignedIn(),
                summary="Delete one conversation with its messages",
                body_schema=models.DeleteBody,
                responses={
                    200: "No conversationId provided",
                    201: models.DELETED,
                    400: models.ERROR,
                    404: models.ERROR,
                },
                failure="Error clearing conversations",
                contract="convos §2.7",
            ),
            Route(
                path="/api/convos/all",
                endpoint=self.delete_all,
                methods=("DELETE",),
                access=SignedIn(),
                summary="Delete every conversation of the caller",
                responses={201: models.DELETED},
                failure="Error clearing conversations",
                contract="convos §2.8",
            ),
        ]

    def _change(
        self, name: str, endpoint: Any, summary: str, body: Any, status: int, doing: str
    ) -> Route:
        return Route(
            path=f"/api/convos/{name}",
            endpoint=endpoint,
            methods=("POST",),
            access=SignedIn(),
            summary=summary,
            body_schema=body,
            responses={
                status: models.CONVERSATION,
                400: models.ERROR,
                403: models.ERROR,
                404: models.ERROR,
            },
            failure=f"Error {doing} conversation",
            contract="convos §2.4-2.6",
        )

    async def list(self, request: Request) -> Response:
        """A page of the list."""
        selection = self._selection(request)
        text = (request.query_text("search") or "").strip()
        if text:
            ids = await self._found(request.caller.id, text)
            if not ids:
                return JSON({"conversations": [], "nextCursor": None})
            selection = replace(selection, ids=ids)
        rows, cursor = await self._list.page(request.caller.id, selection)
        await self._mark_shared(request.caller.id, rows)
        return JSON({"conversations": rows, "nextCursor": cursor})

    async def _found(self, user: str, text: str) -> tuple[str, ...]:
        """Conversations that a search finds. Nothing when there is no search; the client hides
        its field then."""
        engine = self._history_search.engine
        if engine is None:
            return ()
        try:
            return await self._history_search.conversations(engine, user, text)
        except SearchFailed as failure:
            self._log.warning("conversations.search_failed", reason=str(failure))
            raise error(500, _LIST_FAILED) from None

    def _selection(self, request: Request) -> Selection:
        project = request.query_text("projectId") or None
        if project is not None and project != UNASSIGNED and not is_project_id(project):
            raise error(400, "projectId must be a valid project id or unassigned")
        field = request.query_text("sortBy") or "updatedAt"
        if field not in SORT_FIELDS:
            raise error(400, _LIST_FAILED)
        order = Order(field, request.query_text("sortDirection") != "asc")
        text = request.query_text("cursor")
        try:
            cursor = order.read(text) if text else None
        except BadCursor:
            raise error(400, _LIST_FAILED) from None
        tags = request.query.get("tags") or ()
        limit = positive(request.query_text("limit"), 25)
        return Selection(
            limit=min(limit, self._config.largest_page),
            archived=request.query_flag("isArchived"),
            pinned=request.query_flag("pinned"),
            tags=tuple(tag for tag in ([tags] if isinstance(tags, str) else tags) if tag)[
                :_MAX_TAGS
            ],
            project=project,
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
        conversation_id, arg = _target(request)
        if "title" not in arg:
            raise await self._invalid(request, conversation_id, "title is required")
        if not isinstance(arg["title"], str):
            raise await self._invalid(request, conversation_id, "title must be a string")
        document = await self._updates.rename(request.caller.id, conversation_id, arg["title"])
        return await self._answer(request, conversation_id, document, 201)

    async def archive(self, request: Request) -> Response:
        """Set or clear ``isArchived``."""
        conversation_id, arg = _target(request)
        archived = arg.get("isArchived")
        if not isinstance(archived, bool):
            raise await self._invalid(request, conversation_id, "isArchived must be a boolean")
        document = await self._updates.archive(request.caller.id, conversation_id, archived)
        return await self._answer(request, conversation_id, document, 200)

    async def pin(self, request: Request) -> Response:
        """Set or clear ``pinned``."""
        conversation_id, arg = _target(request)
        if "pinned" not in arg:
            raise await self._invalid(request, conversation_id, "pinned is required")
        if not isinstance(arg["pinned"], bool):
            raise await self._invalid(request, conversation_id, "pinned must be a boolean")
        document = await self._updates.pin(request.caller.id, conversation_id, arg["pinned"])
        return await self._answer(request, conversation_id, document, 200)

    async def archive_all(self, request: Request) -> Response:
        """Archive everything that the list shows."""
        return JSON({"archivedCount": await self._updates.archive_all(request.caller.id)})

    async def delete(self, request: Request) -> Response:
        """Delete one conversation."""
        arg = _arg(request)
        given = [arg.get(name) for name in ("conversationId", "source", "thread_id", "endpoint")]
        conversation_id = given[0]
        if not any(given):
            raise error(400, "no parameters provided")
        if not conversation_id and arg.get("source") == "button":
            return Text("No conversationId provided")
        if not isinstance(conversation_id, str) or not conversation_id:
            # Upstream deletes everything here; nobody means that.
            raise error(400, "conversationId is required")
        deleted = await self._deletion.one(request.caller.id, conversation_id)
        if not deleted.conversation_ids:
            raise error(404, "Conversation not found")
        return JSON(deleted.body(), 201)

    async def delete_all(self, request: Request) -> Response:
        """Delete everything."""
        deleted = await self._deletion.all(request.caller.id)
        return JSON(deleted.body(), 201)

    async def _invalid(self, request: Request, conversation_id: str, text: str) -> Exception:
        await self._checks.refuse_foreign(request, conversation_id)
        return error(400, text)

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


def _arg(request: Request) -> dict[str, Any]:
    arg = request.fields.get("arg")
    return arg if isinstance(arg, dict) else {}


def _target(request: Request) -> tuple[str, dict[str, Any]]:
    arg = _arg(request)
    conversation_id = arg.get("conversationId")
    if not isinstance(conversation_id, str) or not conversation_id:
        raise error(400, "conversationId is required")
    return conversation_id, arg


def positive(text: str | None, default: int) -> int:
    """The number that ``text`` begins with; ``default`` for none, and for zero."""
    found = _LEADING_NUMBER.match(text or "")
    return (int(found[1]) if found else 0) or default
