"""``POST …/abort`` and ``POST …/resume`` (chat-stream §7, §8)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from locutory import Request
from locutory_agents.job import WAITING, Job
from locutory_agents.routes.deps import RouteDeps, may_see, text_of
from locutory_agents.stream.protocol import epoch, reply
from locutory_agents.turns.control import ABORT
from locutory_agents.turns.request import NEW

MAX_ANSWER = 16_000


class Abort:
    """Stops a turn; what was streamed stays saved."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def __call__(self, request: Request) -> Response:
        version = self._deps.version(request)
        body = request.payload
        if not isinstance(body, Mapping):
            return reply(400, {"code": "INVALID_ABORT_TARGET"}, version)
        for name in ("streamId", "conversationId", "abortKey"):
            if body.get(name) is not None and text_of(body, name) is None:
                return reply(400, {"code": "INVALID_ABORT_TARGET"}, version)
        try:
            expected = epoch(body.get("generationCreatedAt"))
        except ValueError:
            return reply(400, {"code": "INVALID_GENERATION_IDENTITY"}, version)
        target = self._target(body)
        job = None if target is None else await self._deps.turns.store.get(target)
        if target is None and NEW in (body.get("streamId"), body.get("conversationId")):
            found = await self._newest(request, expected)
            if len(found) > 1:
                return reply(409, {"code": "AMBIGUOUS_ACTIVE_RUN"}, version)
            job = found[0] if found else None
        if job is None:
            return reply(404, {"error": "Job not found", "streamId": target}, version)
        if not may_see(job, request.caller):
            return reply(403, {"error": "Unauthorized"}, version)
        version = self._deps.version(request, job)
        if expected is not None and expected != job.created_at:
            return reply(409, {"code": "RUN_REPLACED"}, version)
        try:
            return await self._stop(job, version)
        except Exception:
            self._deps.log.exception("chat.abort_failed", conversation=job.stream_id)
            body = {"code": "ABORT_FAILED", "error": "Failed to abort generation"}
            return reply(500, body, version)

    @staticmethod
    def _target(body: Mapping[str, Any]) -> str | None:
        """The first id given; the word "new" is none."""
        key = body.get("abortKey")
        ids = (
            body.get("streamId"),
            body.get("conversationId"),
            key.split(":", 1)[0] if isinstance(key, str) else None,
        )
        return next((str(found) for found in ids if found and found != NEW), None)

    async def _newest(self, request: Request, expected: int | None) -> list[Job]:
        jobs = await self._deps.turns.store.active(request.caller.id)
        return [
            job
            for job in jobs
            if may_see(job, request.caller) and expected in (None, job.created_at)
        ]

    async def _stop(self, job: Job, version: int) -> Response:
        answer = await self._deps.control.stop(job, ABORT)
        if answer is None:
            return reply(409, {"code": "RUN_STILL_ACTIVE"}, version, retry_after=1)
        if not answer["won"]:
            return await self._settled(job, answer, version)
        failed = not answer["saved"]
        if failed and version < 2:
            return reply(409, {"code": "ABORT_PERSISTENCE_FAILED"}, version, retry_after=1)
        body: dict[str, Any] = {"success": True, "aborted": job.stream_id}
        if failed:
            body["persistenceFailed"] = True
        elif answer["pending"]:
            body["pendingSteers"] = answer["pending"]
        return reply(200, body, version)

    async def _settled(self, job: Job, answer: Mapping[str, Any], version: int) -> Response:
        """The turn had ended before it could be stopped."""
        current = await self._deps.turns.store.get(job.stream_id)
        if current is not None and current.created_at != job.created_at:
            return reply(409, {"code": "RUN_REPLACED"}, version)
        if current is not None and current.active:
            return reply(409, {"code": "RUN_STILL_ACTIVE"}, version, retry_after=1)
        if version < 2:
            return reply(200, {"success": True, "aborted": job.stream_id}, version)
        body = {
            "success": False,
            "settled": True,
            "code": "RUN_ALREADY_SETTLED",
            "streamId": job.stream_id,
            "terminalStatus": answer["status"],
        }
        return reply(200, body, version)


class Resume:
    """Answers a turn that waits for its user. No tool of this server pauses a turn yet, so
    that there is never one to resume."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def __call__(self, request: Request) -> Response:
        return await self._deps.limited(request, lambda: self._resume(request))

    async def _resume(self, request: Request) -> Response:
        deps = self._deps
        version = deps.version(request)
        body = request.fields
        refused = await deps.filtered(request)
        if refused is not None:
            return refused
        conversation_id = text_of(body, "conversationId")
        if conversation_id is None:
            return reply(400, {"error": "conversationId is required"}, version)
        if text_of(body, "actionId") is None:
            return reply(400, {"error": "actionId is required"}, version)
        try:
            expected = epoch(body.get("generationCreatedAt"))
        except ValueError:
            return reply(400, {"error": "Invalid generation identity"}, version)
        answer = body.get("answer")
        if answer is not None and (not isinstance(answer, str) or len(answer) > MAX_ANSWER):
            error = f"answer must be a string of at most {MAX_ANSWER} characters"
            return reply(400, {"error": error}, version)
        job = await deps.turns.store.get(conversation_id)
        if job is None:
            error = "No paused generation for this conversation"
            return reply(404, {"error": error}, version)
        if not may_see(job, request.caller):
            return reply(403, {"error": "Unauthorized"}, version)
        version = deps.version(request, job)
        if expected is not None and expected != job.created_at:
            return reply(409, {"code": "RUN_REPLACED"}, version)
        if job.status != WAITING:
            return reply(409, {"error": "No live pending action to resume"}, version)
        return reply(409, {"error": "This action was already resolved or has expired"}, version)
