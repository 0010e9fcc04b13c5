"""Token counts as providers spell them."""

from typing import Any

from locutory_contracts.models import Usage

_MOST = 10**9
"""Maximum tokens of one call; a larger number is not accepted as a count."""


def _count(*values: Any) -> int:
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST:
            return int(value)
    return 0


def read_usage(usage: Any) -> Usage | None:
    """Token counts in the spellings that providers use; ``None`` when there are none."""
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    prompt = _count(usage.get("prompt_tokens"), usage.get("input_tokens"))
    completion = _count(usage.get("completion_tokens"), usage.get("output_tokens"))
    total = _count(usage.get("total_tokens")) or min(prompt + completion, _MOST)
    if not total:
        return None
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        total_tokens=total,
        cache_read=_count(details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens")),
        cache_creation=_count(
            details.get("cache_write_tokens"),
            details.get("cache_creation_tokens"),
            usage.get("cache_creation_input_tokens"),
        ),
    )
