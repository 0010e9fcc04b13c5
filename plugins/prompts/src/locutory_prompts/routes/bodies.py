"""Members of request bodies."""

from collections.abc import Mapping
from typing import Any

from locutory import HTTPError

_TYPES = ("text", "chat")


def member(body: Any, name: str) -> dict[str, Any] | None:
    """An object inside the body; ``None`` when there is none."""
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, dict) else None


def text_and_type(prompt: Mapping[str, Any]) -> tuple[str, str]:
    """Text and type of a version; 400 unless they are what they must be."""
    text, form = prompt.get("prompt"), prompt.get("type")
    if not isinstance(text, str) or not text.strip():
        raise HTTPError(400, {"error": "Prompt text is required and must be a non-empty string"})
    if form not in _TYPES:
        raise HTTPError(400, {"error": 'Prompt type must be "text" or "chat"'})
    return text, str(form)
