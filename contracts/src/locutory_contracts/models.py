"""Language models: providers, the catalogue of all providers, and the events of an answer."""

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
    """The tokens of one model call as the provider reports them."""

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
    """All text of this answer so far was reasoning; the model did not mark its beginning."""


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
    """A provider failed. ``status``: its HTTP status, or 0; ``retryable``: another attempt may
    succeed; ``retry_after``: the seconds after which the provider asks for it, or ``None``;
    ``cut``: the answer broke off, and only a part of it was received. The text is safe to show to
    the user: it contains no key and no internal address."""

    def __init__(
        self, message: str, status: int = 0, retryable: bool = False, cut: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.cut = cut
        self.retry_after: float | None = None


class ModelRefused(Exception):
    """A turn cannot start with these settings. ``payload`` is the error text of the contract:
    mostly JSON ``{"type": …, "info": …}`` that clients translate: ``no_user_key``,
    ``expired_user_key``, ``missing_model``, ``illegal_model_request``, … (endpoints §5, models §4).
    ``violation``: the type of violation that is counted for the user, empty for none; ``denial``:
    the request itself is refused, in the form of chat-stream §4.3."""

    def __init__(self, payload: str, violation: str = "", denial: bool = False) -> None:
        super().__init__(payload)
        self.payload = payload
        self.violation = violation
        self.denial = denial


@dataclass(frozen=True, slots=True)
class TitleSettings:
    """Settings for the titles of an endpoint's conversations (endpoints §4.1). ``model`` and
    ``endpoint`` make the titles, ``None`` (or ``current_model``) stands for those of the turn;
    ``method``: ``completion``, ``functions`` or ``structured``; ``timing``: ``immediate`` (with the
    turn) or ``final`` (after it)."""

    enabled: bool = True
    model: str | None = None
    endpoint: str | None = None
    prompt: str | None = None
    prompt_template: str | None = None
    method: str = "completion"
    timing: str = "immediate"
    message_role: str | None = None


class ChatModel(Protocol):
    """A client for one model with its settings."""

    def stream(self, call: ModelCall) -> AsyncIterator[ModelEvent]:
        """Yield the events of the answer. Closing the iterator ends the provider's work. Raises
        `ModelFailure`; only calls without an event so far are retried."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model ready for a turn.

    ``settings`` are the accepted parameters, flat and with LibreChat's names as stored on
    conversations (``model``, ``temperature``, ``promptPrefix``, …; endpoints §6), ``sender`` the
    label of its messages, ``context_tokens`` the size of its context window, ``prices`` USD per
    million tokens (prompt, completion, cacheWrite, cacheRead) or empty, ``provider`` the value of
    usage events.
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
    """A family of endpoints: lists its models and opens them.

    One plugin may register several; each owns the endpoint names in its ``entries``.
    """

    async def entries(self, principal: Principal | None) -> Mapping[str, Mapping[str, Any]]:
        """Configured endpoint → its entry in ``GET /api/endpoints``, without ``order``."""
        ...

    async def models(self, principal: Principal | None) -> Mapping[str, Sequence[str]]:
        """Endpoint → model names. Never raises when a provider is not available: the result then
        has defaults."""
        ...

    async def open(
        self, endpoint: str, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        """A client for a model; raises `ModelRefused`, for example when a key is missing."""
        ...

    def describe(self, endpoint: str) -> Mapping[str, Any]:
        """The endpoint's options of ``librechat.yaml`` (titles, tokenConfig, labels); may be
        empty."""
        ...


MODELS_IN_USE: Extension[Callable[[], tuple[str, str] | None]] = Extension(
    "models.in-use", "A model that the operator names for a purpose: its endpoint and its name"
)
"""A server of models need not list these: the operator has configured them."""

LLM_PROVIDERS: Extension[Provider] = Extension("models.providers", "Families of language models")


class Catalogue(Protocol):
    """The endpoints and models of all providers."""

    async def entries(self, principal: Principal) -> Mapping[str, Mapping[str, Any]]:
        """The body of ``GET /api/endpoints``."""
        ...

    async def models(self, principal: Principal) -> Mapping[str, Sequence[str]]:
        """The body of ``GET /api/models``."""
        ...

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        """Determine endpoint, model, spec and parameters of a chat request body (chat-stream §4.1).
        Raises `ModelRefused` for illegal models, missing keys and wrong specs. ``internal``: the
        settings are the server's, not a client's (a title, a stored agent), and no spec is
        required."""
        ...

    def spec(self, body: Mapping[str, Any]) -> str | None:
        """The model spec that a request body names for its endpoint. Raises `ModelRefused` as a
        denial for a wrong spec, and for none where specs are enforced; its text is ``No model spec
        selected``, ``Invalid model spec`` or ``Model spec mismatch`` (endpoints §9)."""
        ...


CATALOGUE: Service[Catalogue] = Service("models.catalogue", "Language models of every provider")


class TokenCounter(Protocol):
    """Counts tokens as o200k_base does (messages §3.2), exactly or within a few per cent."""

    def count(self, text: str) -> int: ...


TOKENS: Service[TokenCounter] = Service("models.tokens", "Token counts of text")
