"""``POST …/steer``, ``…/cancel``, ``…/arm``, ``…/deliver`` (chat-stream §9)."""

import re
from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.responses import Response

from locutory import Request
from locutory_agents.job import WAITING, Job
from locutory_agents.routes.deps import RouteDeps, may_see, text_of
from locutory_agents.stream.protocol import epoch, reply
from locutory_agents.turns.control import ARM, CANCEL, STEER
from locutory_agents.turns.request import NEW, sanitized_files

MAX_FILES = 10

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


Work = Awaitable[tuple[int, dict[str, Any], Job | None]]
"""Status, body, and the job that the answer is about."""


class Refused(Exception):
    """A status and a code."""

    def __init__(self, status: int, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"code": code, **more}


def _target(body: Mapping[str, Any]) -> tuple[str, int | None]:
    """Conversation id and creation time that a body names."""
    conversation_id = text_of(body, "conversationId")
    if conversation_id is None or conversation_id == NEW:
        raise Refused(400, "INVALID_CONVERSATION")
    try:
        return conversation_id, epoch(body.get("generationCreatedAt"))
    except ValueError:
        raise Refused(400, "INVALID_GENERATION_IDENTITY") from None


def _client_id(body: Mapping[str, Any], *, required: bool) -> str | None:
    value = body.get("clientSteerId")
    if value is None:
        if required:
            raise Refused(400, "CLIENT_STEER_ID_REQUIRED")
        return None
    if not isinstance(value, str) or _CLIENT_ID.fullmatch(value) is None:
        raise Refused(400, "INVALID_CLIENT_STEER_ID")
    return value


def _steer_id(body: Mapping[str, Any]) -> str:
    found = text_of(body, "steerId")
    if found is None:
        raise Refused(400, "INVALID_STEER_ID")
    return found


class Steering:
    """The four routes. ``deliver`` is for hosts that repeat a delivery until it is known to
    have arrived, so that it insists on the client's own id."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def steer(self, request: Request) -> Response:
        """Add words."""
        return await self._queue(request, strict=False)

    async def deliver(self, request: Request) -> Response:
        """Add words, under an id of the client's own."""
        return await self._queue(request, strict=True)

    async def _queue(self, request: Request, *, strict: bool) -> Response:
        async def work() -> Response:
            refused = await self._deps.filtered(request)
            return refused or await self._answered(request, self._add(request, strict))

        return await self._deps.limited(request, work)

    async def _answered(self, request: Request, work: Work) -> Response:
        version = self._deps.version(request)
        try:
            status, body, job = await work
        except Refused as refused:
            return reply(refused.status, refused.body, version)
        except Exception:
            self._deps.log.exception("chat.steer_failed")
            return reply(500, {"code": "STEER_FAILED"}, version)
        version = version if job is None else self._deps.version(request, job)
        if version < 2:
            body = {key: value for key, value in body.items() if key != "preemptRevision"}
        return reply(status, body, version)

    async def _job(
        self, request: Request, conversation_id: str, expected: int | None
    ) -> Job | None:
        """The running job that is addressed; ``None`` when nothing runs."""
        job = await self._deps.turns.store.get(conversation_id)
        if job is None:
            return None
        if not may_see(job, request.caller):
            raise Refused(403, "UNAUTHORIZED")
        if not job.active:
            return None
        if expected is not None and expected != job.created_at:
            raise Refused(409, "RUN_REPLACED")
        return job

    async def _add(self, request: Request, strict: bool) -> tuple[int, dict[str, Any], Job | None]:
        body = request.fields
        conversation_id, expected = _target(body)
        text = body.get("text")
        text = text.strip() if isinstance(text, str) else ""
        if not text:
            raise Refused(400, "EMPTY_TEXT")
        longest = self._deps.config.steer_max_length
        if len(text) > longest:
            raise Refused(413, "STEER_TOO_LONG", maxLength=longest)
        client_id = _client_id(body, required=strict)
        files = body.get("files")
        if files is not None and (not isinstance(files, list) or len(files) > MAX_FILES):
            raise Refused(400, "TOO_MANY_FILES")
        job = await self._job(request, conversation_id, expected)
        if job is None:
            raise Refused(404, "NO_ACTIVE_RUN")
        if strict and body.get("agentId") != job.record.agent_id:
            raise Refused(403, "FORBIDDEN")
        if job.status == WAITING:
            raise Refused(409, "RUN_PAUSED")
        command = {
            "do": STEER,
            "text": text,
            "client": client_id,
            "files": [dict(file) for file in sanitized_files(files)],
            "preempt": body.get("preempt") is True,
        }
        answer = await self._deps.control.ask(job, command)
        if answer is None:
            raise Refused(404, "NO_ACTIVE_RUN")
        found = dict(answer["body"])
        if answer["status"] == 202:
            found["conversationId"] = conversation_id
        return answer["status"], found, job

    async def cancel(self, request: Request) -> Response:
        """Take words back."""
        return await self._deps.limited(
            request, lambda: self._answered(request, self._cancel(request))
        )

    async def arm(self, request: Request) -> Response:
        """Apply a steer without waiting for a tool boundary."""
        return await self._deps.limited(
            request, lambda: self._answered(request, self._arm(request))
        )

    async def _cancel(self, request: Request) -> tuple[int, dict[str, Any], Job | None]:
        body = request.fields
        conversation_id, expected = _target(body)
        steer_id = _steer_id(body)
        client_id = _client_id(body, required=False)
        job = await self._job(request, conversation_id, expected)
        if job is None:
            return 200, {"removed": False}, None
        command = {"do": CANCEL, "steer": steer_id, "client": client_id}
        answer = await self._deps.control.ask(job, command)
        return 200, dict(answer or {"removed": False}), job

    async def _arm(self, request: Request) -> tuple[int, dict[str, Any], Job | None]:
        body = request.fields
        conversation_id, expected = _target(body)
        steer_id = _steer_id(body)
        job = await self._job(request, conversation_id, expected)
        if job is None:
            return 200, {"armed": False}, None
        answer = await self._deps.control.ask(job, {"do": ARM, "steer": steer_id})
        return 200, dict(answer or {"armed": False}), job
