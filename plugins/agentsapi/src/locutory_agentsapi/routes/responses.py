"""``POST /api/agents/v1/responses`` and stored responses (contract agents-api §5)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from structlog.stdlib import BoundLogger

from locutory import JSON, Request, Services, encode, now
from locutory_agentsapi.routes.completions import HEADERS
from locutory_agentsapi.routes.inputs import messages_of
from locutory_agentsapi.routes.items import Items, message_item, response_object, short_id
from locutory_agentsapi.routes.running import (
    BadRun,
    Run,
    begin,
    failure,
    is_uuid,
    text_of,
    thread,
    while_waiting,
)
from locutory_contracts.agents import StoredAgent
from locutory_contracts.conversations import CONVERSATIONS, Document

_KINDS = {404: "not_found", 409: "conflict"}


class Responses:
    """Answers as the Open Responses API does."""

    def __init__(self, services: Services, log: BoundLogger) -> None:
        self._services = services
        self._log = log

    async def answer(self, request: Request, agent: StoredAgent) -> Response:
        """The response; errors in the envelope of this API."""
        body = request.fields
        try:
            messages = messages_of(body)
            earlier, conversation_id = await self._earlier(request, body)
            response_id = short_id("resp")
            name, said = conversation_id or str(uuid4()), [*earlier, *messages]
            starting = begin(self._services, request, agent, said, name, response_id)
            run = await while_waiting(request, starting)
        except BadRun as error:
            return JSON(envelope(error), error.status)
        items = Items(response_object(response_id, agent, body))
        store = _Store(self._services, request, agent, body, conversation_id)
        if body.get("stream") is True:
            frames = self._frames(run, items, store)
            return StreamingResponse(frames, headers=HEADERS)
        try:
            await while_waiting(request, _fill(items, run))
        except ClientDisconnect:
            raise
        except Exception as error:
            self._log.info("agentsapi.run_failed", agent=agent["id"], reason=type(error).__name__)
            bad = failure(error)
            return JSON(envelope(bad), bad.status)
        finally:
            await run.close()
        await self._keep(store, items)
        return JSON(items.response)

    async def _earlier(
        self, request: Request, body: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The stored messages of the response that this one follows, and its conversation."""
        previous = body.get("previous_response_id")
        if not previous:
            return [], None
        user, history = request.caller.id, self._services.find(CONVERSATIONS)
        conversation_id = str(previous)
        if not is_uuid(conversation_id):
            # Clients are told ids of responses, so these are understood too (§7, trap 1).
            found = None if history is None else await history.message(user, conversation_id)
            conversation_id = str((found or {}).get("conversationId", ""))
        await thread(self._services, user, conversation_id)
        documents = [] if history is None else await history.messages(user, conversation_id)
        return [_said(document) for document in documents if _text(document)], conversation_id

    async def _frames(self, run: Run, items: Items, store: "_Store") -> AsyncIterator[bytes]:
        number = 0

        def frame(kind: str, data: Mapping[str, Any]) -> bytes:
            nonlocal number
            event = {"type": kind, "sequence_number": number, **data}
            number += 1
            return f"event: {kind}\ndata: ".encode() + encode(event) + b"\n\n"

        try:
            for kind in ("response.created", "response.in_progress"):
                yield frame(kind, {"response": items.response})
            async for event in run.events:
                for kind, data in items.add(event):
                    yield frame(kind, data)
            for kind, data in items.complete():
                yield frame(kind, data)
            await self._keep(store, items)
            yield frame("response.completed", {"response": items.response})
        except Exception as error:
            self._log.info("agentsapi.run_failed", reason=type(error).__name__)
        finally:
            await run.close()
        yield b"data: [DONE]\n\n"

    async def _keep(self, store: "_Store", items: Items) -> None:
        try:
            await store.save(items)
        except Exception:
            self._log.warning("agentsapi.response_not_stored", exc_info=True)

    async def stored(self, request: Request) -> Response:
        """A stored response, by the id of its conversation or its own."""
        user, name = request.caller.id, request.path_params["response_id"]
        history = self._services.find(CONVERSATIONS)
        if history is None:
            return _unknown(f"Response not found: {name}")
        conversation_id = name
        if not is_uuid(name):
            message = await history.message(user, name)
            conversation_id = "" if message is None else str(message.get("conversationId"))
        conversation = await history.find(user, conversation_id) if conversation_id else None
        if conversation is None:
            return _unknown(f"Response not found: {name}")
        answers = [
            document
            for document in await history.messages(user, conversation_id)
            if not document.get("isCreatedByUser")
        ]
        if not answers:
            return _unknown(f"No messages found for response: {name}")
        return JSON(_stored(name, user, conversation, answers))


async def _fill(items: Items, run: Run) -> None:
    async for event in run.events:
        items.add(event)
    items.complete()


class _Store:
    """Keeps a response as a conversation, when the request asks for it (§5.4)."""

    def __init__(
        self,
        services: Services,
        request: Request,
        agent: StoredAgent,
        body: Mapping[str, Any],
        conversation_id: str | None,
    ) -> None:
        self._history = services.find(CONVERSATIONS) if body.get("store") is True else None
        self._user = request.caller.id
        self._agent = agent
        self._body = body
        self._conversation_id = conversation_id or str(uuid4())

    async def save(self, items: Items) -> None:
        """Write the question, the answer and the conversation."""
        history = self._history
        if history is None:
            return
        agent_id, moment = str(self._agent["id"]), now()
        common = {"conversationId": self._conversation_id, "endpoint": "agents"}
        for message in messages_of(self._body):
            text = text_of(message["content"])
            if message["role"] == "user" and text:
                asked = {
                    **common,
                    "messageId": str(uuid4()),
                    "parentMessageId": None,
                    "isCreatedByUser": True,
                    "sender": "User",
                    "text": text,
                    "createdAt": moment,
                }
                await history.save_message(self._user, asked)
        answer = {
            **common,
            "messageId": items.response["id"],
            "parentMessageId": None,
            "isCreatedByUser": False,
            "sender": "Agent",
            "model": agent_id,
            "text": items.text,
            "finish_reason": "stop",
            "tokenCount": items.usage.output_tokens,
        }
        await history.save_message(self._user, answer)
        fields = {
            "endpoint": "agents",
            "agent_id": agent_id,
            "title": self._agent.get("name") or "Open Responses Conversation",
            "model": agent_id,
        }
        await history.save(self._user, self._conversation_id, fields)


def _text(document: Document) -> str:
    text = document.get("text")
    return text if isinstance(text, str) and text else text_of(document.get("content"))


def _said(document: Document) -> dict[str, Any]:
    role = "user" if document.get("isCreatedByUser") else "assistant"
    return {"role": role, "content": _text(document)}


def _stored(
    name: str, user: str, conversation: Document, answers: Sequence[Document]
) -> dict[str, Any]:
    agent_id = conversation.get("agent_id") or conversation.get("model")
    response = response_object(name, {"id": agent_id}, {"store": True})
    output = [message_item(_text(document), str(document["messageId"])) for document in answers]
    for item in output:
        for part in item["content"]:
            del part["logprobs"]
    tokens = answers[-1].get("tokenCount")
    usage = {"input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens} if tokens else None
    return response | {
        "created_at": _seconds(conversation.get("createdAt")),
        "completed_at": _seconds(conversation.get("updatedAt")),
        "status": "completed",
        "output": output,
        "top_logprobs": None,
        "user": user,
        "usage": usage,
    }


def _seconds(moment: Any) -> int | None:
    return int(moment.timestamp()) if hasattr(moment, "timestamp") else None


def envelope(error: BadRun) -> dict[str, Any]:
    """An error as this API tells it."""
    kind = _KINDS.get(error.status, "server_error" if error.status >= 500 else "invalid_request")
    return {"error": {"type": kind, "message": str(error), "code": error.code, "param": None}}


def _unknown(message: str) -> JSON:
    error = {
        "type": "not_found",
        "message": message,
        "code": "response_not_found",
        "param": None,
    }
    return JSON({"error": error}, 404)
