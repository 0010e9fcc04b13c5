"""Finding an artifact in a message and replacing a piece of it (contract messages §3.5).

Every step is linear in the text: messages may be megabytes of hostile markup.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_OPENING = ":::artifact"
_MARKER = re.compile(r"\s*+(?=:::)(?!:::artifact)")
_FENCE = re.compile(r"\s*+(`{3,}+|~{3,}+)")
_TEXT = re.compile(r"\S")
_BLANK_LINES_BEFORE_END = re.compile(r"(?<!\n)\n++(?=(?:`{3,}+|~{3,}+)(?=\s*\n)\s*+:::)")
_ESCAPED_DOLLAR = re.compile(r"\\\\?\$")
_FORMULA = re.compile(r"\$\$\\\\(ce|pu)\{")


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact inside ``text``, which is part ``part`` of the content, or the message's
    own text (``None``). ``body`` is the offset after the opening line (``None`` when the
    text ends there), ``close`` that of the closing marker or the end of the text."""

    part: int | None
    text: str
    body: int | None
    close: int

    def editable(self) -> tuple[int, int] | None:
        """Offsets of the editable part: the inside of a code fence around the whole body, else the
        body."""
        if self.body is None:
            return None
        first = _TEXT.search(self.text, self.body, self.close)
        fence = None if first is None else _FENCE.match(self.text, first.start())
        if first is None or fence is None:
            return self.body, self.close
        inside = _after_line(self.text, first.start())
        for start, stop in _lines(self.text, inside, self.close):
            if _closes(_bare_fence(self.text[start:stop]), fence[1]):
                if self.text[stop : self.close].strip():
                    return self.body, self.close
                return inside, max(inside, start - 1)
        return inside, max(inside, self.close)

    def replace(self, original: str, updated: str) -> str | None:
        """The whole text with the first ``original`` replaced; ``None`` if it is not there."""
        span = self.editable()
        if span is None:
            return None
        start, stop = span
        wanted = original[:-1] if original.endswith("\n") else original
        if not wanted and self.text[start:stop].strip():
            return None
        at = self.text.find(wanted, start, stop)
        if at < 0:
            return None
        rest = self.text[at + len(wanted) :]
        separator = "" if rest.startswith("\n") or updated.endswith("\n") else "\n"
        return _BLANK_LINES_BEFORE_END.sub("\n", self.text[:at] + updated + separator + rest)


def artifacts_of(message: Mapping[str, Any]) -> list[Artifact]:
    """The artifacts in the text parts of the content, else those in the text."""
    content, text = message.get("content"), message.get("text")
    found: list[Artifact] = []
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict) and part.get("type") == "text":
            found += _in_text(part.get("text"), index)
    return found or list(_in_text(text, None))


def without_display_escapes(text: str) -> str:
    """Undo the client's display escapes of dollars and chemical formulas."""
    pieces = _ESCAPED_DOLLAR.sub("$", text).split("}")
    done: list[str] = []
    for index, piece in enumerate(pieces):
        closed = bool(done) and done[-1].endswith("}$")
        bare = piece[2:] if closed else piece
        followed = index + 1 < len(pieces) and pieces[index + 1].startswith("$$")
        formula = _FORMULA.search(bare) if followed else None
        if formula is not None:
            bare = f"{bare[: formula.start()]}$\\{formula[1]}{{{bare[formula.end() :]}}}$"
        elif index + 1 < len(pieces):
            bare += "}"
        done.append(bare)
    return "".join(done)


def _in_text(text: Any, part: int | None) -> Iterator[Artifact]:
    if not isinstance(text, str):
        return
    start = text.find(_OPENING)
    if start < 0:
        return
    scan = _Scan(text, start)
    while start >= 0:
        marker = scan.marker(start)
        newline = text.find("\n", start)
        close = len(text) if marker is None else marker
        yield Artifact(part, text, None if newline < 0 else newline + 1, close)
        start = -1 if marker is None else text.find(_OPENING, marker + 3)


class _Scan:
    """The lines of a text with their markers and fences, walked once."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._lines = list(_lines(text, start, len(text)))
        self._next = 0
        # The longest bare fence of either kind from a line on: does an open one ever end?
        longest = {"`": 0, "~": 0}
        self._longest: list[tuple[int, int]] = [(0, 0)] * (len(self._lines) + 1)
        for index in range(len(self._lines) - 1, -1, -1):
            begin, end = self._lines[index]
            bare = _bare_fence(text[begin:end])
            if bare:
                longest[bare[0]] = max(longest[bare[0]], len(bare))
            self._longest[index] = (longest["`"], longest["~"])

    def marker(self, start: int) -> int | None:
        """Offset of the ``:::`` that closes the artifact at ``start``: the first outside of
        code fences, or the first inside a fence that never ends. Call in ascending order."""
        fence = ""
        endless = False
        while self._next < len(self._lines) and self._lines[self._next][0] <= start:
            self._next += 1
        while self._next < len(self._lines):
            begin, end = self._lines[self._next]
            line = self._text[begin:end]
            found = _MARKER.match(line)
            if found is not None and (not fence or endless):
                return begin + found.end()
            self._next += 1
            if not fence:
                opened = _FENCE.match(line)
                if opened is not None:
                    fence = opened[1]
                    after = self._longest[self._next][0 if fence[0] == "`" else 1]
                    endless = after < len(fence)
            elif _closes(_bare_fence(line), fence):
                fence = ""
        return None


def _bare_fence(line: str) -> str:
    """The fence that a line consists of, else nothing."""
    bare = line.strip()
    if len(bare) >= 3 and bare[0] in "`~" and not bare.strip(bare[0]):
        return bare
    return ""


def _closes(bare: str, fence: str) -> bool:
    return len(bare) >= len(fence) and bare[0] == fence[0]


def _after_line(text: str, at: int) -> int:
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _lines(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """(start, end without line break) of the lines that begin before ``stop``; the first
    begins at ``start``."""
    while start < stop:
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1
