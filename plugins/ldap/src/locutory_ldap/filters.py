"""Filters that find a person (RFC 4515)."""

from collections.abc import Iterator

from locutory_ldap.config import NAME

_ESCAPED = str.maketrans({sign: f"\\{ord(sign):02x}" for sign in "\\*()\0"})


def search_filter(template: str, name: str) -> str:
    """The filter that finds a person. The typed name is data in it, never syntax."""
    text = template.strip().replace(NAME, name.translate(_ESCAPED))
    return text if text.startswith("(") else f"({text})"


def without_conditions(template: str) -> str | None:
    """Of a filter that joins conditions those that name the person, so that somebody who is
    left out by the others (membership of a group, mostly) is told from nobody. ``None`` when
    that is the whole filter."""
    text = template.strip()
    if not text.startswith("(&") or not text.endswith(")"):
        return None
    parts = list(_parts(text[2:-1]))
    kept = [part for part in parts if NAME in part]
    return f"(&{''.join(kept)})" if kept and len(kept) < len(parts) else None


def _parts(text: str) -> Iterator[str]:
    """The filters that are written in a row."""
    depth, start = 0, 0
    for at, sign in enumerate(text):
        if sign == "(":
            start = at if depth == 0 else start
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                yield text[start : at + 1]
