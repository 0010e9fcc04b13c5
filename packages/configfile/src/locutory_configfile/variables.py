"""Warnings about environment variables with values or names that are probably mistakes."""

import difflib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from pydantic import BaseModel

from locutory_configfile.faults import nearest
from locutory_configfile.fields import Environment, allowed_words, env_name, is_flag

_OWN = "LOCUTORY_"
_OF_PROCESSES = frozenset({"LOCUTORY_SAFE", "LOCUTORY_DATABASE_URI", "LOCUTORY_SUPERVISOR"})
"""Variables that a master process passes to its workers."""
_SIMILAR = 0.88


def doubtful(models: Iterable[type[BaseModel]], environment: Environment) -> Iterator[str]:
    """Yield sentences about switches that are neither true nor false, such as ``ALLOW_X=1``, and
    about texts without effect."""
    for model in models:
        for field in model.model_fields.values():
            name = env_name(field) or ""
            text = environment.get(name, "").strip()
            words = allowed_words(field)
            if not text:
                continue
            if is_flag(field) and text.lower() not in ("true", "false"):
                yield f"{name}={text[:30]} is neither true nor false: it counts as false"
            elif words and text not in words:
                yield f"{name}={text[:30]} has no effect: it must be {' or '.join(words)}"


def misspelt(known: set[str], environment: Environment, used: str) -> Iterator[str]:
    """Yield sentences about unknown variables whose name is close to one of ``known``, or begins
    with ``LOCUTORY_``. ``used`` is text in which ``${NAME}`` makes a name known."""
    named = set(re.findall(r"\$\{(\w+)\}", used))
    for name in sorted(set(environment) - known - named - _OF_PROCESSES):
        if name.startswith(_OWN) and not name.startswith(f"{_OWN}TEST_"):
            hint = nearest(name, [each for each in known if each.startswith(_OWN)])
            yield f"nobody reads {name}" + (f", {hint}" if hint else "")
            continue
        letters = set(name)
        near = [
            each
            for each in known
            if abs(len(each) - len(name)) <= 2 and len(letters ^ set(each)) <= 3
        ]
        # A name with something behind it is another one of the same kind: MONGO_URI_2.
        close = difflib.get_close_matches(name, near, 1, _SIMILAR)
        if close and not re.match(rf"{close[0]}[_\d]", name):
            yield f"nobody reads {name}, did you mean '{close[0]}'?"


def http_address(text: str) -> bool:
    """``True`` for a complete ``http://`` or ``https://`` address."""
    try:
        parts = urlsplit(text.strip())
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
