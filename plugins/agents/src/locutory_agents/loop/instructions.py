"""The system prompt: instructions with date variables, and the additions of other plugins."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from structlog.stdlib import BoundLogger

from locutory import Services, iso
from locutory_contracts.chat import CONTEXT_SOURCES, Turn

CONTEXT_SECONDS = 5.0
CONTEXT_CHARACTERS = 100_000
"""The maximum characters of one source; the rest is cut."""

_VARIABLE = re.compile(
    r"\{\{\s*(current_date|current_datetime|iso_datetime|current_user)\s*\}\}", re.IGNORECASE
)


def zone_of(name: Any) -> tzinfo:
    """The time zone of an IANA name; UTC for anything else."""
    if not isinstance(name, str) or not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def local_time(body: Mapping[str, Any]) -> datetime:
    """The user's local time: by their time zone, else by their clock, else UTC."""
    name = body.get("timezone")
    zone = zone_of(name)
    if zone is UTC and not name:
        stamp = body.get("clientTimestamp")
        if isinstance(stamp, str):
            try:
                return datetime.fromisoformat(stamp)
            except ValueError:
                pass
    return datetime.now(zone)


def with_variables(text: str, body: Mapping[str, Any], account: Mapping[str, Any]) -> str:
    """Instructions with their variables filled in (endpoints §7)."""
    if "{{" not in text:
        return text
    moment = local_time(body)
    offset = f"{moment:%z}"
    offset = f" {offset[:3]}:{offset[3:5]}" if offset else ""
    values = {
        "current_date": f"{moment:%Y-%m-%d (%A)}",
        "current_datetime": f"{moment:%Y-%m-%d %H:%M:%S}{offset} ({moment:%A})",
        "iso_datetime": iso(datetime.now(UTC)),
        "current_user": str(account.get("name") or account.get("username") or ""),
    }
    return _VARIABLE.sub(lambda match: values[match[1].lower()], text)


async def added_context(services: Services, turn: Turn, log: BoundLogger) -> str:
    """The text of all context sources, joined by blank lines; sources that are slow or raise are
    left out, and longer texts are cut."""
    if not services.all(CONTEXT_SOURCES):
        return ""
    gathered = await services.gather(
        CONTEXT_SOURCES, lambda source: source.context(turn), timeout=CONTEXT_SECONDS
    )
    for name, error in gathered.failures.items():
        log.warning("chat.context_left_out", source=name, reason=type(error).__name__)
    found = []
    for name, text in gathered.results.items():
        if text and len(text) > CONTEXT_CHARACTERS:
            log.warning("chat.context_cut", source=name, characters=len(text))
            text = text[:CONTEXT_CHARACTERS]
        if text:
            found.append(text)
    return "\n\n".join(found)
