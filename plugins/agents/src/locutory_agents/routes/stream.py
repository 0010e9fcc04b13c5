"""``GET /api/agents/chat/stream/:streamId`` (chat-stream §6)."""

from starlette.responses import Response

from locutory import Request
from locutory_agents.jobs.feed import Feed
from locutory_agents.routes.desk import Desk, may_see
from locutory_agents.wire.protocol import epoch_text, reply
from locutory_agents.wire.sse import EventStream

MAX_READERS = 100
"""Readers of one turn on one worker."""


class Stream:
    """Attaches a reader to a job."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, request: Request) -> Response:
        desk = self._desk
        version = desk.version(request)
        try:
            expected = epoch_text(request.query.get("generationCreatedAt"))
        except ValueError:
            return reply(400, {"error": "Invalid generation identity"}, version)
        job = await desk.chat.store.get(request.path_params["stream_id"])
        if job is None:
            return self._missing(version)
        if not may_see(job, request.caller):
            return reply(403, {"error": "Unauthorized"}, version)
        version = desk.version(request, job)
        if expected is not None and expected != job.created_at:
            body = {
                "code": "GENERATION_REPLACED",
                "error": "Generation replaced",
                "message": "The requested generation has completed or was replaced.",
            }
            return reply(409, body, version)
        feed = await desk.chat.store.follow(job)
        if feed is None:
            return self._missing(version)
        if feed.log.watchers >= MAX_READERS:
            await desk.chat.store.leave(feed)
            return reply(429, {"error": "Too many readers"}, version, retry_after=5)
        return EventStream(
            feed,
            version,
            resume=request.query_text("resume") == "true",
            pulse=desk.pulse,
            left=self._left,
        )

    @staticmethod
    def _missing(version: int) -> Response:
        body = {
            "error": "Stream not found",
            "message": "The generation job does not exist or has expired.",
        }
        return reply(404, body, version)

    async def _left(self, feed: Feed) -> None:
        self._desk.chat.reader_left(feed)
        await self._desk.chat.store.leave(feed)
