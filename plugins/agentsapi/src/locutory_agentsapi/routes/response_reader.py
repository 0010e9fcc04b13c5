"""Responses that were given before (contract agents-api §5.4)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from locutory import JSON, Request
from locutory_agentsapi.routes.items import (
    ended,
    item_id,
    message_item,
    response_object,
)
from locutory_agentsapi.routes.messages import text_of
from locutory_agentsapi.routes.response_cache import ResponseCache
from locutory_agentsapi.routes.responses import refusal
from locutory_agentsapi.routes.running import BadRun
from locutory_agentsapi.routes.threads import Threads, is_uuid, lineage, own_fields, text_in
from locutory_contracts.conversations import Document

_PAGE, _LARGEST_PAGE = 20, 100


def _limit(text: str) -> int:
    limit = int(text) if text.isdecimal() and len(text) < 4 else _PAGE
    return max(1, min(limit, _LARGEST_PAGE))


class ItemsQuery(BaseModel):
    """Query of a list of items."""

    order: str = Field("desc", description="asc, or desc: the newest first")
    after: str = Field("", description="The last item of the page before")
    limit: Annotated[int, BeforeValidator(_limit)] = Field(
        _PAGE, description=f"Items of a page, 1 to {_LARGEST_PAGE}"
    )


class ResponseReader:
    """Stored and cached responses of the owner of a key."""

    def __init__(self, threads: Threads, cache: ResponseCache) -> None:
        self._threads = threads
        self._cache = cache

    async def response(self, request: Request) -> Response:
        """A response by its id; all answers of a conversation by the id of that."""
        user, name = request.caller.id, request.path_params["response_id"]
        if is_uuid(name):
            return await self._conversation(user, name)
        turn = await self._cache.find(user, name)
        if turn is not None and not turn.stored:
            return JSON(turn.response)
        answer = await self._answer(user, name)
        return (
            _unknown(f"Response not found: {name}") if answer is None else JSON(_one(user, answer))
        )

    async def input_items(self, request: Request) -> Response:
        """The input of a response, as OpenAI lists it: the newest first, or ``order=asc``."""
        user, name = request.caller.id, request.path_params["response_id"]
        turn = await self._cache.find(user, name)
        if turn is not None and not turn.stored:
            messages: Sequence[Mapping[str, Any]] = turn.input
        else:
            answer = await self._answer(user, name)
            if answer is None:
                return _unknown(f"Response not found: {name}")
            messages = await self._asked(user, answer)
        found = [
            _input_item(name, number, message)
            for number, message in enumerate(messages)
            if message["role"] != "tool" and not message.get("tool_calls")
        ]
        return JSON(_page(request.valid(ItemsQuery), found))

    async def _answer(self, user: str, name: str) -> Document | None:
        """The stored answer of a response."""
        history = self._threads.history
        found = None if history is None else await history.message(user, name)
        return None if found is None or found.get("isCreatedByUser") else found

    async def _asked(self, user: str, answer: Document) -> list[dict[str, Any]]:
        """The input of a stored answer: the messages since the response that it follows."""
        history = self._threads.history
        conversation_id = str(answer["conversationId"])
        rows = [] if history is None else await history.messages(user, conversation_id)
        asked: list[dict[str, Any]] = []
        for row in reversed(lineage(rows, str(answer["messageId"]))[:-1]):
            if not row.get("isCreatedByUser"):
                break
            asked.append({"role": "user", "content": text_in(row)})
        return asked[::-1]

    async def _conversation(self, user: str, name: str) -> Response:
        history = self._threads.history
        conversation = None if history is None else await history.find(user, name)
        if history is None or conversation is None:
            return _unknown(f"Response not found: {name}")
        rows = await history.messages(user, name)
        answers = [row for row in rows if not row.get("isCreatedByUser")]
        if not answers:
            return _unknown(f"No messages found for response: {name}")
        agent_id = conversation.get("agent_id") or conversation.get("model")
        output = [_output(row, str(row["messageId"])) for row in answers]
        shown = _shown(name, user, str(agent_id), output, _usage(answers[-1]))
        shown["created_at"] = _seconds(conversation.get("createdAt"))
        shown["completed_at"] = _seconds(conversation.get("updatedAt"))
        return JSON(shown)


def _shown(
    name: str, user: str, agent_id: str, output: list[dict[str, Any]], usage: Any
) -> dict[str, Any]:
    """A stored response as upstream shows it."""
    return response_object(name, {"id": agent_id}, {"store": True}) | {
        "status": "completed",
        "output": output,
        "top_logprobs": None,
        "user": user,
        "usage": usage,
    }


def _one(user: str, answer: Document) -> dict[str, Any]:
    """One stored answer as a response."""
    name = str(answer["messageId"])
    end = ended(str(answer.get("finish_reason")))
    output = [_output(answer, item_id(name, "msg", 0), end["status"])]
    shown = _shown(name, user, str(answer.get("model")), output, _usage(answer))
    own, moment = own_fields(answer), _seconds(answer.get("createdAt"))
    shown |= {**end, "created_at": moment}
    if shown["completed_at"] is not None:
        shown["completed_at"] = moment
    shown["previous_response_id"] = own.get("previous")
    shown["instructions"] = own.get("instructions")
    return shown


def _output(answer: Document, identity: str, status: str = "completed") -> dict[str, Any]:
    item = message_item(text_in(answer), identity, status)
    for part in item["content"]:
        del part["logprobs"]
    return item


def _usage(answer: Document) -> dict[str, Any] | None:
    """The tokens of a stored answer; ``None`` where they are not known."""
    metadata = answer.get("metadata")
    told = metadata.get("usage") if isinstance(metadata, Mapping) else None
    if isinstance(told, Mapping) and isinstance(told.get("output"), int | float):
        spent, made = told.get("input") or 0, told["output"]
        return {"input_tokens": spent, "output_tokens": made, "total_tokens": spent + made}
    tokens = answer.get("tokenCount")
    return {"input_tokens": 0, "output_tokens": tokens, "total_tokens": tokens} if tokens else None


def _input_item(response_id: str, number: int, message: Mapping[str, Any]) -> dict[str, Any]:
    content, role = message["content"], message["role"]
    kind = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": kind, "text": text}] if (text := text_of(content)) else []
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "image_url":
            image = part["image_url"]
            detail = image.get("detail", "auto")
            parts.append({"type": "input_image", "image_url": image["url"], "detail": detail})
    return {
        "type": "message",
        "id": item_id(response_id, "in", number),
        "role": role,
        "status": "completed",
        "content": parts,
    }


def _page(query: ItemsQuery, items: list[dict[str, Any]]) -> dict[str, Any]:
    """A page of a list."""
    if query.order != "asc":
        items = items[::-1]
    names = [item["id"] for item in items]
    if query.after in names:
        items = items[names.index(query.after) + 1 :]
    limit = query.limit
    page = items[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > limit,
    }


def _seconds(moment: Any) -> int | None:
    return int(moment.timestamp()) if hasattr(moment, "timestamp") else None


def _unknown(message: str) -> JSON:
    return refusal(BadRun(message, 404, "response_not_found"))
