"""Reasoning that a model writes into its answer between tags.

Models such as DeepSeek R1 and Qwen 3 behind a server that does not know them stream
``<think>…</think>`` as text. The tags may be cut anywhere, and stand in code where a model
writes about them: there they are text.
"""

import re

from locutory_contracts.models import ReasoningDelta, ReasoningEnded, TextDelta

Segment = TextDelta | ReasoningDelta | ReasoningEnded

_TOKEN = re.compile(r"`+|~+|\n|<(/?)\s*(think|thinking|thought)\s*>", re.IGNORECASE)
_CLOSING = re.compile(r"</\s*(think|thinking|thought)\s*>", re.IGNORECASE)
_UNFINISHED = re.compile(r"<(/?)\s*([a-z]{0,8})\s*$", re.IGNORECASE)
_NAMES = ("think", "thinking", "thought")
_LONGEST_TAG = 24
_LONGEST_BLANK = 1000
_MARGIN = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?[ \t>]*")
_LONGEST_MARGIN = 64


class _Code:
    """Detects that the current place in a text is inside of a code block or inline code
    (Markdown)."""

    def __init__(self) -> None:
        self._line = ""
        self._fence = ""
        self._fence_here = False
        self._span = 0
        self._run = ""
        self._run_starts_line = False

    @property
    def known(self) -> bool:
        """``True`` when further ordinary characters of this line cannot change the state."""
        return not self._run and len(self._line) >= _LONGEST_MARGIN

    def text(self, text: str) -> None:
        """Ordinary characters, none of them a backtick, a tilde or an end of line."""
        if text:
            self._end_run()
            if len(self._line) < _LONGEST_MARGIN:
                self._line += text[:_LONGEST_MARGIN]

    def line(self) -> None:
        self._end_run()
        self._line, self._span, self._fence_here = "", 0, False

    def marks(self, run: str) -> None:
        """Backticks or tildes; a run may come in pieces."""
        if self._run and self._run[0] != run[0]:
            self._end_run()
        if not self._run:
            self._run_starts_line = _MARGIN.fullmatch(self._line) is not None
        self._run = (self._run + run)[:_LONGEST_MARGIN]

    def _end_run(self) -> None:
        run, self._run = self._run, ""
        if not run:
            return
        if len(self._line) < _LONGEST_MARGIN:
            self._line += run
        if self._fence:
            if run[0] != self._fence[0] or len(run) < len(self._fence):
                return
            if self._run_starts_line or (self._fence_here and run[0] == "`"):
                self._fence = ""
        elif len(run) >= 3 and self._run_starts_line:
            self._fence, self._fence_here = run, True
        elif run[0] == "`":
            if self._span == 0:
                self._span = len(run)
            elif self._span == len(run):
                self._span = 0

    @property
    def inside(self) -> bool:
        self._end_run()
        return bool(self._fence or self._span)


class ThinkTags:
    """Takes the text of one answer and tells reasoning and answer apart.

    ``<think>`` counts anywhere outside code, the other names where the answer begins with
    them or has reasoned before. A closing tag without an opening one says that all before it
    was reasoning (the template of some models opens it unseen).
    """

    def __init__(self) -> None:
        self._name = ""
        self._held = ""
        self._blank = ""
        self._skip = False
        self._begun = False
        self._tagged = False
        self._code = _Code()

    def feed(self, text: str) -> list[Segment]:
        """The segments of the next piece."""
        if (
            self._begun
            and not self._name
            and not self._held
            and not self._skip
            and "<" not in text
            and "`" not in text
            and "~" not in text
        ):
            self._follow(text)
            return [TextDelta(text)]
        text = self._held + text
        self._held = ""
        if (at := text.rfind("<", -_LONGEST_TAG)) >= 0 and _may_be_tag(text[at:]):
            text, self._held = text[:at], text[at:]
        return self._read(text)

    def flush(self) -> list[Segment]:
        """The text that was held back, since something else comes now."""
        held, self._held = self._held, ""
        return self._emit(held) if held else []

    def _follow(self, text: str) -> None:
        """Keep track of lines in text that has no marks."""
        if "\n" in text:
            head, _, text = text.rpartition("\n")
            self._code.text(head)
            self._code.line()
        if not self._code.known:
            self._code.text(text)

    def _read(self, text: str) -> list[Segment]:
        found: list[Segment] = []
        at = 0
        while at < len(text):
            if self._name:
                at = self._read_reasoning(text, at, found)
            else:
                at = self._read_answer(text, at, found)
        return found

    def _read_reasoning(self, text: str, at: int, found: list[Segment]) -> int:
        for match in _CLOSING.finditer(text, at):
            if match[1].lower() == self._name:
                found += self._emit(text[at : match.start()])
                self._leave()
                return match.end()
        found += self._emit(text[at:])
        return len(text)

    def _read_answer(self, text: str, at: int, found: list[Segment]) -> int:
        done = start = at
        has_text = False  # anything but blanks since the start
        for match in _TOKEN.finditer(text, at):
            between = text[done : match.start()]
            self._code.text(between)
            has_text = has_text or bool(between.strip())
            done = match.end()
            token = match[0]
            if token == "\n":
                self._code.line()
                continue
            if token[0] != "<":
                self._code.marks(token)
            elif self._code.inside:
                self._code.text(token)
            else:
                closing, name = match[1] == "/", match[2].lower()
                if self._counts(closing, name, has_text):
                    self._take(closing, name, text[start : match.start()], has_text, found)
                    return done
                self._code.text(token)
            has_text = True
        self._code.text(text[done:])
        found += self._emit(text[start:])
        return len(text)

    def _counts(self, closing: bool, name: str, has_text: bool) -> bool:
        """``True`` when a tag outside of code is not mere text. ``has_text``: there is text between
        the last tag that counted and this one."""
        begun = self._begun or has_text
        if not closing:
            return name == "think" or not begun or self._tagged
        if name != "think" and begun:
            return False
        return not (begun and self._tagged) or (self._skip and not has_text)

    def _take(
        self, closing: bool, name: str, before: str, has_text: bool, found: list[Segment]
    ) -> None:
        """Take a tag that counts, after the text before it."""
        begun = self._begun or has_text
        found += self._emit(before)
        if not closing:
            self._blank = ""
            self._name, self._tagged, self._skip = name, True, True
            return
        if begun and not self._tagged:
            found.append(ReasoningEnded())
        self._leave()
        self._tagged = True

    def _leave(self) -> None:
        """The reasoning is over; blanks around its end belong to nobody."""
        self._name, self._blank, self._skip = "", "", True
        self._code = _Code()

    def _emit(self, text: str) -> list[Segment]:
        """Text where it stands. Blanks at its edges wait until something follows: around tags
        they are dropped."""
        if self._skip:
            text = text.lstrip()
            if not text:
                return []
            self._skip = False
        if self._name:
            text = self._blank + text
            kept = text.rstrip()
            self._blank = text[len(kept) :]
            if len(self._blank) > _LONGEST_BLANK:
                kept, self._blank = text, ""
            return [ReasoningDelta(kept)] if kept else []
        if not self._begun:
            text = self._blank + text
            if not text.strip() and len(text) <= _LONGEST_BLANK:
                self._blank = text
                return []
            self._blank, self._begun = "", True
        return [TextDelta(text)] if text else []


def _may_be_tag(text: str) -> bool:
    """``True`` for text that may be the beginning of a tag."""
    match = _UNFINISHED.fullmatch(text)
    if match is None:
        return False
    word = match[2].lower()
    if not text.endswith(match[2]):
        return word in _NAMES
    return any(name.startswith(word) for name in _NAMES)
