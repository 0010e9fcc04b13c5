"""Shared by both run routes: starting a run, following it, answering for one that fails."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from structlog.stdlib import BoundLogger

from locutory import HTTPError, Request, Services
from locutory_contracts.agents import AGENT_RUNS, AgentEvent, AgentTask, StoredAgent
from locutory_contracts.chat import TurnRefused
from locutory_contracts.models import ModelFailure, ModelRefused

T = TypeVar("T")

FAILED = "An error occurred while the agent was running."
PING = b": ping\n\n"
"""A comment, which keeps proxies from giving up a silent stream."""

_NOT_OURS = frozenset((401, 403, 407))
"""Statuses with which a provider refuses the server; for the caller they would mean that their own
key is wrong."""
_BAD_GATEWAY = 502
_LONGEST_WAIT = 86_400.0


_HEADERS = {
    "content-type": "text/event-stream",  # without the charset that Starlette would add
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
    "content-encoding": "identity",
}


class BadRun(Exception):
    """A run cannot start, or failed: ``status`` and the text of the error. ``headers`` of the
    response tell clients whether to retry."""

    def __init__(
        self,
        message: str,
        status: int = 400,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class StreamTimeouts:
    """Seconds for which the first event is awaited before a stream begins without it, and for which
    a stream may be silent."""

    first_event: float
    ping: float


class Run:
    """A run whose events are fetched, one ahead, by a task of its own: a reader may give up
    waiting without ending the run. Close it when it is not read to its end."""

    def __init__(self, events: AsyncIterator[AgentEvent]) -> None:
        self._events = events
        self._queue: asyncio.Queue[AgentEvent | None] = asyncio.Queue(1)
        self._arrived = asyncio.Event()
        self._spoke = False
        self._error: Exception | None = None
        self._fetching = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            async for event in self._events:
                await self._put(event)
        except Exception as error:
            self._error = error
        finally:
            close = getattr(self._events, "aclose", None)
            if close is not None:
                await close()
        await self._put(None)

    async def _put(self, event: AgentEvent | None) -> None:
        await self._queue.put(event)
        self._spoke = self._spoke or event is not None
        self._arrived.set()

    async def begun(self, seconds: float | None) -> bool:
        """Wait for the first event; raises the exception that ends the run before it. ``False``
        when it has not come after ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        if self._arrived.is_set() and not self._spoke:
            raise self._error or BadRun(FAILED, 500)
        return self._spoke

    async def events(self, ping: float | None = None) -> AsyncIterator[AgentEvent | None]:
        """The events; ``None`` after each ``ping`` seconds without one. Raises the exceptions of
        the run."""
        while True:
            try:
                async with asyncio.timeout(ping):
                    event = await self._queue.get()
            except TimeoutError:
                yield None
                continue
            if event is None:
                break
            yield event
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """End the run. Its task ends also when the caller of this is cancelled."""
        self._fetching.cancel()
        await asyncio.wait({self._fetching})


class EventStream(StreamingResponse):
    """The events of a run as a response body. The run ends with it, even when the caller has
    disconnected before the first event."""

    def __init__(self, frames: AsyncIterator[bytes], run: Run) -> None:
        super().__init__(frames, headers=_HEADERS)
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._run.close()


async def while_waiting(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The outcome of ``work``. `ClientDisconnect` when the caller hangs up before: the work
    ends, so that they do not pay for an answer that nobody reads."""
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
    services: Services, request: Request, task: AgentTask, seconds: float | None
) -> Run:
    """Start a run and wait for its first event for at most ``seconds``, so that a refusal can still
    be the response. `BadRun` when it fails before."""
    run = Run(services.get(AGENT_RUNS).run(request.caller, task))
    try:
        await run.begun(seconds)
    except HTTPError:
        raise
    except Exception as error:
        raise failure(error) from error
    except BaseException:
        await run.close()
        raise
    return run


async def completed(
    request: Request, run: Run, work: Coroutine[Any, Any, T], log: BoundLogger, agent: StoredAgent
) -> T:
    """The outcome of ``work``, which reads a run to its end; the run ends with it. `BadRun`
    when it fails, `ClientDisconnect` when the caller hangs up before."""
    try:
        return await while_waiting(request, work)
    except ClientDisconnect:
        raise
    except Exception as error:
        log.info("agentsapi.run_failed", agent=agent["id"], reason=type(error).__name__)
        raise failure(error) from error
    finally:
        await run.close()


def task_of(
    request: Request,
    agent: StoredAgent,
    messages: Sequence[Mapping[str, Any]],
    conversation_id: str,
    response_id: str,
) -> AgentTask:
    """The task that the caller wants of an agent."""
    return AgentTask(agent, messages, conversation_id, response_id, request.fields)


def failure(error: Exception) -> BadRun:
    """The error that a program gets for a failed run: the provider's status where the caller can
    react to it. Programs are asked not to retry, since the provider was asked repeatedly already.
    """
    if isinstance(error, BadRun):
        return error
    if isinstance(error, ModelRefused | TurnRefused):
        return _refusal(error.payload)
    headers = {"x-should-retry": "false"}
    if not isinstance(error, ModelFailure):
        return BadRun(FAILED, 500, headers=headers)
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(min(error.retry_after, _LONGEST_WAIT)))
    status = error.status if 400 <= error.status <= 599 else 500
    return BadRun(str(error), _BAD_GATEWAY if status in _NOT_OURS else status, headers=headers)


def _refusal(payload: str) -> BadRun:
    """A refusal for which the web client has a translation, as a sentence. That of a balance is in
    OpenAI's form, but without its 429, which makes programs retry."""
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError:
        told = None
    if isinstance(told, Mapping) and told.get("type") == "token_balance":
        text = "Insufficient balance: the prompt costs {} credits, and you have {}."
        said = text.format(told.get("tokenCost"), told.get("balance"))
        return BadRun(said, 402, "insufficient_quota")
    return BadRun(payload)
