"""Calls of tools and their results in a history that a program sends: none without the other.

Providers refuse a call without a result and a result without a call, and some refuse an id
that occurs twice. Programs cannot always do better: they cut histories at any place, and of
calls that the server ran they may know one half only.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from locutory_agents.loop.history import Message, tool_call, tool_result


def paired(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages with every call followed by its result. A result belongs to the nearest call of
    its id before it, and only the first one counts. Calls and results without a partner are left
    out, and so is an assistant's message with nothing else."""
    results = _results(messages)
    seen: dict[str, int] = {}
    found: list[Message] = []
    for number, message in enumerate(messages):
        role = message.get("role")
        if role == "tool":
            continue
        kept = {name: value for name, value in message.items() if name != "tool_calls"}
        answered = [
            (call, results[number, call["id"]])
            for call in _calls(message)
            if (number, call["id"]) in results
        ]
        if answered:
            names = [_unique(call["id"], seen) for call, _ in answered]
            kept["tool_calls"] = [
                tool_call(name, call["function"]["name"], call["function"]["arguments"])
                for name, (call, _) in zip(names, answered, strict=True)
            ]
            found.append(kept)
            found += [
                tool_result(name, result) for name, (_, result) in zip(names, answered, strict=True)
            ]
        elif role != "assistant" or _says(kept.get("content")):
            found.append(kept)
    return found


def _results(messages: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], Any]:
    """Content of the results by the number of the calling message and the id of the call."""
    caller: dict[str, int] = {}
    found: dict[tuple[int, str], Any] = {}
    for number, message in enumerate(messages):
        if message.get("role") == "tool":
            call_id = message.get("tool_call_id")
            if isinstance(call_id, str) and call_id in caller:
                found.setdefault((caller[call_id], call_id), _text(message.get("content")))
        else:
            caller.update((call["id"], number) for call in _calls(message))
    return found


def _calls(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The calls of a message; of several with one id the first."""
    if message.get("role") != "assistant":
        return
    met: set[str] = set()
    for call in message.get("tool_calls") or ():
        if call["id"] and call["id"] not in met:
            met.add(call["id"])
            yield call


def _unique(call_id: str, seen: dict[str, int]) -> str:
    """The id, or where it was used before one that was not."""
    name = call_id
    while name in seen:
        seen[call_id] += 1
        name = f"{call_id}_{seen[call_id]}"
    seen[name] = 1
    return name


def _text(content: Any) -> Any:
    """A result as text; as it is where it holds more than text."""
    if content is None:
        return ""
    if isinstance(content, list) and all(part.get("type") == "text" for part in content):
        return "\n".join(str(part.get("text") or "") for part in content)
    return content


def _says(content: Any) -> bool:
    """``True`` when an assistant's content is not empty. Parts without text do not count."""
    if isinstance(content, str):
        return bool(content.strip())
    return any(part.get("type") != "text" or part.get("text") for part in content or ())
