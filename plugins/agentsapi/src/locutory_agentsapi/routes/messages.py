"""The messages of a chat completion request as models take them (contract agents-api §4)."""

from collections.abc import Mapping
from typing import Any

from locutory import encode
from locutory_agentsapi.routes.running import BadRun

ROLES = ("system", "user", "assistant", "tool")
_NEWER = {"developer": "system"}
"""Roles by other names; OpenAI's programs call the system prompt of newer models so."""
MOST_MESSAGES = 10_000
DEEPEST = 64
_TEXT_PARTS = ("text", "input_text", "output_text")


def checked(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of a request, reduced to what models accept; `BadRun` for wrong ones."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise BadRun("messages array is required")
    if not messages:
        raise BadRun("messages array cannot be empty")
    if len(messages) > MOST_MESSAGES:
        raise BadRun(f"messages array cannot have more than {MOST_MESSAGES} items")
    for name in ("conversation_id", "parent_message_id"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise BadRun(f"{name} must be a string")
    if _depth(messages) > DEEPEST:
        raise BadRun(f"messages are nested deeper than {DEEPEST} levels")
    return [_message(item, number) for number, item in enumerate(messages)]


def _message(item: Any, number: int) -> dict[str, Any]:
    if not isinstance(item, Mapping) or not item.get("role"):
        raise BadRun(f"messages[{number}].role is required")
    role = item["role"]
    role = _NEWER.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        raise BadRun(f"messages[{number}].role must be one of: {', '.join(ROLES)}")
    content = item.get("content")
    if content is not None and not isinstance(content, str | list):
        raise BadRun(f"messages[{number}].content must be a string or an array of parts")
    if role == "system":
        content = text_of(content)
    elif isinstance(content, list):
        content = [
            _part(part, f"messages[{number}].content[{n}]") for n, part in enumerate(content)
        ]
        if role == "assistant" and all(part["type"] in _TEXT_PARTS for part in content):
            content = text_of(content)  # many models take nothing else
    message: dict[str, Any] = {"role": role, "content": "" if content is None else content}
    for name in ("name", "tool_call_id"):
        if isinstance(item.get(name), str):
            message[name] = item[name]
    calls = _calls(item.get("tool_calls"))
    if calls:
        message["tool_calls"] = calls
    return message


def _part(part: Any, where: str) -> Mapping[str, Any]:
    """A part of a message. Of kinds that only providers know, they are the judges."""
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise BadRun(f"{where} must be an object with a type")
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise BadRun(f"{where}.text must be a string")
    if part["type"] == "image_url":
        image = part.get("image_url")
        # Some programs leave out the object around the address.
        image = {"url": image} if isinstance(image, str) else image
        if not isinstance(image, Mapping) or not isinstance(image.get("url"), str):
            raise BadRun(f"{where}.image_url.url must be a string")
        return {**part, "image_url": image}
    return part


def _calls(value: Any) -> list[dict[str, Any]]:
    """Tool calls of an assistant's message; malformed ones are left out."""
    found = []
    for call in value if isinstance(value, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(call.get("id"), str):
            continue
        name, arguments = function.get("name"), json_text(function.get("arguments"))
        if isinstance(name, str) and isinstance(arguments, str):
            inner = {"name": name, "arguments": arguments}
            found.append({"id": call["id"], "type": "function", "function": inner})
    return found


def _depth(value: Any) -> int:
    """The nesting depth of lists and objects, computed without recursion; the search stops above
    `DEEPEST`."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        item, level = waiting.pop()
        deepest = max(deepest, level)
        if level > DEEPEST:
            return level
        if isinstance(item, Mapping):
            waiting += [(inner, level + 1) for inner in item.values()]
        elif isinstance(item, list):
            waiting += [(inner, level + 1) for inner in item]
    return deepest


def json_text(value: Any) -> Any:
    """JSON text of arguments that some programs send as an object, or leave out; other values
    unchanged."""
    return encode(value or {}).decode() if value is None or isinstance(value, Mapping) else value


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        part["text"]
        for part in parts
        if isinstance(part, Mapping)
        and part.get("type") in _TEXT_PARTS
        and isinstance(part.get("text"), str)
    )
