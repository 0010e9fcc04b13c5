"""The sender shown above an answer."""

import re
from collections.abc import Mapping
from typing import Any

_OMNI = re.compile(r"\bo(\d+(?:\.\d+)?)\b", re.IGNORECASE)
_GPT = re.compile(r"gpt-(\d+(?:\.\d+)?)([a-z])?", re.IGNORECASE)
_FAMILIES = (
    ("mistral", "Mistral"),
    ("codestral", "Mistral"),
    ("deepseek", "Deepseek"),
    ("kimi", "Kimi"),
    ("moonshot", "Moonshot"),
)
_ENDPOINTS = {
    "openAI": "OpenAI",
    "azureOpenAI": "Azure OpenAI",
    "anthropic": "Claude",
    "google": "Gemini",
    "bedrock": "AWS Bedrock",
}


def _by_model(model: str) -> str | None:
    omni = _OMNI.search(model)
    if omni is not None:
        return f"o{omni[1]}"
    for part, label in _FAMILIES:
        if part in model:
            return label
    if "gpt-" in model:
        version = _GPT.search(model)
        return "GPT" if version is None else f"GPT-{version[1]}{version[2] or ''}"
    return None


def sender(
    endpoint: str,
    model: str,
    settings: Mapping[str, Any],
    spec_label: str | None,
    display_label: str | None,
) -> str:
    """The label of a model's messages: the user's, the spec's, the endpoint's, then one made
    of the model's name."""
    for label in (settings.get("modelLabel"), spec_label, display_label):
        if isinstance(label, str) and label:
            return label
    legacy = settings.get("chatGptLabel")
    if isinstance(legacy, str) and legacy:
        return legacy
    if endpoint in ("anthropic", "google"):
        gemma = endpoint == "google" and "gemma" in model.lower()
        return "Gemma" if gemma else _ENDPOINTS[endpoint]
    return _by_model(model) or _ENDPOINTS.get(endpoint, "AI")
