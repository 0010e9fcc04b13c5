"""Files of variables such as ``.env``, as LibreChat's library (dotenv for Node) reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_IGNORED = re.compile(r"[^\S\n]*(?:#.*)?(?:\n|\Z)")
_QUOTED = "|".join(rf"\s*{mark}(?:\\{mark}|[^{mark}])*{mark}" for mark in "'\"`")
_ENTRY = re.compile(
    rf"[^\S\n]*(?:export\s+)?(?P<name>[\w.-]+)(?:\s*=\s*?|:\s+?)(?P<value>{_QUOTED}|[^#\n]+)?"
    r"\s*(?:#.*)?$",
    re.ASCII | re.MULTILINE,
)
_WRAPPED = re.compile(r"^(['\"`])([\s\S]*)\1$", re.MULTILINE)
_WORD = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?(\w*)")


@dataclass(slots=True)
class EnvFile:
    """The content of a file of variables. ``values`` by name; for a repeated name the last value.
    ``doubled``: the lines of a repeated name whose values differ. ``lost``: number and first word
    of lines that assign nothing."""

    values: dict[str, str] = field(default_factory=dict)
    doubled: dict[str, list[int]] = field(default_factory=dict)
    lost: list[tuple[int, str]] = field(default_factory=list)


def read_env(text: str) -> EnvFile:
    """The variables in the text of a file. ``${NAME}`` is not replaced, since passwords may look
    like it."""
    found = EnvFile()
    lines: dict[str, list[int]] = {}
    for line, name, value in _entries(re.sub(r"\r\n?", "\n", text)):
        if value is None:
            found.lost.append((line, name))
            continue
        lines.setdefault(name, []).append(line)
        if found.values.get(name, value) != value:
            found.doubled[name] = lines[name]
        found.values[name] = value
    return found


def _entries(text: str) -> Iterator[tuple[int, str, str | None]]:
    position = 0
    line = 1
    while position < len(text):
        entry = None
        end = _IGNORED.match(text, position)
        if end is None:
            entry = _ENTRY.match(text, position)
            if entry is None:
                word = _WORD.match(text, position)
                yield line, word[1] if word else "", None
                stop = text.find("\n", position) + 1 or len(text)
            else:
                yield line, entry["name"], _value((entry["value"] or "").strip())
                stop = entry.end() + 1
        else:
            stop = end.end()
        line += text.count("\n", position, stop)
        position = stop


def _value(text: str) -> str:
    value = _WRAPPED.sub(r"\2", text)
    return value.replace("\\n", "\n").replace("\\r", "\r") if text.startswith('"') else value
