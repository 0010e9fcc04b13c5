"""``POST /api/agents/v1/responses`` (contract agents-api §5)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

from starlette.responses import Response
from structlog.stdlib import BoundLogger

from locutory import JSON, Request, Services, encode
from locutory_agentsapi.routes.form import Name, form_of
from locutory_agentsapi.routes.inputs import messages_of
from locutory_agentsapi.routes.items import Items, new_response_id, response_object
from locutory_agentsapi.routes.open_item import Event
from locutory_agentsapi.routes.response_writer import Question, ResponseWriter
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
from locutory_agentsapi.routes.threads import Threads
from locutory_contracts.agents import StoredAgent

_KINDS = {404: "not_found", 409: "conflict"}
_RATE_LIMITED = 429


class Responses:
    """Answers as the Open Responses API does. ``form``: of those whose request asks for
    none."""

    def __init__(
        self,
        services: Services,
        threads: Threads,
        writer: ResponseWriter,
        form: Name,
        timeouts: StreamTimeouts,
        log: BoundLogger,
    ) -> None:
        self._services = services
        self._threads = threads
        self._writer = writer
        self._form: Name = form
        self._timeouts = timeouts
        self._log = log

    async def answer(self, request: Request, agent: StoredAgent) -> Response:
        """The response; errors in the envelope of this API."""
        user, body = request.caller.id, request.fields
        streamed = body.get("stream") is True
        try:
            form = form_of(request, body, self._form)
            value = await self._threads.resolved(user, body.get("input"))
            messages = messages_of({**body, "input": value})
            prior = await self._threads.prior_messages(user, body.get("previous_response_id"))
            response_id, name = new_response_id(), prior.conversation_id or str(uuid4())
            whole = [*_instructions(body), *prior.messages, *messages]
            task = task_of(request, agent, whole, name, response_id)
            seconds = self._timeouts.first_event if streamed else None
            run = await while_waiting(request, begin(self._services, request, task, seconds))
            items = Items(response_object(response_id, agent, body), form)
            asked = Question(user, agent, name, prior, messages, body.get("store"))
            if streamed:
                return EventStream(self._frames(run, items, asked), run)
            await completed(request, run, _fill(items, run), self._log, agent)
        except BadRun as error:
            return refusal(error)
        await self._writer.write(asked, items)
        return JSON(items.response)

    async def _frames(self, run: Run, items: Items, asked: Question) -> AsyncIterator[bytes]:
        number = 0

        def frames(events: list[Event]) -> bytes:
            nonlocal number
            made = b""
            for kind, data in events:
                event = {"type": kind, "sequence_number": number, **data}
                made += f"event: {kind}\ndata: ".encode() + encode(event) + b"\n\n"
                number += 1
            return made

        try:
            for kind in ("response.created", "response.in_progress"):
                yield frames([(kind, {"response": items.response})])
            async for event in run.events(self._timeouts.ping):
                if event is None:
                    yield PING
                elif frame := frames(items.add(event)):
                    yield frame
            ended = items.complete()
            await self._writer.write(asked, items)
            yield frames(ended)
        except Exception as error:
            self._log.info("agentsapi.run_failed", reason=type(error).__name__)
            bad = failure(error)
            code = "rate_limit_exceeded" if bad.status == _RATE_LIMITED else "server_error"
            yield frames(items.fail({"code": code, "message": str(bad)}))
        yield b"data: [DONE]\n\n"


async def _fill(items: Items, run: Run) -> None:
    async for event in run.events():
        if event is not None:
            items.add(event)
    items.complete()


def _instructions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The instructions of a request; they hold for this answer only."""
    value = body.get("instructions")
    if value is not None and not isinstance(value, str):
        raise BadRun("instructions must be a string")
    return [{"role": "system", "content": value}] if value else []


def envelope(error: BadRun) -> dict[str, Any]:
    """An error in the form of this API."""
    kind = _KINDS.get(error.status, "server_error" if error.status >= 500 else "invalid_request")
    return {"error": {"type": kind, "message": str(error), "code": error.code, "param": None}}


def refusal(error: BadRun) -> JSON:
    """The answer to a request that cannot be answered."""
    return JSON(envelope(error), error.status, error.headers)
