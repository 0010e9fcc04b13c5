"""YAML as js-yaml 4 reads it: scalars of YAML 1.2, every key a string.

Content that that library refuses is refused here, with its position: repeated keys, several
documents, tabs, more than a hundred levels. Values are built from the parser's events, since the
libraries that build them accept repeated keys, and do not limit nesting.
"""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import yaml
from yaml.reader import Reader

from locutory_configfile.faults import Fault, Path, Unreadable, dotted

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_DEEPEST = 100
_MOST_VALUES = 100_000
_WORDS = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True)
_WORDS |= dict.fromkeys(("false", "False", "FALSE"), False)
_WHOLE = re.compile(r"[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+)")
_BASES = {"b": 2, "o": 8, "x": 16}
_DECIMAL = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?"
    r"(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?",
    re.ASCII,
)

Places = dict[Path, tuple[int, int]]
"""Line and column, from 1, of every key and list item."""


def plain_value(text: str) -> Any:
    """The value of a scalar without quotes. ``ValueError`` for a date that does not exist."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        digits = text.lstrip("+-")
        base = _BASES.get(digits[1:2], 10)
        if base != 10 or len(digits) < 309:  # longer ones are no number of JavaScript
            return int(digits[2:] if base != 10 else digits, base) * (-1 if text[0] == "-" else 1)
    elif _DECIMAL.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
    elif _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    elif _DATE.fullmatch(text):
        node = yaml.ScalarNode(f"{_TAG}timestamp", text)
        found = yaml.SafeLoader("").construct_yaml_timestamp(node)
        if not isinstance(found, datetime):
            return datetime(found.year, found.month, found.day, tzinfo=UTC)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return text


def _key(value: Any) -> str | None:
    """A key as JavaScript writes it; ``None`` for anything but a string, number, boolean or
    null."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int | float) else None


class _Builder:
    """Builds values from the events of one file; ``faults`` are the errors after which reading can
    continue."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, _Loader))
        self._anchors: dict[str | None, tuple[Any, int]] = {}
        self._open: set[str | None] = set()
        self._count = 0
        self.faults: list[Fault] = []
        self.places: Places = {}

    def build(self) -> Any:
        """The document; ``None`` when there is none. Raises `Unreadable`."""
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), ())
        next(self._events)  # the end of the document
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            self._stop(after, "a second document begins here", "keep one, without '---' between")
        return value

    def _fault(self, event: Any, text: str, fix: str = "") -> None:
        mark = event.start_mark
        self.faults.append(Fault(text, fix, mark.line + 1, mark.column + 1))

    def _stop(self, event: Any, text: str, fix: str = "") -> NoReturn:
        self._fault(event, text, fix)
        raise Unreadable(self.faults)

    def _value(self, event: Any, path: Path) -> Any:
        before, anchor = self._count, getattr(event, "anchor", None)
        self._count += 1
        if isinstance(event, yaml.AliasEvent):
            value, size = self._anchors.get(anchor, (None, 0))
            if anchor in self._open:
                self._stop(event, f"'*{anchor}' stands inside of what it refers to")
            if anchor not in self._anchors:
                self._stop(event, f"'*{anchor}' refers to nothing", "put text with '*' into quotes")
            self._count += size
        elif len(path) > _DEEPEST:
            self._stop(event, f"nested more than {_DEEPEST} levels deep")
        else:
            self._open.add(anchor)
            value = self._own(event, path)
            self._open.discard(anchor)
            self._anchors[anchor] = (value, self._count - before)
        if self._count > _MOST_VALUES:
            self._stop(event, f"more than {_MOST_VALUES} values, counting what aliases repeat")
        return value

    def _own(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in (None, "!", f"{_TAG}{'seq' if is_list else 'map'}"):
            self._unknown_tag(event)
        return self._list(path) if is_list else self._mapping(path)

    def _unknown_tag(self, event: Any) -> None:
        tag = event.tag.replace(_TAG, "!!")
        self._fault(event, f"the tag {tag} is not known here", "put text with '!' into quotes")

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if not event.implicit[0]:
            if event.implicit[1] or event.tag in ("!", f"{_TAG}str"):
                return text
            if event.tag.removeprefix(_TAG) not in ("int", "float", "bool", "null", "timestamp"):
                self._unknown_tag(event)
        try:
            return plain_value(text)
        except ValueError:
            self._fault(event, f"'{text}' is no date", "put it into quotes")
            return text

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._placed(event, here := (*path, len(items)))
            items.append(self._value(event, here))
        return items

    def _placed(self, event: Any, path: Path) -> None:
        self.places.setdefault(path, (event.start_mark.line + 1, event.start_mark.column + 1))

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: set[str] = set()
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
                self._merge(found, merged, next(self._events), path)
                continue
            key = _key(self._value(event, (*path, "?")))
            if key is None:
                self._fault(event, "this key is no text", "put text with '{' or '[' into quotes")
                key = ""
            here = (*path, key)
            if key in found and key not in merged:
                line = self.places[here][0]
                self._fault(
                    event,
                    f"{dotted(here)} is there twice, first in line {line}",
                    "keep one of them; each item of a list begins with '-'",
                )
            merged.discard(key)
            self._placed(event, here)
            found[key] = self._value(next(self._events), here)
        return found

    def _merge(self, found: dict[str, Any], merged: set[str], event: Any, path: Path) -> None:
        value = self._value(event, (*path, "<<"))
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                self._fault(event, "'<<' takes a mapping, or a list of mappings")
                continue
            self._count += len(source)
            merged.update(source.keys() - found.keys())
            found.update({key: source[key] for key in source.keys() - found.keys()})


def read_yaml(text: str) -> tuple[Any, Places]:
    """The value of a YAML file (``None`` when it is empty), and the positions of its keys and
    items. Raises `Unreadable` with all errors."""
    builder = _Builder(text)
    if wrong := Reader.NON_PRINTABLE.search(text):
        start = wrong.start()
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        shown = f"the character U+{ord(wrong.group()):04X} cannot stand here"
        raise Unreadable([Fault(shown, line=line, column=column)])
    try:
        value = builder.build()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        said = ", ".join(part for part in (error.context, error.problem) if part)
        fix = "correct the syntax of YAML there"
        builder.faults.append(Fault(said, fix, line, column))
    if builder.faults:
        raise Unreadable(builder.faults)
    return value, builder.places
