"""``messageFilter.pii``: text with secrets is refused before it reaches a model (config-yaml
§7)."""

from collections.abc import Iterable, Mapping
from typing import Any

from structlog.stdlib import BoundLogger

from locutory import JSON
from locutory_agents.config import MessageFilter

BLOCKED = "message_filter_pii_block"
MISCONFIGURED = "Message filtering is misconfigured; contact your administrator."

_BLANK = r"\s\pZ\x{FEFF}"
_STARTERS = {
    "sk_prefix": ("sk- prefix token", r"\bsk-[\w-]+"),
    "bearer_header": ("Bearer token", rf"(?i)\bbearer [^{_BLANK}\"']+"),
    "api_key_header": ("api-key header", rf"(?i)\bapi-key:?[{_BLANK}]+[^{_BLANK}\"']+"),
}


class PiiFilter:
    """Compiled patterns. RE2 needs time linear in the text, whatever the pattern. A pattern
    of the operator that does not compile blocks everything: half a filter is no filter."""

    def __init__(self, section: Any, log: BoundLogger) -> None:
        self._patterns: list[tuple[str, Any]] = []
        self._broken = False
        config = MessageFilter.model_validate(section).pii if section else None
        if config is None:
            return
        # Only a server that filters carries the expression library.
        import re2  # type: ignore[import-untyped]

        chosen = list(_STARTERS) if config.starter is None else config.starter
        for name in chosen:
            if name in _STARTERS:
                label, pattern = _STARTERS[name]
                self._patterns.append((label, re2.compile(pattern)))
        for custom in config.custom:
            try:
                self._patterns.append((custom.label, re2.compile(custom.regex)))
            except re2.error as error:
                self._broken = True
                log.error("chat.filter_broken", pattern=custom.id, reason=str(error)[:200])

    def refusal(self, texts: Iterable[str]) -> JSON | None:
        """The answer to text that must not pass; ``None`` when it may."""
        given = [text for text in texts if text]
        if not given:
            return None
        if self._broken:
            return JSON({"error": BLOCKED, "message": MISCONFIGURED}, 400)
        for text in given:
            for label, pattern in self._patterns:
                if pattern.search(text):
                    message = f"Message contains a {label}. Remove it and try again."
                    return JSON({"error": BLOCKED, "message": message}, 400)
        return None


def texts_of(body: Mapping[str, Any], quotes: Iterable[str] = (), merged: str = "") -> list[str]:
    """The texts of a user in any chat route: text, quotes and both together, answers, and comments
    on tool calls."""
    found = [body[key] for key in ("text", "answer") if isinstance(body.get(key), str)]
    found.extend(quotes)
    if merged and merged not in found:
        found.append(merged)
    answers = body.get("answers")
    if isinstance(answers, Mapping):
        found.extend(value for value in answers.values() if isinstance(value, str))
    decisions = body.get("decisions")
    if isinstance(decisions, list):
        for decision in decisions:
            if isinstance(decision, Mapping):
                found.extend(_leaves({key: decision.get(key) for key in _DECISION}))
    return [text for text in found if text]


_DECISION = ("responseText", "reason", "editedArguments")


def _leaves(value: Any, depth: int = 0) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif depth < 20:
        children = value.values() if isinstance(value, Mapping) else value
        if isinstance(value, Mapping | list):
            for child in children:
                yield from _leaves(child, depth + 1)
