"""Parameters that a chat request may carry, by endpoint family (endpoints §6).

Only listed members are kept, with their types checked. One wrong type and all parameters of
the request are dropped except the model and the spec: half-applied settings would be worse.
"""

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], Any]


class WrongType(ValueError):
    """A parameter of a type that its name does not take."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongType
    return value


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType
    return value


def _tokens(value: Any) -> float | int:
    """A count of tokens; the client sends some of them as text."""
    if isinstance(value, str):
        try:
            parsed = float(value)
        except ValueError:
            raise WrongType from None
        return int(parsed) if parsed.is_integer() else parsed
    return _number(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongType
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongType
    return value


def _objects(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WrongType
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongType
    return value


def _one_of(*words: str) -> Check:
    allowed = frozenset(words)

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise WrongType
        return value

    return check


_COMMON: dict[str, Check] = {
    "model": _text,
    "modelLabel": _text,
    "promptPrefix": _text,
    "resendFiles": _switch,
    "artifacts": _text,
    "greeting": _text,
    "spec": _text,
    "maxContextTokens": _tokens,
    "fileTokenLimit": _tokens,
    "stop": _texts,
    "chatProjectId": _text,
}
_EFFORT = _one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TTL = _one_of("5m", "1h")
_OPENAI: dict[str, Check] = {
    **_COMMON,
    "chatGptLabel": _text,
    "temperature": _number,
    "top_p": _number,
    "presence_penalty": _number,
    "frequency_penalty": _number,
    "max_tokens": _tokens,
    "imageDetail": _one_of("low", "auto", "high"),
    "reasoning_effort": _EFFORT,
    "reasoning_summary": _one_of("none", "auto", "concise", "detailed"),
    "reasoning_mode": _one_of("standard", "pro"),
    "reasoning_context": _one_of("auto", "current_turn", "all_turns"),
    "verbosity": _one_of("low", "medium", "high"),
    "useResponsesApi": _switch,
    "web_search": _switch,
    "disableStreaming": _switch,
}
ALLOWED: dict[str, dict[str, Check]] = {
    "openAI": _OPENAI,
    "openrouter": {**_OPENAI, "promptCache": _switch, "promptCacheTtl": _TTL},
    "anthropic": {
        **_COMMON,
        "temperature": _number,
        "maxOutputTokens": _tokens,
        "topP": _number,
        "topK": _number,
        "promptCache": _switch,
        "promptCacheTtl": _TTL,
        "thinking": _switch,
        "thinkingBudget": _tokens,
        "effort": _one_of("low", "medium", "high", "xhigh", "max"),
        "thinkingDisplay": _one_of("auto", "summarized", "omitted"),
        "web_search": _switch,
    },
    "google": {
        **_COMMON,
        "temperature": _number,
        "maxOutputTokens": _tokens,
        "topP": _number,
        "topK": _number,
        "thinking": _switch,
        "thinkingBudget": _tokens,
        "thinkingLevel": _one_of("minimal", "low", "medium", "high"),
        "web_search": _switch,
        "url_context": _switch,
        "examples": _objects,
    },
    "bedrock": {
        **_COMMON,
        "region": _text,
        "system": _text,
        "temperature": _number,
        "topP": _number,
        "topK": _number,
        "maxTokens": _tokens,
        "promptCache": _switch,
        "promptCacheTtl": _TTL,
        "thinking": _switch,
        "thinkingBudget": _tokens,
        "effort": _one_of("low", "medium", "high", "xhigh", "max"),
        "reasoning_effort": _EFFORT,
        "additionalModelRequestFields": _object,
    },
}
"""Endpoint family → parameter → check. Families that are not listed count as ``openAI``."""


def family(endpoint: str, params: Mapping[str, Any] | None) -> str:
    """The family whose parameter names an endpoint uses."""
    panel = (params or {}).get("defaultParamsEndpoint")
    if isinstance(panel, str) and panel in ALLOWED:
        return panel
    return endpoint if endpoint in ALLOWED else "openAI"


def accepted(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The parameters of a request for a family: listed, typed, and not empty."""
    checks = ALLOWED[name]
    kept: dict[str, Any] = {}
    try:
        for key, check in checks.items():
            value = params.get(key)
            if value is not None and value != "":
                kept[key] = check(value)
    except WrongType:
        return {key: params[key] for key in ("model", "spec") if isinstance(params.get(key), str)}
    return kept
