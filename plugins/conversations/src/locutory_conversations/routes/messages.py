"""``/api/messages``: reading (contract messages §3.1, §3.4, §3.7)."""

import asyncio
import re

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, HTTPError, Request, Route, RouteGroup, Services, SignedIn
from locutory_contracts.search import SearchFailed
from locutory_conversations.config import ConversationsConfig
from locutory_conversations.listing.messages import MessagePages, full, shown
from locutory_conversations.listing.order import BadCursor
from locutory_conversations.listing.search import HistorySearch
from locutory_conversations.routes import models
from locutory_conversations.routes.checks import ConversationChecks, error
from locutory_conversations.store import Store

FAILED = {"error": "Internal server error"}
_HIT = re.compile(r"[0-9]{1,6}")
_LARGEST_SEARCH = 100


class MessageRoutes:
    """Messages of a conversation."""

    def __init__(
        self,
        config: ConversationsConfig,
        store: Store,
        services: Services,
        checks: ConversationChecks,
        log: BoundLogger,
    ) -> None:
        self._config = config
        self._log = log
        self._history_search = HistorySearch(store, services)
        self._checks = checks
        self._pages = MessagePages(store)

    def all(self) -> list[Route]:
        """The routes."""
        messages = RouteGroup("/api/messages", access=SignedIn(), failure=FAILED)
        return [
            messages.get(
                "/{conversation_id}",
                self.whole,
                "Every message of a conversation, oldest first",
                responses={200: [models.MESSAGE], 400: models.ERROR, 404: models.ERROR},
                contract="messages §3.1",
            ),
            messages.get(
                "",
                self.page,
                "A page of messages",
                query=models.MessageQuery,
                responses={200: {"messages": [models.MESSAGE], "nextCursor": None}},
                contract="messages §3.4",
            ),
            messages.get(
                "/{conversation_id}/{message_id}",
                self.one,
                "One message, in a list",
                responses={200: [models.MESSAGE], 400: models.ERROR, 404: models.ERROR},
                contract="messages §3.7",
            ),
        ]

    async def whole(self, request: Request) -> Response:
        """The whole conversation. Both reads go at once, since the check nearly always
        passes; it is left out where it passed lately and there are messages, for whoever
        deletes a conversation deletes those first."""
        user, conversation_id = request.caller.id, self._checks.matching(request)
        if self._checks.known(user, conversation_id):
            rows = await self._pages.whole(user, conversation_id)
            if rows:
                return JSON(rows)
        rows, _ = await asyncio.gather(
            self._pages.whole(user, conversation_id),
            self._checks.readable(user, conversation_id),
        )
        return JSON(rows)

    async def one(self, request: Request) -> Response:
        """Zero or one message."""
        conversation = await self._checks.conversation(request)
        row = await self._pages.one(
            request.caller.id, conversation["conversationId"], request.path_params["message_id"]
        )
        return JSON([] if row is None else [shown(row)])

    async def page(self, request: Request) -> Response:
        """A page of one conversation, one message of it, or the results of a search."""
        query, user = request.valid(models.MessageQuery), request.caller.id
        if not query.conversationId:
            return await self._search(user, query)
        if query.messageId:
            row = await self._pages.one(user, query.conversationId, query.messageId)
            return JSON({"messages": [] if row is None else [full(row)], "nextCursor": None})
        try:
            rows, cursor = await self._pages.page(
                user,
                query.conversationId,
                field=query.sortBy,
                descending=query.sortDirection != "asc",
                size=min(query.pageSize, self._config.largest_page),
                cursor=query.cursor,
            )
        except BadCursor:
            raise error(400, "Invalid cursor") from None
        return JSON({"messages": rows, "nextCursor": cursor})

    async def _search(self, user: str, query: models.MessageQuery) -> Response:
        """Hits in the order of relevance; the cursor is the number of the next one."""
        text, cursor = query.search.strip(), query.cursor or ""
        engine = self._history_search.engine
        if not text or engine is None:
            return JSON({"messages": [], "nextCursor": None})
        try:
            rows, following = await self._history_search.messages(
                engine,
                user,
                text,
                size=min(query.pageSize, _LARGEST_SEARCH),
                start=int(cursor) if _HIT.fullmatch(cursor) else 0,
            )
        except SearchFailed as failure:
            self._log.warning("conversations.search_failed", reason=str(failure))
            raise HTTPError(500, FAILED) from None
        return JSON({"messages": rows, "nextCursor": None if following is None else str(following)})
