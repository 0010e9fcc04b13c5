"""The client's parameter panels: which parameters an endpoint family has, and the complete
definition that the client needs when an operator overrides one (endpoints §4.2).

Labels and descriptions are keys of the client's translations.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Definition = dict[str, Any]


def _field(key: str, label: str, help_text: str | None = None, **more: Any) -> Definition:
    made: Definition = {"key": key, "label": label, "labelCode": True}
    if help_text is not None:
        made |= {"description": help_text, "descriptionCode": True}
    return {**made, "optionType": "model", "columnSpan": 2, **more}


def _slider(
    key: str,
    label: str,
    help_text: str,
    default: float,
    low: float,
    high: float,
    step: float = 0.01,
) -> Definition:
    return _field(
        key,
        label,
        help_text,
        type="number",
        component="slider",
        columnSpan=4,
        default=default,
        range={"min": low, "max": high, "step": step},
    )


def _number(key: str, label: str, help_text: str, **more: Any) -> Definition:
    return _field(
        key,
        label,
        help_text,
        type="number",
        component="input",
        placeholder="com_endpoint_default",
        placeholderCode=True,
        **more,
    )


def _switch(key: str, label: str, help_text: str, default: bool = False) -> Definition:
    return _field(
        key,
        label,
        help_text,
        type="boolean",
        component="switch",
        default=default,
        showDefault=False,
    )


def _choice(
    key: str, label: str, help_text: str, options: Iterable[str], unset: str, default: str = ""
) -> Definition:
    """A slider over words; each word is translated by ``com_ui_<word>``, '' by ``unset``."""
    words = list(options)
    return _field(
        key,
        label,
        help_text,
        type="enum",
        component="slider",
        columnSpan=4,
        default=default,
        options=words,
        enumMappings={word: f"com_ui_{word}" if word else unset for word in words},
    )


def _text(key: str, label: str, component: str, placeholder: str, option: str) -> Definition:
    return {
        "key": key,
        "label": label,
        "labelCode": True,
        "type": "string",
        "default": "",
        "component": component,
        "placeholder": placeholder,
        "placeholderCode": True,
        "optionType": option,
    }


def _panel(*definitions: Definition) -> dict[str, Definition]:
    return {definition["key"]: definition for definition in definitions}


def _by_key(panel: Mapping[str, Definition], *keys: str) -> dict[str, Definition]:
    return {key: panel[key] for key in keys}


_EFFORTS = ("", "none", "minimal", "low", "medium", "high", "xhigh", "max")
_TTL = _field(
    "promptCacheTtl",
    "com_endpoint_prompt_cache_ttl",
    "com_endpoint_anthropic_prompt_cache_ttl",
    type="enum",
    component="combobox",
    options=["5m", "1h"],
    selectPlaceholder="com_endpoint_prompt_cache_ttl_default",
    selectPlaceholderCode=True,
)
_CACHE = _switch(
    "promptCache", "com_endpoint_prompt_cache", "com_endpoint_anthropic_prompt_cache", True
)

_EVERYWHERE = _panel(
    {
        "key": "model",
        "label": "com_ui_model",
        "labelCode": True,
        "type": "string",
        "component": "dropdown",
        "optionType": "model",
        "columnSpan": 4,
        "selectPlaceholder": "com_ui_select_model",
        "selectPlaceholderCode": True,
        "searchPlaceholder": "com_ui_select_search_model",
        "searchPlaceholderCode": True,
    },
    _text(
        "modelLabel",
        "com_endpoint_custom_name",
        "input",
        "com_endpoint_openai_custom_name_placeholder",
        "conversation",
    ),
    _text(
        "promptPrefix",
        "com_endpoint_prompt_prefix",
        "textarea",
        "com_endpoint_openai_prompt_prefix_placeholder",
        "model",
    ),
    _number("maxContextTokens", "com_endpoint_context_tokens", "com_endpoint_context_info"),
    _switch(
        "resendFiles", "com_endpoint_plug_resend_files", "com_endpoint_openai_resend_files", True
    )
    | {"optionType": "conversation"},
    _number("fileTokenLimit", "com_ui_file_token_limit", "com_ui_file_token_limit_desc"),
)

_OPENAI = _EVERYWHERE | _panel(
    _number("max_tokens", "com_endpoint_max_output_tokens", "com_endpoint_openai_max_tokens"),
    _slider("temperature", "com_endpoint_temperature", "com_endpoint_openai_temp", 1, 0, 2),
    _slider("top_p", "com_endpoint_top_p", "com_endpoint_anthropic_topp", 1, 0, 1),
    _slider(
        "frequency_penalty", "com_endpoint_frequency_penalty", "com_endpoint_openai_freq", 0, -2, 2
    ),
    _slider(
        "presence_penalty", "com_endpoint_presence_penalty", "com_endpoint_openai_pres", 0, -2, 2
    ),
    {
        "key": "stop",
        "label": "com_endpoint_stop",
        "labelCode": True,
        "description": "com_endpoint_openai_stop",
        "descriptionCode": True,
        "placeholder": "com_endpoint_stop_placeholder",
        "placeholderCode": True,
        "type": "array",
        "default": [],
        "component": "tags",
        "optionType": "conversation",
        "minTags": 0,
        "maxTags": 4,
    },
    _choice(
        "imageDetail",
        "com_endpoint_plug_image_detail",
        "com_endpoint_openai_detail",
        ("low", "auto", "high"),
        "com_ui_auto",
        "auto",
    )
    | {"optionType": "conversation", "columnSpan": 2},
    _switch("web_search", "com_ui_web_search", "com_endpoint_openai_use_web_search"),
    _choice(
        "reasoning_effort",
        "com_endpoint_reasoning_effort",
        "com_endpoint_openai_reasoning_effort",
        _EFFORTS,
        "com_ui_auto",
    ),
    _switch(
        "useResponsesApi", "com_endpoint_use_responses_api", "com_endpoint_openai_use_responses_api"
    ),
    _choice(
        "reasoning_summary",
        "com_endpoint_reasoning_summary",
        "com_endpoint_openai_reasoning_summary",
        ("", "auto", "concise", "detailed"),
        "com_ui_unset",
    ),
    _choice(
        "reasoning_mode",
        "com_endpoint_reasoning_mode",
        "com_endpoint_openai_reasoning_mode",
        ("", "standard", "pro"),
        "com_ui_unset",
    ),
    _choice(
        "reasoning_context",
        "com_endpoint_reasoning_context",
        "com_endpoint_openai_reasoning_context",
        ("", "auto", "current_turn", "all_turns"),
        "com_ui_unset",
    ),
    _choice(
        "verbosity",
        "com_endpoint_verbosity",
        "com_endpoint_openai_verbosity",
        ("", "low", "medium", "high"),
        "com_ui_none",
    ),
    _switch(
        "disableStreaming", "com_endpoint_disable_streaming_label", "com_endpoint_disable_streaming"
    ),
)

_ANTHROPIC = _EVERYWHERE | _panel(
    _number(
        "maxOutputTokens",
        "com_endpoint_max_output_tokens",
        "com_endpoint_anthropic_maxoutputtokens",
        range={"min": 1, "max": 128000, "step": 1},
    ),
    _slider("temperature", "com_endpoint_temperature", "com_endpoint_openai_temp", 1, 0, 1),
    _slider("topP", "com_endpoint_top_p", "com_endpoint_anthropic_topp", 0.7, 0, 1),
    _slider("topK", "com_endpoint_top_k", "com_endpoint_anthropic_topk", 5, 1, 40, 1),
    _CACHE,
    _TTL,
    _switch("thinking", "com_endpoint_thinking", "com_endpoint_anthropic_thinking", True),
    _number(
        "thinkingBudget",
        "com_endpoint_thinking_budget",
        "com_endpoint_anthropic_thinking_budget",
        default=2000,
        range={"min": 1024, "max": 200000, "step": 100},
    ),
    _switch("web_search", "com_ui_web_search", "com_endpoint_anthropic_use_web_search"),
    _choice(
        "effort",
        "com_endpoint_effort",
        "com_endpoint_anthropic_effort",
        ("", "low", "medium", "high", "xhigh", "max"),
        "com_ui_auto",
    ),
    _choice(
        "thinkingDisplay",
        "com_endpoint_anthropic_thinking_display",
        "com_endpoint_anthropic_thinking_display_desc",
        ("auto", "summarized", "omitted"),
        "com_ui_auto",
        "auto",
    ),
)

_GOOGLE = _EVERYWHERE | _panel(
    _number(
        "maxOutputTokens",
        "com_endpoint_max_output_tokens",
        "com_endpoint_google_maxoutputtokens",
        default=8192,
        range={"min": 1, "max": 64000, "step": 1},
    ),
    _slider("temperature", "com_endpoint_temperature", "com_endpoint_openai_temp", 1, 0, 2),
    _slider("topP", "com_endpoint_top_p", "com_endpoint_anthropic_topp", 0.95, 0, 1),
    _slider("topK", "com_endpoint_top_k", "com_endpoint_google_topk", 40, 1, 40, 1),
    _switch("thinking", "com_endpoint_thinking", "com_endpoint_google_thinking", True),
    _number(
        "thinkingBudget",
        "com_endpoint_thinking_budget",
        "com_endpoint_google_thinking_budget",
        range={"min": -1, "max": 32000, "step": 1},
    ),
    _choice(
        "thinkingLevel",
        "com_endpoint_thinking_level",
        "com_endpoint_google_thinking_level",
        ("", "minimal", "low", "medium", "high"),
        "com_ui_auto",
    ),
    _switch(
        "web_search",
        "com_endpoint_use_search_grounding",
        "com_endpoint_google_use_search_grounding",
    ),
    _switch("url_context", "com_endpoint_use_url_context", "com_endpoint_google_use_url_context"),
)

_BEDROCK = _EVERYWHERE | _panel(
    _text(
        "system",
        "com_endpoint_prompt_prefix",
        "textarea",
        "com_endpoint_openai_prompt_prefix_placeholder",
        "model",
    ),
    _field("region", "com_ui_region", type="string", component="combobox"),
    _number(
        "maxTokens", "com_endpoint_max_output_tokens", "com_endpoint_anthropic_maxoutputtokens"
    ),
    _slider("temperature", "com_endpoint_temperature", "com_endpoint_openai_temp", 1, 0, 1),
    _slider("topP", "com_endpoint_top_p", "com_endpoint_anthropic_topp", 0.999, 0, 1),
    _slider("topK", "com_endpoint_top_k", "com_endpoint_anthropic_topk", 5, 0, 500, 1),
    *_by_key(
        _ANTHROPIC, "promptCache", "promptCacheTtl", "thinking", "thinkingBudget", "effort"
    ).values(),
    _choice(
        "reasoning_effort",
        "com_endpoint_reasoning_effort",
        "com_endpoint_bedrock_reasoning_effort",
        ("", "low", "medium", "high"),
        "com_ui_off",
    ),
)

PANELS: dict[str, dict[str, Definition]] = {
    "custom": _OPENAI,
    "openAI": _OPENAI,
    "azureOpenAI": _OPENAI,
    "openrouter": _OPENAI | _panel(_CACHE, _TTL),
    "anthropic": _ANTHROPIC,
    "google": _GOOGLE,
    "bedrock": _BEDROCK,
}
"""``defaultParamsEndpoint`` → parameter → its complete definition."""


def keys_of_panel(panel: str) -> frozenset[str]:
    """Parameters that may be overridden for a panel."""
    return frozenset(PANELS[panel])


def overridden(panel: str, overrides: Iterable[Mapping[str, Any]]) -> list[Definition]:
    """An operator's definitions completed from the panel, in the operator's order."""
    known = PANELS.get(panel, {})
    return [
        {**known.get(str(item.get("key")), {}), **item, "optionType": "custom"}
        for item in overrides
    ]
