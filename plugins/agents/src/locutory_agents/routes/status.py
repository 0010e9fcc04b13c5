"""``GET …/status/:conversationId`` and ``GET …/active`` (chat-stream §7)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Request
from locutory_agents.routes.deps import RouteDeps, may_see
from locutory_agents.stream.protocol import reply, unavailable


class Status:
    """The state of a conversation's turn."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def __call__(self, request: Request) -> Response:
        turns = self._deps.turns
        conversation_id: str = request.path_params["conversation_id"]
        version = self._deps.version(request)
        job = await turns.store.get(conversation_id)
        if job is None:
            return reply(
                200,
                {"active": False, **await self._parked(request, conversation_id, version)},
                version,
            )
        if not may_see(job, request.caller):
            return reply(403, {"error": "Unauthorized"}, version)
        version = self._deps.version(request, job)
        if job.saving:
            return unavailable(version)
        state: dict[str, Any] | None = None
        feed = await turns.store.follow(job)
        if feed is not None:
            state = feed.resume_state()
            await turns.store.leave(feed)
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
        steers = await self._deps.pending_steers.get(request.caller.id, conversation_id, version)
        return {"unrecoveredSteers": steers} if steers else {}


class ActiveJobs:
    """The caller's running turns."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def __call__(self, request: Request) -> Response:
        jobs = await self._deps.turns.store.active(request.caller.id)
        seen = [job.stream_id for job in jobs if may_see(job, request.caller)]
        return JSON({"activeJobIds": seen})
