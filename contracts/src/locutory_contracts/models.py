"""Language models: providers, the catalogue over them, and the stream of an answer."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from locutory import Extension, Principal, Service


@dataclass(slots=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning."""

    text: str


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call. ``index`` numbers the calls of one answer; ``id`` and
    ``name`` come with its first piece, ``arguments`` are JSON text to concatenate."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Usage:
    """Tokens of one model call as the provider reports them."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read: int = 0
    cache_creation: int = 0


@dataclass(slots=True)
class Finished:
    """The model stopped: ``stop``, ``length``, ``tool_calls``, ``content_filter``, …"""

    reason: str


@dataclass(slots=True)
class ReasoningEnded:
    """All text of this answer so far was reasoning: the model had not said where it began."""


ModelEvent = TextDelta | ReasoningDelta | ReasoningEnded | ToolCallDelta | Usage | Finished


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as a model sees it; ``parameters`` is JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a model.

    ``messages`` are in the OpenAI chat shape: ``{role, content, tool_calls?,
    tool_call_id?, reasoning_content?}`` with ``content`` text or a list of parts.
    ``headers_context`` fills the header placeholders: conversationId, parentMessageId,
    messageId.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[ToolSchema] = ()
    headers_context: Mapping[str, str] = field(default_factory=dict)
    max_tokens: int | None = None


class ModelFailure(Exception):
    """A provider failed. ``status``: its HTTP status or 0; ``retryable``: another try may
    help; ``retry_after``: the seconds after which the provider wants it, where it says so;
    ``cut``: the answer broke off, what came of it is a part. The text is safe to show to the
    user: it holds no key and no address of ours."""

    def __init__(
        self, message: str, status: int = 0, retryable: bool = False, cut: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.cut = cut
        self.retry_after: float | None = None


class ModelRefused(Exception):
    """A turn cannot start with these settings. ``payload`` is the error text of the wire:
    mostly JSON ``{"type": …, "info": …}`` for which clients have words: ``no_user_key``,
    ``expired_user_key``, ``missing_model``, ``illegal_model_request``, … (endpoints §5, models §4).
    ``violation``: the type under which it counts against the user, empty for none; ``denial``: a
    refusal of the request itself, told in the form of chat-stream §4.3."""

    def __init__(self, payload: str, violation: str = "", denial: bool = False) -> None:
        super().__init__(payload)
        self.payload = payload
        self.violation = violation
        self.denial = denial


@dataclass(frozen=True, slots=True)
class TitleSettings:
    """How titles of an endpoint's conversations are made (endpoints §4.1). ``model`` and ``endpoint``:
    which make them, ``None`` (or ``current_model``) for those of the turn; ``method``: ``completion``, ``functions`` or
    ``structured``; ``timing``: ``immediate`` (with the turn) or ``final`` (after it)."""

    enabled: bool = True
    model: str | None = None
    endpoint: str | None = None
    prompt: str | None = None
    prompt_template: str | None = None
    method: str = "completion"
    timing: str = "immediate"
    message_role: str | None = None


class ChatModel(Protocol):
    """An open line to one model with its settings."""

    def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        """The answer as it is made. Closing the iterator ends the provider's work.
        Raises `ModelFailure`; retries happen inside, before the first event only."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model ready for a turn.

    ``settings`` are the accepted parameters, flat and by LibreChat's names as stored on
    conversations (``model``, ``temperature``, ``promptPrefix``, …; endpoints §6), ``sender`` the label of its messages, ``context_tokens`` its
    window, ``prices`` USD per million tokens (prompt, completion, cacheWrite,
    cacheRead) or empty, ``provider`` the value of usage events.
    """

    endpoint: str
    endpoint_type: str | None
    model: str
    provider: str
    sender: str
    chat: ChatModel
    settings: Mapping[str, Any]
    context_tokens: int
    output_tokens: int | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    icon_url: str | None = None
    spec: str | None = None
    spec_tools: Mapping[str, Any] = field(default_factory=dict)
    stream_rate_ms: float = 0
    title: TitleSettings = field(default_factory=TitleSettings)


class Provider(Protocol):
    """A family of endpoints: fills the picker and opens models.

    One plugin may register several; each owns the endpoint names its ``entries`` give.
    """

    async def entries(self, principal: Principal | None) -> Mapping[str, Mapping[str, Any]]:
        """Configured endpoints → entry of ``GET /api/endpoints`` without ``order``."""
        ...

    async def models(self, principal: Principal | None) -> Mapping[str, Sequence[str]]:
        """Endpoint → model names. Never raises for an outage: falls back to defaults."""
        ...

    async def open(
        self, endpoint: str, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        """A line to a model; raises `ModelRefused` for missing keys and the like."""
        ...

    def describe(self, endpoint: str) -> Mapping[str, Any]:
        """The endpoint's options of ``librechat.yaml`` (titles, tokenConfig, labels); may be empty."""
        ...


MODELS_IN_USE: Extension[Callable[[], tuple[str, str] | None]] = Extension(
    "models.in-use", "A model that the operator names for a purpose: its endpoint and its name"
)
"""A server of models need not list those: the operator's word counts."""

LLM_PROVIDERS: Extension[Provider] = Extension("models.providers", "Families of language models")


class Catalogue(Protocol):
    """All providers as one."""

    async def entries(self, principal: Principal) -> Mapping[str, Mapping[str, Any]]:
        """The body of ``GET /api/endpoints``."""
        ...

    async def models(self, principal: Principal) -> Mapping[str, Sequence[str]]:
        """The body of ``GET /api/models``."""
        ...

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        """Settle endpoint, model, spec and parameters of a chat request body (chat-stream
        §4.1). `ModelRefused` for illegal models, missing keys, spec errors. ``internal``: the
        settings are the server's, not a client's (a title, a stored agent): no spec is asked
        for."""
        ...

    def spec(self, body: Mapping[str, Any]) -> str | None:
        """The model spec that a request body names for its endpoint. `ModelRefused`, a denial,
        for a wrong one, and for none where specs are enforced; its text is ``No model spec selected``, ``Invalid model spec`` or
        ``Model spec mismatch`` (endpoints §9)."""
        ...


CATALOGUE: Service[Catalogue] = Service("models.catalogue", "Language models of every provider")


class TokenCounter(Protocol):
    """Counts tokens as o200k_base does (messages §3.2), exactly or within a few per cent."""

    def count(self, text: str) -> int: ...


TOKENS: Service[TokenCounter] = Service("models.tokens", "Token counts of text")
