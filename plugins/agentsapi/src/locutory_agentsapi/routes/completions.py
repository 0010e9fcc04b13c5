"""``POST /api/agents/v1/chat/completions`` (contract agents-api §4)."""

import secrets
import string
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from structlog.stdlib import BoundLogger

from locutory import JSON, Request, Services, encode
from locutory_agentsapi.routes.running import (
    BadRun,
    Run,
    begin,
    failure,
    text_of,
    thread,
    while_waiting,
)
from locutory_contracts.agents import AgentEvent, StoredAgent
from locutory_contracts.models import ReasoningDelta, TextDelta, ToolCallDelta, Usage

ROLES = ("system", "user", "assistant", "tool")
MOST_MESSAGES = 10_000
DEEPEST = 64
_ALPHABET = string.ascii_letters + string.digits + "-_"
HEADERS = {
    "content-type": "text/event-stream",  # without the charset that Starlette would add
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
    "content-encoding": "identity",
}


class Completions:
    """Answers as OpenAI's chat completions do."""

    def __init__(self, services: Services, log: BoundLogger) -> None:
        self._services = services
        self._log = log

    async def answer(self, request: Request, agent: StoredAgent) -> Response:
        """The completion; errors in OpenAI's envelope."""
        body = request.fields
        try:
            messages = checked(body)
            conversation_id = body.get("conversation_id")
            if conversation_id is not None:
                await thread(self._services, request.caller.id, conversation_id)
            head = Head(agent)
            name = conversation_id or str(uuid4())
            starting = begin(self._services, request, agent, messages, name, head.id)
            run = await while_waiting(request, starting)
        except BadRun as error:
            return JSON(envelope(error), error.status)
        if body.get("stream") is True and not _unstreamed(agent):
            frames = self._frames(run, head)
            return StreamingResponse(frames, headers=HEADERS)
        try:
            return JSON(await while_waiting(request, _whole(run, head)))
        except ClientDisconnect:
            raise
        except Exception as error:
            self._log.info("agentsapi.run_failed", agent=agent["id"], reason=type(error).__name__)
            bad = failure(error)
            return JSON(envelope(bad), bad.status)
        finally:
            await run.close()

    async def _frames(self, run: Run, head: "Head") -> AsyncIterator[bytes]:
        usage, said, called = Usage(), False, False
        try:
            yield head.chunk({"role": "assistant"})
            async for event in run.events:
                if isinstance(event, Usage):
                    usage = event
                    continue
                delta = _delta(event)
                if delta is not None:
                    said = said or "content" in delta
                    called = called or "tool_calls" in delta
                    yield head.chunk(delta)
            reason = "tool_calls" if called and not said else "stop"
            yield head.chunk({}, reason, _usage(usage))
        except Exception as error:
            self._log.info("agentsapi.run_failed", reason=type(error).__name__)
            yield head.chunk({"content": f"\n\nError: {failure(error)}"}, "stop")
        finally:
            await run.close()
        yield b"data: [DONE]\n\n"


class Head:
    """What all chunks of one completion say."""

    def __init__(self, agent: StoredAgent) -> None:
        self.id = "chatcmpl-" + "".join(secrets.choice(_ALPHABET) for _ in range(21))
        self.created = int(time.time())
        self.model = str(agent["id"])

    def chunk(
        self,
        delta: Mapping[str, Any],
        reason: str | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> bytes:
        """One event of the stream."""
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        data: dict[str, Any] = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
        }
        if usage is not None:
            data["usage"] = usage
        return b"data: " + encode(data) + b"\n\n"


def _delta(event: AgentEvent) -> dict[str, Any] | None:
    if isinstance(event, TextDelta):
        return {"content": event.text}
    if isinstance(event, ReasoningDelta):
        return {"reasoning": event.text}
    if not isinstance(event, ToolCallDelta):
        return None
    function: dict[str, str] = {"arguments": event.arguments}
    call: dict[str, Any] = {"index": event.index, "function": function}
    if event.name:
        call = {"index": event.index, "id": event.id, "type": "function"}
        call["function"] = {"name": event.name, "arguments": event.arguments}
    return {"tool_calls": [call]}


async def _whole(run: Run, head: Head) -> dict[str, Any]:
    text: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    usage = Usage()
    async for event in run.events:
        if isinstance(event, TextDelta):
            text.append(event.text)
        elif isinstance(event, ReasoningDelta):
            reasoning.append(event.text)
        elif isinstance(event, ToolCallDelta):
            call = calls.setdefault(event.index, {"id": event.id, "name": "", "arguments": ""})
            call["name"] += event.name
            call["arguments"] += event.arguments
        elif isinstance(event, Usage):
            usage = event
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
    if reasoning:
        message["reasoning"] = "".join(reasoning)
    if calls:
        message["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls.values()
        ]
    reason = "tool_calls" if calls and not text else "stop"
    return {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": _usage(usage),
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _unstreamed(agent: StoredAgent) -> bool:
    parameters = agent.get("model_parameters")
    return isinstance(parameters, Mapping) and parameters.get("disableStreaming") is True


def envelope(error: BadRun) -> dict[str, Any]:
    """An error as OpenAI tells it."""
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {"message": str(error), "type": kind, "param": None, "code": error.code},
    }


def checked(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of a request, cut to what models take; `BadRun` for wrong ones."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise BadRun("messages array is required")
    if not messages:
        raise BadRun("messages array cannot be empty")
    if len(messages) > MOST_MESSAGES:
        raise BadRun(f"messages array cannot have more than {MOST_MESSAGES} items")
    for name in ("conversation_id", "parent_message_id"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise BadRun(f"{name} must be a string")
    if _depth(messages) > DEEPEST:
        raise BadRun(f"messages are nested deeper than {DEEPEST} levels")
    return [_message(item, number) for number, item in enumerate(messages)]


def _message(item: Any, number: int) -> dict[str, Any]:
    if not isinstance(item, Mapping) or not item.get("role"):
        raise BadRun(f"messages[{number}].role is required")
    role = item["role"]
    if role not in ROLES:
        raise BadRun(f"messages[{number}].role must be one of: {', '.join(ROLES)}")
    content = item.get("content")
    if content is not None and not isinstance(content, str | list):
        raise BadRun(f"messages[{number}].content must be a string or an array of parts")
    if role == "system":
        content = text_of(content)
    elif isinstance(content, list):
        content = [
            _part(part, f"messages[{number}].content[{n}]") for n, part in enumerate(content)
        ]
    message: dict[str, Any] = {"role": role, "content": "" if content is None else content}
    for name in ("name", "tool_call_id"):
        if isinstance(item.get(name), str):
            message[name] = item[name]
    calls = _calls(item.get("tool_calls"))
    if calls:
        message["tool_calls"] = calls
    return message


def _part(part: Any, where: str) -> Mapping[str, Any]:
    """A part of a message. Of kinds that only providers know, they are the judges."""
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise BadRun(f"{where} must be an object with a type")
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise BadRun(f"{where}.text must be a string")
    if part["type"] == "image_url":
        image = part.get("image_url")
        # Some programs leave out the object around the address.
        image = {"url": image} if isinstance(image, str) else image
        if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
            raise BadRun(f"{where}.image_url.url must be a string")
        return {**part, "image_url": image}
    return part


def _calls(value: Any) -> list[dict[str, Any]]:
    """Tool calls of an assistant's message; malformed ones are left out."""
    found = []
    for call in value if isinstance(value, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(call.get("id"), str):
            continue
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str) and isinstance(arguments, str):
            inner = {"name": name, "arguments": arguments}
            found.append({"id": call["id"], "type": "function", "function": inner})
    return found


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, level = waiting.pop()
        deepest = max(deepest, level)
        if level > DEEPEST:
            return level
        if isinstance(item, Mapping):
            waiting += [(inner, level + 1) for inner in item.values()]
        elif isinstance(item, list):
            waiting += [(inner, level + 1) for inner in item]
    return deepest
