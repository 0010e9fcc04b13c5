"""Model parameters of an agent (contract agents §5, endpoints §6)."""

import math
from typing import Any

NUMERIC = frozenset(
    {
        *("temperature", "top_p", "topP", "top_k", "topK"),
        *("frequency_penalty", "frequencyPenalty", "presence_penalty", "presencePenalty"),
        *("max_tokens", "maxTokens", "max_output_tokens", "maxOutputTokens"),
        *("max_context_tokens", "maxContextTokens", "fileTokenLimit"),
        *("thinking_budget", "thinkingBudget"),
    }
)
"""Parameters that are numbers; forms sometimes send them as text."""

MOST = 100
_DEEPEST = 6
_LARGEST = 64 * 1024
_EXACT = 2**53


def clean_parameters(given: dict[str, Any]) -> dict[str, Any]:
    """The parameters to store: numbers as numbers, without empty values. ``ValueError`` when there
    are too many, or when they are not plain JSON of a sensible size."""
    if len(given) > MOST:
        raise ValueError(f"Object must contain at most {MOST} key(s)")
    if _weigh(given, 0) > _LARGEST:
        raise ValueError("The model parameters are too large")
    kept: dict[str, Any] = {}
    for name, value in given.items():
        shown = as_number(value) if name in NUMERIC else value
        if shown is not None and shown != "":
            kept[name] = shown
    return kept


def as_number(value: Any) -> int | float | None:
    """A finite number, also from text; ``None`` for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text or len(text) > 40 or "_" in text:
            return None
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                return None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if abs(value) <= _EXACT else float(value)


def _weigh(value: Any, depth: int) -> int:
    """Roughly the length of a value as JSON."""
    if depth > _DEEPEST:
        raise ValueError("The model parameters are nested too deeply")
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, dict):
        return sum(len(key) + 4 + _weigh(inner, depth + 1) for key, inner in value.items()) + 2
    if isinstance(value, list):
        return sum(1 + _weigh(inner, depth + 1) for inner in value) + 2
    if isinstance(value, int) and abs(value) > _EXACT:
        raise ValueError("Number is too large")
    return 20
