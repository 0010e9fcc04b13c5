"""``POST /api/agents/v1/chat/completions`` (contract agents-api §4)."""

import secrets
import string
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Request, Services, encode
from locutory_agentsapi.routes.form import Form, Name, form_of
from locutory_agentsapi.routes.messages import checked
from locutory_agentsapi.routes.running import (
    PING,
    BadRun,
    EventStream,
    Run,
    StreamTimeouts,
    begin,
    completed,
    failure,
    task_of,
    while_waiting,
)
from locutory_agentsapi.routes.threads import thread
from locutory_contracts.agents import AgentEvent, StoredAgent
from locutory_contracts.models import (
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

_ALPHABET = string.ascii_letters + string.digits + "-_"
CUT = ("length", "content_filter")
"""Reasons to end that mean that the answer is not whole."""


class Completions:
    """Answers as OpenAI's chat completions do. ``form``: of those whose request asks for
    none."""

    def __init__(
        self, services: Services, form: Name, timeouts: StreamTimeouts, log: BoundLogger
    ) -> None:
        self._services = services
        self._form: Name = form
        self._timeouts = timeouts
        self._log = log

    async def answer(self, request: Request, agent: StoredAgent) -> Response:
        """The completion; errors in OpenAI's envelope."""
        body = request.fields
        streamed = body.get("stream") is True and not _unstreamed(agent)
        try:
            messages = checked(body)
            form = form_of(request, body, self._form)
            conversation_id = body.get("conversation_id")
            if conversation_id is not None:
                await thread(self._services, request.caller.id, conversation_id)
            head = Head(agent)
            task = task_of(request, agent, messages, conversation_id or str(uuid4()), head.id)
            patience = self._timeouts.first_event if streamed else None
            run = await while_waiting(request, begin(self._services, request, task, patience))
            if streamed:
                return EventStream(self._frames(run, head, form), run)
            return await completed(request, run, _whole(run, head, form), self._log, agent)
        except BadRun as error:
            return refusal(error)

    async def _frames(self, run: Run, head: "Head", form: Form) -> AsyncIterator[bytes]:
        progress = _Progress(form)
        try:
            yield head.chunk({"role": "assistant"})
            async for event in run.events(self._timeouts.ping):
                if event is None:
                    yield PING
                    continue
                delta = progress.take(event)
                if delta is not None:
                    yield head.chunk(delta)
            yield head.chunk({}, progress.reason, usage=_usage(progress.usage))
        except Exception as error:
            self._log.info("agentsapi.run_failed", reason=type(error).__name__)
            bad = failure(error)
            # SDKs raise the error; who reads choices only finds it in the text.
            told = {"content": f"\n\nError: {bad}"}
            yield head.chunk(told, "stop", error=envelope(bad)["error"])
        yield b"data: [DONE]\n\n"


class Head:
    """The members that all chunks of one completion have."""

    def __init__(self, agent: StoredAgent) -> None:
        self.id = "chatcmpl-" + "".join(secrets.choice(_ALPHABET) for _ in range(21))
        self.created = int(time.time())
        self.model = str(agent["id"])

    def chunk(self, delta: Mapping[str, Any], reason: str | None = None, **more: Any) -> bytes:
        """One event of the stream; ``more`` are further members."""
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        data: dict[str, Any] = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            **more,
        }
        return b"data: " + encode(data) + b"\n\n"


class _Progress:
    """The state of an answer while its events come."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._said = self._called = False
        self._ended = ""
        self.usage = Usage()

    def take(self, event: AgentEvent) -> dict[str, Any] | None:
        """The delta for an event; ``None`` for one that is not shown."""
        if isinstance(event, TextDelta):
            self._said = True
            return {"content": event.text}
        if isinstance(event, ReasoningDelta):
            return {"reasoning": event.text}
        if isinstance(event, ToolCallDelta) and self._form.calls:
            self._called = True
            return {"tool_calls": [_call(event)]}
        if isinstance(event, Finished):
            self._ended = event.reason
        elif isinstance(event, Usage):
            self.usage = event
        return None

    @property
    def reason(self) -> str:
        """The reason of the answer's end. ``tool_calls`` as in LibreChat: there are calls and no
        text."""
        if self._ended in CUT:
            return self._ended
        return "tool_calls" if self._called and not self._said else "stop"


def _call(event: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, str] = {"arguments": event.arguments}
    if not event.name:
        return {"index": event.index, "function": function}
    function = {"name": event.name, **function}
    return {"index": event.index, "id": event.id, "type": "function", "function": function}


async def _whole(run: Run, head: Head, form: Form) -> JSON:
    text: list[str] = []
    reasoning: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    progress = _Progress(form)
    async for event in run.events():
        delta = None if event is None else progress.take(event)
        if delta is None:
            continue
        text.append(delta.get("content", ""))
        reasoning.append(delta.get("reasoning", ""))
        for piece in delta.get("tool_calls", ()):
            call = calls.setdefault(piece["index"], piece)
            if call is not piece:
                call["function"]["arguments"] += piece["function"]["arguments"]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
    if thought := "".join(reasoning):
        message["reasoning"] = thought
    if calls:
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"}
            for call in calls.values()
        ]
    data = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [{"index": 0, "message": message, "finish_reason": progress.reason}],
        "usage": _usage(progress.usage),
    }
    return JSON(data)


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
    """An error in OpenAI's form."""
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {"message": str(error), "type": kind, "param": None, "code": error.code},
    }


def refusal(error: BadRun) -> JSON:
    """The answer to a request that cannot be answered."""
    return JSON(envelope(error), error.status, error.headers)
