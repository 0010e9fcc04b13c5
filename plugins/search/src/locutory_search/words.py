"""Text as words: what the built-in index stores, and what it is asked for.

Letters are compared without case, accents and vowel points (NFKD, case folding). A word is a
run of letters, digits and marks. Chinese, Japanese, Thai, Lao, Khmer and Burmese put no space
between words: there every character, with its marks, is a word of its own, and a run of them
is found as a phrase, so any part of a sentence can be found.
"""

import re
import unicodedata

import regex

LONGEST_WORD = 40
"""Characters; the rest of longer ones (hashes, encoded data) is not looked at."""

_PLAIN = re.compile(r"[a-z0-9]+")
_DROPPED = regex.compile(
    r"[\u0300-\u036F\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF\uFE20-\uFE2F"  # accents
    r"\u0591-\u05BD\u05BF\u05C1-\u05C2\u05C4-\u05C5\u05C7"  # Hebrew points
    r"\u0610-\u061A\u0640\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E8\u06EA-\u06ED"  # Arabic
    r"\u00AD\u034F\u200B-\u200F\u2060\uFE00-\uFE0F\uFEFF]+"  # invisible
)
_DENSE = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\u3005\u3007\u303B\u30FC"  # marks that repeat or lengthen
)
_RUN = regex.compile(r"[\p{L}\p{N}\p{M}]+")
_WORD = regex.compile(rf"(?V1)[{_DENSE}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[{_DENSE}]]+")


def plain(text: str) -> str:
    """Text without case, accents and invisible characters."""
    if text.isascii():
        return text.lower()
    bare = _DROPPED.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFKC", bare)


def words(text: str) -> list[str]:
    """Every word of a text, in order."""
    bare = plain(text)
    found = _PLAIN.findall(bare) if bare.isascii() else _WORD.findall(bare)
    if len(bare) <= LONGEST_WORD:
        return found
    return [word[:LONGEST_WORD] for word in found]


def runs(text: str) -> list[tuple[str, ...]]:
    """The runs of a text that nothing separates, each as its words: one word, or in a script
    without spaces several."""
    return [tuple(words(run)) for run in _RUN.findall(plain(text))]
