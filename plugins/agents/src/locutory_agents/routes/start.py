"""``POST /api/agents/chat/:endpoint``: start a turn (chat-stream §4)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from locutory import JSON, Request, iso, now
from locutory_agents.checks.permissions import READ_ONLY
from locutory_agents.checks.pii import texts_of
from locutory_agents.job import Job
from locutory_agents.routes import refusal_stream
from locutory_agents.routes.deps import RouteDeps
from locutory_agents.stores.base import ForeignJob, PredecessorMismatch, StoreFull, TooManyJobs
from locutory_agents.stream.protocol import reply, unavailable
from locutory_agents.turns.prepare import new_record
from locutory_agents.turns.request import BadChatRequest, ChatRequest, is_child_thread, parse
from locutory_contracts.conversations import CONVERSATIONS, NO_PARENT
from locutory_contracts.models import ModelRefused

PREPARE_SECONDS = 0.25
"""The seconds for which the response waits until the model is determined, so that a refusal of the
settings (spec errors) can still be the response; afterwards it becomes an error event."""

FOREIGN = orjson.dumps(
    {"type": "convo_access", "error": "User not authorized for this conversation"}
).decode()
CONCURRENT = "concurrent"
COUNTED_SECONDS = 86_400.0


class Start:
    """Checks a request, creates its job, and answers; the turn runs on by itself."""

    def __init__(self, deps: RouteDeps) -> None:
        self._deps = deps

    async def __call__(self, request: Request) -> Response:
        headers: dict[str, str] = {}
        response = await self._start(request, headers)
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def _start(self, request: Request, headers: dict[str, str]) -> Response:
        deps = self._deps
        version = deps.version(request)
        exceeded = await deps.limits.check(request, headers)
        if exceeded is not None:
            return await self._refuse(request, orjson.dumps(exceeded.body).decode())
        try:
            chat = parse(
                request.fields, request.path_params.get("endpoint"), request.caller.id, request.ip
            )
        except BadChatRequest as error:
            return reply(error.status, error.body, version)
        endpoint, body = await deps.resolver.default_endpoint(
            chat.endpoint, chat.body, request.caller
        )
        if endpoint != chat.endpoint:
            chat = replace(chat, endpoint=endpoint, body=body)
        if not chat.endpoint:
            return refusal_stream.plain("Error parsing conversation")
        refused = await self._refusal(request, chat, version)
        if refused is not None:
            return refused
        if chat.request_id is not None:
            duplicate = await self._deps.idempotency.take(request, chat, version)
            if duplicate is not None:
                return duplicate
        return await self._create(request, chat, version)

    async def _refusal(self, request: Request, chat: ChatRequest, version: int) -> Response | None:
        deps, principal = self._deps, request.caller
        texts = texts_of(chat.body, chat.quotes, chat.prompt)
        blocked: Response | None = deps.pii.refusal(texts)
        if blocked is not None:
            return blocked
        flagged = await deps.moderation.refusal(texts)
        if flagged is not None:
            return await self._refuse(request, flagged)
        forbidden = await deps.permissions.refusal(principal, chat.body, chat.endpoint)
        if forbidden is not None:
            return forbidden
        return await self._history_refusal(request, chat, version)

    async def _history_refusal(
        self, request: Request, chat: ChatRequest, version: int
    ) -> Response | None:
        """The refusal when the conversation is not the caller's, or the message that this one
        follows is not saved."""
        user = request.caller.id
        if is_child_thread(chat.conversation_id):
            return JSON({"error": READ_ONLY}, 409)
        history = self._deps.services.find(CONVERSATIONS)
        if history is None:
            return None
        if not chat.new:
            conversation = await history.find(user, chat.conversation_id)
            if conversation is None:
                owner = await history.owner(chat.conversation_id)
                if owner is not None and owner != user:
                    return await self._foreign(request)
            elif conversation.get("subagentThread"):
                return JSON({"error": READ_ONLY}, 409)
        if chat.parent_id.endswith("_") and await history.message(user, chat.parent_id) is None:
            error = "The answer that this message follows is still being saved. Please wait."
            return reply(409, {"code": "PARENT_NOT_READY", "error": error}, version)
        if chat.recovered_steer is not None:
            pending = await self._deps.pending_steers.get(user, chat.conversation_id, 2)
            words = {steer.get("steerId"): steer.get("text") for steer in pending}
            if words.get(chat.recovered_steer, chat.text) != chat.text:
                error = "The message is not the one that was left over."
                return reply(409, {"code": "RECOVERY_PAYLOAD_MISMATCH", "error": error}, version)
        return None

    async def _foreign(self, request: Request) -> Response:
        await self._deps.violation(request, "convo_access", self._deps.config.convo_access_score)
        return await self._refuse(request, FOREIGN, save=False)

    async def _create(self, request: Request, chat: ChatRequest, version: int) -> Response:
        deps, principal = self._deps, request.caller
        preparing = deps.turns.prepare(chat, principal)
        job = Job(
            stream_id=chat.conversation_id,
            user=principal.id,
            tenant=principal.tenant,
            protocol=version,
            request_id=chat.request_id,
            record=new_record(chat),
        )
        limit = deps.config.concurrent_max if deps.config.limit_concurrent else None
        try:
            done, _ = await asyncio.wait({preparing}, timeout=PREPARE_SECONDS)
            if (
                done
                and isinstance(refusal := preparing.exception(), ModelRefused)
                and refusal.denial
            ):
                raise refusal
            job = await deps.turns.begin(chat, principal, job, preparing, limit=limit)
        except BaseException as error:
            preparing.cancel()
            await self._deps.idempotency.release(chat, principal.id)
            refused = await self._creation_refusal(request, chat, version, error)
            if refused is None:
                raise
            return refused
        await self._deps.idempotency.confirm(chat, job)
        started = {
            "streamId": job.stream_id,
            "conversationId": job.stream_id,
            "generationCreatedAt": job.created_at,
            "status": "started",
        }
        return reply(200, started, version)

    async def _creation_refusal(
        self, request: Request, chat: ChatRequest, version: int, error: BaseException
    ) -> Response | None:
        if isinstance(error, ModelRefused):
            return refusal_stream.plain(error.payload)
        if isinstance(error, PredecessorMismatch):
            body = {
                "status": "predecessor_mismatch",
                "code": "GENERATION_PREDECESSOR_MISMATCH",
                "error": "Another turn has run in this conversation in the meantime.",
                "streamId": chat.conversation_id,
                "conversationId": chat.conversation_id,
                "generationCreatedAt": error.created_at,
                "predecessorVerified": error.verified,
                "active": error.active,
            }
            return reply(409, body, version)
        if isinstance(error, TooManyJobs):
            return reply(429, await self._concurrent(request, error.running), version)
        if isinstance(error, ForeignJob):
            return await self._foreign(request)
        if isinstance(error, StoreFull):
            return unavailable(version)
        return None

    async def _concurrent(self, request: Request, running: int) -> dict[str, Any]:
        config = self._deps.config
        score = config.concurrent_score
        await self._deps.violation(request, CONCURRENT, score)
        total = await self._deps.cache.increment(
            f"violations:{CONCURRENT}", f"{CONCURRENT}:{request.caller.id}", score, COUNTED_SECONDS
        )
        return {
            "type": CONCURRENT,
            "limit": config.concurrent_max,
            "pendingRequests": running,
            "score": _whole(score),
            "prev_count": _whole(total - score),
            "violation_count": _whole(total),
            "date": iso(now()),
        }

    async def _refuse(self, request: Request, text: str, *, save: bool = True) -> Response:
        """Refuse in the form of a stream; in an existing conversation the refusal is saved."""
        body = request.fields
        user, refusal = refusal_stream.messages(body, text)
        parent = user.get("parentMessageId")
        if save and body.get("conversationId") == user["conversationId"] and parent:
            await self._save_refusal(request, body, user, refusal)
        return refusal_stream.stream(user, refusal)

    async def _save_refusal(
        self,
        request: Request,
        body: Mapping[str, Any],
        user: Mapping[str, Any],
        refusal: Mapping[str, Any],
    ) -> None:
        history = self._deps.services.find(CONVERSATIONS)
        if history is None or user["parentMessageId"] == NO_PARENT:
            return
        owner = request.caller.id
        temporary = body.get("isTemporary")
        temporary = temporary if isinstance(temporary, bool) else None
        try:
            if await history.find(owner, user["conversationId"]) is None:
                return
            stored = {key: value for key, value in refusal.items() if key != "final"}
            for message in (user, stored):
                await history.save_message(owner, message, temporary=temporary)
        except Exception:
            self._deps.log.warning("chat.denial_not_saved", exc_info=True)


def _whole(number: float) -> int | float:
    return int(number) if number == int(number) else number
