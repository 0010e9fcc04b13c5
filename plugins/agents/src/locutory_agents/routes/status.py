"""``GET …/status/:conversationId`` and ``GET …/active`` (chat-stream §7)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Request
from locutory_agents.routes.desk import Desk, may_see
from locutory_agents.wire.protocol import reply


class Status:
    """How a conversation's turn stands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, request: Request) -> Response:
        chat = self._desk.chat
        conversation_id: str = request.path_params["conversation_id"]
        version = self._desk.version(request)
        job = await chat.store.get(conversation_id)
        if job is None:
            return reply(
                200,
                {"active": False, **await self._parked(request, conversation_id, version)},
                version,
            )
        if not may_see(job, request.caller):
            return reply(403, {"error": "Unauthorized"}, version)
        version = self._desk.version(request, job)
        if job.saving:
            return self._desk.unavailable(version)
        state: dict[str, Any] | None = None
        feed = await chat.store.follow(job)
        if feed is not None:
            state = feed.resume_state()
            await chat.store.leave(feed)
        body: dict[str, Any] = {"active": job.active}
        if not job.active:
            body |= await self._parked(request, conversation_id, version)
        body |= {
            "streamId": job.stream_id,
            "status": job.status,
            "aggregatedContent": [] if state is None else state["aggregatedContent"],
            "createdAt": job.created_at,
            "resumeState": state,
        }
        return reply(200, body, version)

    async def _parked(self, request: Request, conversation_id: str, version: int) -> dict[str, Any]:
        steers = await self._desk.chat.parked(request.caller.id, conversation_id, version)
        return {"unrecoveredSteers": steers} if steers else {}


class ActiveJobs:
    """The caller's running turns."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, request: Request) -> Response:
        jobs = await self._desk.chat.store.active(request.caller.id)
        seen = [job.stream_id for job in jobs if may_see(job, request.caller)]
        return JSON({"activeJobIds": seen})
