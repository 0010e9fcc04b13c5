"""One generation per ``clientRequestId`` (chat-stream §11)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import Cache, Request
from locutory_agents.ids import milliseconds
from locutory_agents.job import Job
from locutory_agents.stream.protocol import not_ready, reply, unavailable
from locutory_agents.turns.request import ChatRequest
from locutory_agents.turns.turn_manager import TurnManager

NAMESPACE = "agents:requests"
CACHE_SECONDS = 25 * 3600.0
GRACE_MS = 5000
"""A claim without a job is this young while its owner is still starting."""

_POLLS = 5
_POLL_SECONDS = 0.06


class IdempotencyKeys:
    """Finds the job that a request id has started."""

    def __init__(self, cache: Cache, turns: TurnManager, log: BoundLogger) -> None:
        self._cache = cache
        self._turns = turns
        self._log = log

    @staticmethod
    def _key(user: str, chat: ChatRequest) -> str:
        return f"{user}:{chat.request_id}"

    async def take(self, request: Request, chat: ChatRequest, version: int) -> Response | None:
        """``None`` for the first request with this id; else the answer to its repetition."""
        user = request.caller.id
        key = self._key(user, chat)
        value = {"stream": chat.conversation_id, "claimed": milliseconds()}
        try:
            if await self._cache.add(NAMESPACE, key, value, CACHE_SECONDS):
                return None
            claim = await self._started(key)
        except Exception:
            self._log.warning("chat.claim_failed", exc_info=True)
            return unavailable(version)
        return await self._repeated(request, chat, version, claim)

    async def _started(self, key: str) -> Mapping[str, Any] | None:
        """The claim, a moment later when its job does not exist yet."""
        claim: Mapping[str, Any] | None = None
        for _ in range(_POLLS):
            found = await self._cache.get(NAMESPACE, key)
            claim = found if isinstance(found, Mapping) else None
            if claim is None or "started" in claim:
                return claim
            await asyncio.sleep(_POLL_SECONDS)
        return claim

    async def _repeated(
        self, request: Request, chat: ChatRequest, version: int, claim: Mapping[str, Any] | None
    ) -> Response:
        starting = not_ready(version, "Generation is still starting. Please retry shortly.")
        if claim is None:
            return starting
        stream = claim["stream"]
        if stream != chat.conversation_id:
            error = "clientRequestId was used for another conversation"
            return reply(400, {"code": "INVALID_CLIENT_REQUEST_ID", "error": error}, version)
        started = claim.get("started")
        if started is None:
            if milliseconds() - claim["claimed"] >= GRACE_MS:
                # Its owner died before it had a job: the next try may start.
                await self.release(chat, request.caller.id)
            return starting
        version = min(version, claim.get("protocol", 1))
        job = await self._turns.store.get(stream)
        mine = job is not None and job.user == request.caller.id
        if job is not None and mine and job.created_at == started:
            if job.saving:
                return starting
            if job.active:
                return self._answer(stream, started, "resumed", version)
        elif job is not None and mine and job.active:
            if version < 2:
                error = "A newer turn has replaced this one."
                return reply(409, {"code": "RUN_REPLACED", "error": error}, version)
            return self._answer(stream, job.created_at, "replaced", version)
        if version < 2:
            return self._answer(stream, started, "resumed", version)
        return reply(200, {"conversationId": stream, "status": "settled"}, version)

    @staticmethod
    def _answer(stream: str, created_at: int, status: str, version: int) -> Response:
        body = {
            "streamId": stream,
            "conversationId": stream,
            "generationCreatedAt": created_at,
            "status": status,
        }
        return reply(200, body, version)

    async def confirm(self, chat: ChatRequest, job: Job) -> None:
        """The claim has its job now."""
        if chat.request_id is None:
            return
        value = {
            "stream": job.stream_id,
            "claimed": milliseconds(),
            "started": job.created_at,
            "protocol": job.protocol,
        }
        try:
            await self._cache.set(NAMESPACE, self._key(job.user, chat), value, CACHE_SECONDS)
        except Exception:
            self._log.warning("chat.claim_failed", exc_info=True)

    async def release(self, chat: ChatRequest, user: str) -> None:
        """The claim led to nothing: another try may start."""
        if chat.request_id is None:
            return
        try:
            await self._cache.delete(NAMESPACE, self._key(user, chat))
        except Exception:
            self._log.warning("chat.claim_failed", exc_info=True)
