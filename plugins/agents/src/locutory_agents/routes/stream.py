"""``GET /api/agents/chat/stream/:streamId`` (chat-stream §6)."""

import asyncio

from starlette.responses import Response

from locutory import Request
from locutory_agents.routes.deps import RouteDeps, may_see
from locutory_agents.stream import frames
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Terminal
from locutory_agents.stream.protocol import epoch_text, reply
from locutory_agents.stream.sse import EventStream

MAX_READERS = 100
"""Readers of one turn on one worker."""


AGAIN_SECONDS = 5.0
"""The seconds for which a reader whose feed broke off waits for the store."""


class Stream:
    """Attaches a reader to a job."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def __call__(self, request: Request) -> Response:
        deps = self._deps
        version = deps.version(request)
        try:
            expected = epoch_text(request.query.get("generationCreatedAt"))
        except ValueError:
            return reply(400, {"error": "Invalid generation identity"}, version)
        job = await deps.turns.store.get(request.path_params["stream_id"])
        if job is None:
            return self._missing(version)
        if not may_see(job, request.caller):
            return reply(403, {"error": "Unauthorized"}, version)
        version = deps.version(request, job)
        if expected is not None and expected != job.created_at:
            body = {
                "code": "GENERATION_REPLACED",
                "error": "Generation replaced",
                "message": "The requested generation has completed or was replaced.",
            }
            return reply(409, body, version)
        feed = await deps.turns.store.follow(job)
        if feed is None:
            return self._missing(version)
        if feed.log.watchers >= MAX_READERS:
            await deps.turns.store.leave(feed)
            return reply(429, {"error": "Too many readers"}, version, retry_after=5)
        return EventStream(
            feed,
            version,
            resume=request.query_text("resume") == "true",
            heartbeat=deps.heartbeat,
            left=self._left,
            again=self._again,
        )

    @staticmethod
    def _missing(version: int) -> Response:
        body = {
            "error": "Stream not found",
            "message": "The generation job does not exist or has expired.",
        }
        return reply(404, body, version)

    async def _left(self, feed: Feed) -> None:
        self._deps.turns.reader_left(feed)
        await self._deps.turns.store.leave(feed)

    async def _again(self, feed: Feed) -> Feed | Terminal:
        """The continuation for a reader whose feed broke off: the feed as the store has it now,
        else the event that ends the reader's stream."""
        turns, job = self._deps.turns, feed.job
        found, reason = None, "terminal_payload_missing"
        if not turns.draining:
            try:
                async with asyncio.timeout(AGAIN_SECONDS):
                    current = await turns.store.get(job.stream_id)
                    if current is not None and current.created_at != job.created_at:
                        reason = "generation_replaced"
                    elif current is not None:
                        found = await turns.store.follow(current)
            except Exception as error:  # the store is away: readers elsewhere may fare better
                self._deps.log.warning("chat.store_unreachable", reason=repr(error)[:200])
        if found is not None and not found.log.broken:
            await turns.store.leave(feed)
            return found
        if found is not None:
            await turns.store.leave(found)
        return frames.reconcile(reason, job.stream_id, job.created_at, error=frames.LOST)
