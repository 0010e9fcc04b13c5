"""Turns: extension points of the agent loop, and the service of running turns."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from locutory import Extension, Fact, Principal, Service, Step
from locutory_contracts.models import ToolSchema


@dataclass(frozen=True, slots=True)
class Turn:
    """A running turn as extensions see it. ``body`` is the request body (read-only); ``options``
    the toggles of the input bar (``ephemeralAgent``); ``agent`` the stored agent that answers, its
    whole document (agents §3), ``None`` for a plain model."""

    principal: Principal
    conversation_id: str
    user_message_id: str
    response_message_id: str
    endpoint: str
    model: str
    text: str
    body: Mapping[str, Any]
    options: Mapping[str, Any]
    temporary: bool
    agent: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """The result of a tool: ``output`` goes to the model as text, ``error`` marks a failure that
    the model should see. ``attachments`` go to the client and are saved with the answer: files
    (``file_id``, ``filename``, ``filepath``, ``type``) or ``{type, <type>: …}``; ``messageId``,
    ``toolCallId`` and ``conversationId`` are filled in (chat-stream §6.4)."""

    output: str
    attachments: Sequence[Mapping[str, Any]] = ()
    error: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a model may call. ``run`` receives the parsed arguments; an exception becomes an
    error result and never ends the turn. ``timeout`` in seconds."""

    schema: ToolSchema
    run: Callable[[Mapping[str, Any], Turn], Awaitable[ToolOutcome]]
    timeout: float = 60.0


class ToolSource(Protocol):
    """Offers tools to turns."""

    async def tools(self, turn: Turn) -> Sequence[Tool]:
        """The tools for this turn; empty when it asks for none of this source."""
        ...


TOOLS: Extension[ToolSource] = Extension("chat.tools", "Tools that models may call")


class ContextSource(Protocol):
    """Adds text to the instructions of a turn."""

    async def context(self, turn: Turn) -> str | None:
        """Text for the system prompt, or ``None``. Sources that are slow or raise are left out."""
        ...


CONTEXT_SOURCES: Extension[ContextSource] = Extension(
    "chat.context", "Text added to the system prompt"
)


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """A model call of a turn has ended. ``input_tokens`` includes cached ones: ``cache_read`` and
    ``cache_creation`` are parts of it. ``prices`` in USD per million tokens, empty when unknown.
    ``context`` is the purpose: ``message``, ``incomplete`` (cut off), ``title``, ``memory``, …
    (balance §5)."""

    model: str
    provider: str
    endpoint: str
    context: str
    input_tokens: int
    output_tokens: int
    cache_read: int
    cache_creation: int
    prices: Mapping[str, float] = field(default_factory=dict)


class TurnObserver(Protocol):
    """Receives finished turns. Called in the background; faults are logged and do not affect the
    turn."""

    async def finished(self, turn: Turn, outcome: "TurnOutcome") -> None: ...


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """The outcome of a turn: ``complete``, ``aborted`` or ``error``, with the saved messages
    (``None`` where nothing was saved) and its model calls."""

    status: str
    request_message: Mapping[str, Any] | None
    response_message: Mapping[str, Any] | None
    usage: Sequence[ModelUsed]
    seconds: float


TURN_OBSERVERS: Extension[TurnObserver] = Extension("chat.observers", "Watchers of finished turns")


class TurnCompanion(Protocol):
    """Works beside an answer, such as an agent that keeps memories."""

    async def accompany(
        self,
        turn: Turn,
        messages: Sequence[Mapping[str, Any]],
        attach: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Called when the model is asked. ``messages``: the branch up to and including the user's
        new message, in the OpenAI chat shape. ``attach`` adds an attachment ``{type, <type>: …}``,
        without its ids, to the answer that the user sees (chat-stream §6.4); it has no effect once
        the answer is complete. The answer waits for running companions for a few seconds, then ends
        without them; an abort cancels them. Faults are logged and do not affect the turn."""
        ...


TURN_COMPANIONS: Extension[TurnCompanion] = Extension(
    "chat.companions", "Work that runs beside an answer"
)


@dataclass(slots=True)
class TurnStarting(Step):
    """A turn is about to call its model. Raise `TurnRefused` to stop it."""

    turn: Turn
    prompt_tokens: int
    prices: Mapping[str, float]


class TurnRefused(Exception):
    """Stops a turn with an error event. ``payload`` is its text: a sentence for the user, or JSON
    with a ``type`` that clients translate, such as ``{"type":"token_balance", …}`` (chat-stream
    §6.6)."""

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


@dataclass(frozen=True, slots=True)
class UsageReported(Fact):
    """Model calls of a turn have to be paid for. Published once before the stream's last event,
    even without calls (``settles``: the amount that was reserved for the turn is released), and
    again for calls that end later (a title, a companion). A call whose provider reported no usage
    is counted here; ``context`` is ``incomplete`` when it was cut off. A call that failed costs
    nothing unless its provider reported usage."""

    turn: Turn
    usage: Sequence[ModelUsed]
    settles: bool = False


@dataclass(frozen=True, slots=True)
class TurnFinished(Fact):
    """A turn has ended and is saved."""

    turn: Turn
    outcome: TurnOutcome


class Generations(Protocol):
    """The turns that are running at the moment, on any worker."""

    async def active(self, user: str, conversation_id: str) -> bool:
        """``True`` when a turn of this user is running in that conversation, or is waiting for
        them."""
        ...

    async def stop_all(self, user: str) -> None:
        """Abort every turn of a user; what was streamed stays saved."""
        ...


GENERATIONS: Service[Generations] = Service("chat.generations", "Turns that run at the moment")
