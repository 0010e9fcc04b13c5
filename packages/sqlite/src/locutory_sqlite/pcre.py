"""Expressions of PCRE in the words of the ``regex`` package (its version 1)."""

from typing import NoReturn

_WORD = "A-Za-z0-9_"
_SPACE = r" \t\n\r\f\x0b"
_HORIZONTAL = r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"
_VERTICAL = r"\n\x0b\f\r\x85\u2028\u2029"
_SETS = {"d": "0-9", "w": _WORD, "s": _SPACE, "h": _HORIZONTAL, "v": _VERTICAL}
_POSIX = {
    "alpha": "A-Za-z", "digit": "0-9", "alnum": "A-Za-z0-9", "upper": "A-Z", "lower": "a-z",
    "space": _SPACE, "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9A-Fa-f", "word": _WORD,
    "cntrl": r"\x00-\x1f\x7f", "graph": "!-~", "print": r"\x20-~", "ascii": r"\x00-\x7f",
}  # fmt: skip
_CONTROLS = {"e": 0x1B, "a": 0x07, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09}
_ONE_WORD = f"(?-i:[{_WORD}])"
_BOUNDARY = f"(?:(?<={_ONE_WORD})(?!{_ONE_WORD})|(?<!{_ONE_WORD})(?={_ONE_WORD}))"
_INSIDE = f"(?:(?<={_ONE_WORD})(?={_ONE_WORD})|(?<!{_ONE_WORD})(?!{_ONE_WORD}))"
_ASSERTIONS = {
    "b": _BOUNDARY, "B": _INSIDE, "A": r"\A", "z": r"\Z", "Z": r"(?=\n?\Z)", "R": r"\R", "K": r"\K",
    "X": r"\X", "G": r"\G", "N": r"[^\n]", "E": "",
}  # fmt: skip
_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")
_OCTAL = frozenset("01234567")


class Unreadable(Exception):
    """Not an expression of PCRE, or one with something that cannot be translated."""


def translated(text: str, *, extended: bool, lines: bool) -> str:
    """The expression; `Unreadable`. ``extended``, ``lines``: the options ``x`` and ``m``."""
    return "(?-f)" + _Translation(text, extended=extended, lines=lines).whole()


def _character(code: int) -> str:
    if code > 0x10FFFF:
        raise Unreadable("character code point value is too large")
    return f"\\U{code:08x}"


class _Translation:
    def __init__(self, text: str, *, extended: bool, lines: bool) -> None:
        self._text = text
        self._at = 0
        self._extended = extended
        self._lines = lines

    def _left(self) -> bool:
        return self._at < len(self._text)

    def _take(self, count: int = 1) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _next_is(self, prefix: str) -> bool:
        return self._text.startswith(prefix, self._at)

    def _until(self, end: str, what: str) -> str:
        stop = self._text.find(end, self._at)
        if stop < 0:
            self._fail(f"missing {end} after {what}")
        return self._take(stop - self._at + len(end))[: -len(end)]

    def _run(self, letters: frozenset[str], most: int) -> str:
        begin = self._at
        while self._left() and self._at - begin < most and self._text[self._at] in letters:
            self._at += 1
        return self._text[begin : self._at]

    def _fail(self, reason: str) -> NoReturn:
        raise Unreadable(f"{reason} at position {self._at}")

    def whole(self) -> str:
        parts: list[str] = []
        while self._left():
            letter = self._take()
            if letter == "\\":
                parts.append(self._escape())
            elif letter == "[":
                parts.append(self._set())
            elif letter == "(":
                parts.append(self._group())
            elif letter == "{":
                parts.append(self._brace())
            elif letter == "}":
                parts.append(r"\}")
            elif letter == "^" and self._lines:
                parts.append(r"(?:\A|^(?!\Z))")  # not behind the last newline
            elif self._extended and letter in " \t\n\r\f\v":
                continue
            elif self._extended and letter == "#":
                stop = self._text.find("\n", self._at)
                self._at = len(self._text) if stop < 0 else stop + 1
            else:
                parts.append(letter)
        return "".join(parts)

    def _brace(self) -> str:
        """A quantifier; anything else in braces is text (there, a fuzzy match)."""
        begin = self._at
        least = self._run(_DIGITS, 6)
        if least:
            more = self._take() if self._next_is(",") else ""
            most = self._run(_DIGITS, 6) if more else ""
            if self._next_is("}"):
                self._at += 1
                if int(least) > 65535 or int(most or 0) > 65535:
                    self._fail("number too big in {} quantifier")
                return f"{{{least}{more}{most}}}"
        self._at = begin
        return r"\{"

    def _group(self) -> str:
        if self._next_is("*"):
            self._fail("verbs are not supported")
        if not self._next_is("?"):
            return "("
        self._at += 1
        for plain in (":", "=", "!", ">", "|", "<=", "<!", "(", "R)", "&", "P="):
            if self._next_is(plain):
                if plain == "(":  # the condition of an alternative
                    return "(?"
                return "(?" + self._take(len(plain))
        if self._next_is("#"):
            self._until(")", "(?#")
            return ""
        if self._next_is("P>"):
            self._at += 2
            return "(?&"
        for opening, closing in (("P<", ">"), ("<", ">"), ("'", "'")):
            if self._next_is(opening):
                self._at += len(opening)
                return f"(?P<{self._name(closing)}>"
        number = self._run(_DIGITS, 4)
        if number:
            return f"(?{number}"
        flags = self._run(frozenset("imsxnJUX^-"), 20)
        if not flags or set(flags) - set("ims-") or not (self._next_is(")") or self._next_is(":")):
            self._fail(f"(?{flags or self._text[self._at : self._at + 1]} is not supported")
        return (
            f"(?{flags}{self._take()}" if flags.strip("-") else "(?:" if self._take() == ":" else ""
        )

    def _name(self, closing: str) -> str:
        name = self._until(closing, "group name")
        if not name.isidentifier():
            self._fail("group name must be a word")
        return name

    def _escape(self) -> str:
        letter = self._take()
        if not letter:
            self._fail("\\ at end of pattern")
        if letter == "Q":
            stop = self._text.find("\\E", self._at)
            text = self._take((stop if stop >= 0 else len(self._text)) - self._at)
            self._at += 2 if stop >= 0 else 0
            return "".join(_character(ord(one)) for one in text)
        if letter in _ASSERTIONS:
            return _ASSERTIONS[letter]
        if letter.lower() in _SETS:
            return f"(?-i:[{'^' if letter.isupper() else ''}{_SETS[letter.lower()]}])"
        if letter in "pP":
            return f"\\{letter}{self._property()}"
        if letter in "123456789":
            return f"(?:\\{letter}{self._run(_DIGITS, 2)})"
        if letter in "kg":
            return self._reference()
        return _character(self._code(letter))

    def _property(self) -> str:
        name = self._until("}", "\\p")[1:] if self._next_is("{") else self._take()
        if not name or not name.replace("_", "").replace("^", "").isalnum():
            self._fail("malformed \\p")
        return f"{{{name}}}"

    def _reference(self) -> str:
        closing = {"{": "}", "<": ">", "'": "'"}.get(self._text[self._at : self._at + 1])
        if closing is None:
            name = self._run(_DIGITS, 3)
        else:
            self._at += 1
            name = self._until(closing, "reference")
        if not name.isalnum() and not name.isidentifier():
            self._fail("this kind of reference is not supported")
        return f"(?:\\g<{name}>)"

    def _code(self, letter: str) -> int:
        """Of the character that an escape stands for."""
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter == "x":
            if self._next_is("{"):
                digits = self._until("}", "\\x")[1:]
                if not digits or set(digits) - _HEX:
                    self._fail("non-hex character in \\x{}")
                return int(digits, 16)
            return int(self._run(_HEX, 2) or "0", 16)
        if letter == "o" and self._next_is("{"):
            digits = self._until("}", "\\o")[1:]
            if not digits or set(digits) - _OCTAL:
                self._fail("non-octal character in \\o{}")
            return int(digits, 8)
        if letter in _OCTAL:
            return int(letter + self._run(_OCTAL, 2), 8)
        if letter == "c" and self._left() and self._text[self._at].isascii():
            return ord(self._take().upper()) ^ 0x40
        if letter.isascii() and letter.isalnum():
            self._fail(f"unrecognized character follows \\: {letter}")
        return ord(letter)

    def _set(self) -> str:
        """A class in brackets: characters as numbers, since ``--`` and ``[`` mean more there."""
        parts = ["[^" if self._next_is("^") else "["]
        self._at += self._next_is("^")
        first, before = True, -1  # the character that a range may begin with
        while True:
            if not self._left():
                self._fail("missing terminating ] for character class")
            letter = self._take()
            if letter == "]" and not first:
                break
            first = False
            if letter == "-" and before >= 0 and self._left() and not self._next_is("]"):
                item = self._item(self._take())
                if isinstance(item, int):
                    if item < before:
                        self._fail("range out of order in character class")
                    parts[-1] = f"{_character(before)}-{_character(item)}"
                else:
                    parts += [_character(ord("-")), item]
                before = -1
                continue
            item = self._item(letter)
            before = item if isinstance(item, int) else -1
            parts.append(_character(item) if isinstance(item, int) else item)
        return "".join(parts) + "]"

    def _item(self, letter: str) -> int | str:
        """A character of a class by its number, or the inside of a set."""
        if letter == "[" and self._text[self._at : self._at + 1] in (":", ".", "="):
            return self._posix()
        if letter != "\\":
            return ord(letter)
        letter = self._take()
        if letter in _SETS:
            return _SETS[letter]
        if letter.lower() in _SETS:
            return f"[^{_SETS[letter.lower()]}]"
        if letter in ("p", "P"):
            return f"\\{letter}{self._property()}"
        if letter == "b":
            return 0x08
        if letter == "Q" or not letter:
            self._fail("\\Q in a character class is not supported")
        return self._code(letter)

    def _posix(self) -> int | str:
        stop = self._text.find(":]", self._at)
        name = self._text[self._at + 1 : stop] if stop > 0 else ""
        negated = name.startswith("^")
        inside = _POSIX.get(name.removeprefix("^"))
        if inside is None:
            if name.isalpha():
                self._fail(f"unknown POSIX class name {name}")
            return ord("[")
        self._at = stop + 2
        return f"[^{inside}]" if negated else inside
