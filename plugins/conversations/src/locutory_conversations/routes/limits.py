"""Rate limits of copies, imports and exports (contract convos §6)."""

from collections.abc import Callable, Mapping
from typing import Any

from locutory import Limit, Request, by_ip, by_user
from locutory_conversations.config import ConversationsConfig

VIOLATION = "file_upload_limit"


def fork_limits(config: ConversationsConfig) -> tuple[Limit, ...]:
    """The limits of forks and duplicates together."""
    text, score = "Too many requests. Try again later", config.fork_violation_score
    return (
        _limit("fork_ip_limiter", config.fork_ip_max, config.fork_ip_window, text, score),
        _limit(
            "fork_user_limiter", config.fork_user_max, config.fork_user_window, text, score, by_user
        ),
    )


def import_limits(config: ConversationsConfig, yaml: Any) -> tuple[Limit, ...]:
    """The limits of imports. ``yaml``: the section ``rateLimits``, which takes precedence over the
    environment."""
    section = yaml.get("conversationsImport") if isinstance(yaml, Mapping) else None
    section = section if isinstance(section, Mapping) else {}

    def chosen(name: str, default: float) -> float:
        value = section.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return value
        return default

    text = "Too many conversation import requests. Try again later"
    score = config.import_violation_score
    return (
        _limit(
            "import_ip_limiter",
            chosen("ipMax", config.import_ip_max),
            chosen("ipWindowInMinutes", config.import_ip_window),
            text,
            score,
        ),
        _limit(
            "import_user_limiter",
            chosen("userMax", config.import_user_max),
            chosen("userWindowInMinutes", config.import_user_window),
            text,
            score,
            by_user,
        ),
    )


def export_limits(config: ConversationsConfig) -> tuple[Limit, ...]:
    """The limits of exports, each of which reads all data of a user."""
    text = "Too many exports. Try again later"
    return (_limit("export_user_limiter", config.export_user_max, 60, text, 0, by_user),)


def _limit(
    name: str,
    amount: float,
    minutes: float,
    text: str,
    score: float,
    key: Callable[[Request], str | None] = by_ip,
) -> Limit:
    return Limit(
        name,
        max(1, int(amount)),
        max(1, round(minutes * 60)),
        {"message": text},
        key,
        VIOLATION,
        score,
    )
