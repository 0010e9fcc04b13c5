"""Text of messages: editing one part, branching, counting (contract messages §3.2, §3.6, §5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_EDITABLE = ("text", "think")
_LABEL_FIELDS = (
    "reasoning_label",
    "reasoning_label_step_id",
    "reasoning_label_attempts",
    "reasoning_label_submitted_chars",
    "reasoning_label_revision",
    "reasoning_label_status",
)
_QUOTE_LENGTH = 1500
_QUOTES = 10

Count = Callable[[str], int]


class BadPart(ValueError):
    """A part cannot be edited; the text is the reason in the contract's words."""


@dataclass(frozen=True, slots=True)
class PartEdit:
    """The text of a part to replace: its path in the document, its current value, and the paths
    that the edit removes."""

    path: str
    old: str
    removed: tuple[str, ...]


def part_edit(content: Any, index: Any) -> PartEdit:
    """The place where the text of part ``index`` is stored; `BadPart` when it cannot be edited."""
    if isinstance(index, float) and index.is_integer():
        index = int(index)
    if not isinstance(index, int) or isinstance(index, bool) or not isinstance(content, list):
        raise BadPart("Invalid index")
    if not 0 <= index < len(content):
        raise BadPart("Invalid index")
    part = content[index]
    if not isinstance(part, dict):
        raise BadPart("Content part not found")
    kind = part.get("type")
    if kind not in _EDITABLE:
        raise BadPart("Cannot update non-text content")
    base = f"content.{index}"
    labels = _LABEL_FIELDS if kind == "think" else ()
    removed = tuple(f"{base}.{name}" for name in labels if name in part)
    text = part.get(kind)
    if isinstance(text, dict) and isinstance(text.get("value"), str):
        return PartEdit(f"{base}.{kind}.value", text["value"], removed)
    if isinstance(text, str):
        return PartEdit(f"{base}.{kind}", text, removed)
    raise BadPart("Cannot update non-text content")


def recount(old_count: Any, old: str, new: str, count: Count) -> int | None:
    """The token count of a message after an edit; ``None`` when it has none."""
    if not isinstance(old_count, int | float) or isinstance(old_count, bool) or not old_count:
        return None
    return max(0, int(old_count) - count(old)) + count(new)


def prompt_text(message: Mapping[str, Any], text: str) -> str:
    """The text of a user message as the model gets it: its quotes first, as block quotes."""
    quotes = message.get("quotes")
    if not message.get("isCreatedByUser") or not isinstance(quotes, list):
        return text
    kept = [quote.strip() for quote in quotes if isinstance(quote, str) and quote.strip()]
    blocks = [_block_quote(quote[:_QUOTE_LENGTH]) for quote in kept[:_QUOTES]]
    return "\n\n".join([*blocks, text] if text else blocks)


def parts_of_agent(content: Any, agent: str) -> Sequence[dict[str, Any]]:
    """The parts that ``agent`` produced, without attribution; `BadPart` when there are none."""
    if not isinstance(content, list):
        raise BadPart("Message does not have content")
    parts = [part for part in content if isinstance(part, dict)]
    if not any(part.get("agentId") for part in parts):
        raise BadPart("Message does not have parallel content with attributions")
    own = [
        {name: value for name, value in part.items() if name not in ("agentId", "groupId")}
        for part in parts
        if part.get("agentId") == agent
    ]
    if not own:
        raise BadPart("No content found for the specified agentId")
    return own


def _block_quote(quote: str) -> str:
    return "\n".join(f"> {line}" if line else ">" for line in quote.split("\n"))
