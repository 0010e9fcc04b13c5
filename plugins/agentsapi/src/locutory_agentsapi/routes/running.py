"""What both run routes share: start a run, and the answers to runs that fail."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import orjson
from starlette.requests import ClientDisconnect

from locutory import HTTPError, Request, Services
from locutory_contracts.agents import AGENT_RUNS, AgentEvent, AgentTask, StoredAgent
from locutory_contracts.chat import TurnRefused
from locutory_contracts.conversations import CONVERSATIONS
from locutory_contracts.models import ModelFailure, ModelRefused

T = TypeVar("T")

FAILED = "An error occurred while the agent was running."
_TEXT_PARTS = ("text", "input_text", "output_text")


class BadRun(Exception):
    """A run cannot start, or failed: ``status`` and the text of the error."""

    def __init__(self, message: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has begun: its first event is there. Close it when it is not read on."""

    events: AsyncIterator[AgentEvent]

    async def close(self) -> None:
        close = getattr(self.events, "aclose", None)
        if close is not None:
            await close()


async def while_waiting(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The outcome of ``work``. `ClientDisconnect` when the caller hangs up before: the work
    ends, so that he does not pay for an answer that nobody reads."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def begin(
    services: Services,
    request: Request,
    agent: StoredAgent,
    messages: Sequence[Mapping[str, Any]],
    conversation_id: str,
    response_id: str,
) -> Run:
    """Start a run and wait for its first event, so that what refuses it can still be the
    answer. `BadRun` when it fails before."""
    task = AgentTask(agent, messages, conversation_id, response_id, request.fields)
    events = services.get(AGENT_RUNS).run(request.caller, task)
    try:
        first = await anext(events)
    except (ModelFailure, ModelRefused, TurnRefused) as error:
        raise failure(error) from None
    except HTTPError:
        raise
    except StopAsyncIteration:
        raise BadRun(FAILED, 500) from None
    return Run(_after(first, events))


async def _after(first: AgentEvent, events: AsyncIterator[AgentEvent]) -> AsyncIterator[AgentEvent]:
    try:
        yield first
        async for event in events:
            yield event
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            # The reader is gone: the run ends all the same.
            await asyncio.shield(close())


def failure(error: Exception) -> BadRun:
    """What a failed run tells a program: the provider's status where it is one of an error."""
    if isinstance(error, ModelFailure):
        return BadRun(str(error), error.status if 400 <= error.status <= 599 else 500)
    if isinstance(error, ModelRefused | TurnRefused):
        return _refusal(error.payload)
    return BadRun(FAILED, 500)


def _refusal(payload: str) -> BadRun:
    """What the web client has words for, in words. Of a balance as OpenAI tells it, but not
    with its 429, which makes programs try again."""
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError:
        told = None
    if isinstance(told, Mapping) and told.get("type") == "token_balance":
        text = "Insufficient balance: the prompt costs {} credits, and you have {}."
        said = text.format(told.get("tokenCost"), told.get("balance"))
        return BadRun(said, 402, "insufficient_quota")
    return BadRun(payload)


async def thread(services: Services, user: str, conversation_id: str) -> None:
    """404 unless a conversation is the caller's, 409 when it is a read-only one."""
    history = services.find(CONVERSATIONS)
    found = None if history is None else await history.find(user, conversation_id)
    if found is None:
        raise BadRun("Conversation not found", 404)
    if found.get("subagentThread"):
        raise BadRun("This subagent thread is view-only.", 409, "conversation_read_only")


def is_uuid(value: str) -> bool:
    """May this be the id of a conversation?"""
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        part["text"]
        for part in parts
        if isinstance(part, Mapping)
        and part.get("type") in _TEXT_PARTS
        and isinstance(part.get("text"), str)
    )
