"""From a turn's parameters to the body of a chat completion (endpoints §6, §7)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from locutory_contracts.models import ModelCall, ToolSchema

_NO_SAMPLING = re.compile(r"\b(o[13]|gpt-5)(?!\.|-chat)(?:-|$)")
_COMPLETION_TOKENS = re.compile(r"\bgpt-[5-9](?:\.\d+)?\b", re.IGNORECASE)
_REASONER = re.compile(r"^o\d(?:-|$)")
_SEARCH = re.compile(r"gpt-4o.*search")
_DEEPSEEK = re.compile(r"^(?:deepseek)(?:[-/]|$)", re.IGNORECASE)

_SAMPLING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "logit_bias",
    "logprobs",
)
_NOT_FOR_SEARCH = (
    *_SAMPLING,
    "top_k",
    "stop",
    "seed",
    "response_format",
    "user",
    "reasoning",
    "reasoning_effort",
)
_DIRECT = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens", "stop")
_ALSO_CALLED = {
    "maxTokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "maxCompletionTokens": "max_completion_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "logitBias": "logit_bias",
    "topLogprobs": "top_logprobs",
    "stopSequences": "stop",
    "modelName": "model",
    "streamUsage": "stream_options",
}
_NEVER_DROPPED = frozenset(("messages", "model", "stream"))
_NOT_SENT = frozenset(
    ("useResponsesApi", "streaming", "disableStreaming", "streamUsage", "web_search")
)
_PARTS_OF_REASONING = {
    "reasoning_summary": "summary",
    "reasoning_mode": "mode",
    "reasoning_context": "context",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The dialect of one endpoint. ``extra`` are forced members, ``dropped`` are left out last,
    ``defaults`` apply where the user chose nothing, ``usage`` asks for token counts at the end of a
    stream."""

    official: bool = False
    usage: bool = True
    openrouter: bool = False
    reasoning_format: str = "reasoning_effort"
    extra: Mapping[str, Any] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    reasoning_in_turn: bool = False
    reasoning_in_history: bool = False


def request_base(
    model: str, settings: Mapping[str, Any], user: str, dialect: Dialect
) -> dict[str, Any]:
    """The part of the body that stays the same for every call of a turn, without messages."""
    params = {**dialect.defaults, **settings}
    body: dict[str, Any] = {"model": model}
    for name in _DIRECT:
        if params.get(name) not in (None, [], ""):
            body[name] = params[name]
    _foreign_names(params, body)
    _reasoning(model, params, body, dialect)
    if params.get("verbosity"):
        body["verbosity"] = params["verbosity"]
    if params.get("web_search") is True and dialect.openrouter:
        body["plugins"] = [{"id": "web"}]
    body["user"] = user
    streamed = params.get("disableStreaming") is not True
    body["stream"] = streamed
    if streamed and dialect.usage:
        body["stream_options"] = {"include_usage": True}
    for name, value in dialect.extra.items():
        if name in _NOT_SENT:
            if name == "web_search" and value is True and dialect.openrouter:
                body["plugins"] = [{"id": "web"}]
            continue
        body[_ALSO_CALLED.get(name, name)] = value
    named = str(body.get("model") or model)
    dropped = [*dialect.dropped]
    if _NO_SAMPLING.search(named):
        dropped += _SAMPLING
    elif _SEARCH.search(named):
        dropped += _NOT_FOR_SEARCH
    for name in dropped:
        _drop(body, name)
    if "max_tokens" in body and (
        _COMPLETION_TOKENS.search(named) or (dialect.official and _REASONER.search(named))
    ):
        body["max_completion_tokens"] = body.pop("max_tokens")
    return body


def _foreign_names(params: Mapping[str, Any], body: dict[str, Any]) -> None:
    """Parameters under the names of other families, for gateways that take ours."""
    for name in ("maxOutputTokens", "maxTokens", "topP", "topK"):
        if params.get(name) is not None:
            body.setdefault(_ALSO_CALLED[name], params[name])
    if params.get("effort"):
        body.setdefault("reasoning_effort", params["effort"])
    if params.get("thinkingLevel"):
        body.setdefault("reasoning_effort", params["thinkingLevel"])
    budget = params.get("thinkingBudget")
    if params.get("thinking") is True and isinstance(budget, int | float) and budget > 0:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _reasoning(
    model: str, params: Mapping[str, Any], body: dict[str, Any], dialect: Dialect
) -> None:
    effort = params.get("reasoning_effort")
    if dialect.openrouter:
        if effort:
            body["reasoning"] = {"effort": effort}
        else:
            body["include_reasoning"] = True
        return
    if dialect.reasoning_format == "disabled":
        return
    if dialect.reasoning_format == "reasoning_object" and not dialect.official:
        parts = {"effort": effort} if effort else {}
        for name, short in _PARTS_OF_REASONING.items():
            if params.get(name):
                parts[short] = params[name]
        if parts:
            body["reasoning"] = parts
        return
    if effort:
        body["reasoning_effort"] = effort


def _drop(body: dict[str, Any], name: str) -> None:
    name = _ALSO_CALLED.get(name, name)
    if name in _NEVER_DROPPED:
        return
    body.pop(name, None)
    if name == "reasoning_effort":
        body.pop("reasoning", None)
    part = _PARTS_OF_REASONING.get(name)
    reasoning = body.get("reasoning")
    if part is not None and isinstance(reasoning, dict):
        kept = {key: value for key, value in reasoning.items() if key != part}
        if kept:
            body["reasoning"] = kept
        else:
            del body["reasoning"]


def request_body(base: Mapping[str, Any], call: ModelCall, dialect: Dialect) -> dict[str, Any]:
    """The whole body of one call."""
    model = str(base["model"])
    body = {**base, "messages": _messages(call.messages, model, dialect)}
    if call.tools and "tools" not in dialect.dropped:
        body["tools"] = [*(base.get("tools") or ()), *map(_tool, call.tools)]
    if call.max_tokens is not None:
        longer = "max_completion_tokens" in base or _COMPLETION_TOKENS.search(model) is not None
        name = "max_completion_tokens" if longer else "max_tokens"
        body.pop("max_tokens", None)
        body[name] = call.max_tokens
    return body


def _tool(schema: ToolSchema) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": schema.name,
            "description": schema.description,
            "parameters": dict(schema.parameters),
        },
    }


def _messages(
    messages: Sequence[Mapping[str, Any]], model: str, dialect: Dialect
) -> list[Mapping[str, Any]]:
    """Messages as this provider takes them: earlier reasoning only where it is wanted, and
    marks for OpenRouter's prompt cache."""
    in_turn = (
        dialect.reasoning_in_turn
        or dialect.reasoning_in_history
        or _DEEPSEEK.match(model) is not None
    )
    asked = max(
        (at for at, message in enumerate(messages) if message.get("role") == "user"), default=-1
    )
    out: list[Mapping[str, Any]] = []
    for at, message in enumerate(messages):
        kept = dialect.reasoning_in_history or (in_turn and at > asked)
        if "reasoning_content" in message and not kept:
            message = {key: value for key, value in message.items() if key != "reasoning_content"}
        out.append(message)
    if dialect.openrouter and dialect.defaults.get("promptCache") and "anthropic/" in model:
        marked = {0, asked} if out and out[0].get("role") == "system" else {asked}
        for at in marked:
            if at >= 0:
                out[at] = _cached(out[at])
    return out


def _cached(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message whose last text part ends a cached prefix."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
    for at in range(len(parts) - 1, -1, -1):
        if parts[at].get("type") == "text" and parts[at].get("text"):
            parts[at] = {**parts[at], "cache_control": {"type": "ephemeral"}}
            return {**message, "content": parts}
    return message
