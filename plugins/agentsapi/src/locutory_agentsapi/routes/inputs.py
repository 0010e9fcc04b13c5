"""The input of a response request as messages of a model (contract agents-api §5.1)."""

from collections.abc import Mapping
from typing import Any

from locutory_agentsapi.routes.messages import json_text, text_of
from locutory_agentsapi.routes.running import BadRun

MOST_ITEMS = 10_000
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


def messages_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Messages in the OpenAI chat shape; `BadRun` for a wrong request."""
    given = body.get("input")
    if given is None or given == "":
        raise BadRun("input is required")
    if not isinstance(given, str | list):
        raise BadRun("input must be a string or array of items")
    _check(body)
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if len(given) > MOST_ITEMS:
        raise BadRun(f"input cannot have more than {MOST_ITEMS} items")
    messages: list[dict[str, Any]] = []
    for item in given:
        if isinstance(item, Mapping):
            _add(messages, item)
    if not messages:
        raise BadRun("input is required")
    return messages


def _check(body: Mapping[str, Any]) -> None:
    if body.get("stream") is not None and not isinstance(body["stream"], bool):
        raise BadRun("stream must be a boolean")
    temperature = body.get("temperature")
    if temperature is not None and not (_is_number(temperature) and 0 <= temperature <= 2):
        raise BadRun("temperature must be a number between 0 and 2")
    most = body.get("max_output_tokens")
    if most is not None and not (_is_number(most) and most >= 1):
        raise BadRun("max_output_tokens must be a positive number")
    previous = body.get("previous_response_id")
    if previous is not None and not isinstance(previous, str):
        raise BadRun("previous_response_id must be a string")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _add(messages: list[dict[str, Any]], item: Mapping[str, Any]) -> None:
    kind, given = item.get("type", "message"), item.get("role")
    if kind == "message" and isinstance(given, str) and given in _ROLES:
        role = _ROLES[given]
        given = item.get("content")
        content = text_of(given) if role == "system" else _parts(given)
        messages.append({"role": role, "content": content})
    elif kind == "function_call" and isinstance(item.get("call_id"), str):
        function = {
            "name": str(item.get("name", "")),
            "arguments": str(json_text(item.get("arguments"))),
        }
        call = {"id": item["call_id"], "type": "function", "function": function}
        # What the model said before its call is the same message.
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": ""})
        messages[-1].setdefault("tool_calls", []).append(call)
    elif kind == "function_call_output" and isinstance(item.get("call_id"), str):
        output = item.get("output")
        text = text_of(output) if isinstance(output, list) else str(json_text(output or ""))
        messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": text})


def _parts(content: Any) -> str | list[dict[str, Any]]:
    """The content as text, or as parts when it includes an image."""
    if not isinstance(content, list):
        return text_of(content)
    parts: list[dict[str, Any]] = []
    for part in content:
        if not isinstance(part, Mapping):
            continue
        kind = part.get("type")
        if kind == "input_image" and isinstance(part.get("image_url"), str):
            image = {"url": part["image_url"]}
            if part.get("detail") in ("auto", "low", "high"):
                image["detail"] = part["detail"]
            parts.append({"type": "image_url", "image_url": image})
        elif kind == "input_file":
            parts.append({"type": "text", "text": f"[File: {part.get('filename') or 'file'}]"})
        elif kind == "refusal" and isinstance(part.get("refusal"), str):
            parts.append({"type": "text", "text": part["refusal"]})
        elif text := text_of([part]):
            parts.append({"type": "text", "text": text})
    if any(part["type"] == "image_url" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)
