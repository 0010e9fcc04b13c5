"""A typed search as expressions of FTS5.

Nothing of the text is taken as an operator: an expression is made of quoted words, and a word
has only letters, digits and marks in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from locutory_search.words import runs

LONGEST = 1000
"""Characters of a search that are looked at."""

MAX_WORDS = 16
"""Runs of letters that are looked at."""

Run = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. ``runs``: the parts between spaces and punctuation, each as its words."""

    runs: tuple[Run, ...]

    def exact(self, prefix: str) -> str:
        """Every word as it is; the last one, which may not be complete yet, as a beginning,
        too. Where it is complete, it counts twice."""
        *before, last = self.runs
        whole = [_phrase(prefix, run) for run in before]
        final = _phrase(prefix, last)
        return " AND ".join([*whole, f"({final} OR {final} *)"])

    def beginnings(self, prefix: str) -> str:
        """Every word as a beginning."""
        return " AND ".join(f"{_phrase(prefix, run)} *" for run in self.runs)

    def some(self, prefix: str) -> str:
        """Some of the words; the more and the rarer, the better."""
        return " OR ".join(f"{_phrase(prefix, run)} *" for run in self.runs)

    def torn(self, prefix: str) -> Iterator[str]:
        """Runs in a script without spaces as characters that all occur, and pairs of them that
        are together at least once."""
        if any(len(run) > 2 for run in self.runs):
            yield " AND ".join(_scattered(prefix, run) for run in self.runs)

    def corrected(self, prefix: str, meant: Mapping[str, Sequence[str]]) -> str:
        """Every word as a beginning, or one of the words that were ``meant``."""
        return " AND ".join(
            "("
            + " OR ".join(
                [
                    f"{_phrase(prefix, run)} *",
                    *(
                        _phrase(prefix, (word,))
                        for word in (meant.get(run[0], ()) if len(run) == 1 else ())
                    ),
                ]
            )
            + ")"
            for run in self.runs
        )


def parse(text: str) -> Query:
    """The words of a search, each once."""
    return Query(tuple(dict.fromkeys(runs(text[:LONGEST])))[:MAX_WORDS])


def _phrase(prefix: str, run: Sequence[str]) -> str:
    return '"' + " ".join(prefix + word for word in run) + '"'


def _scattered(prefix: str, run: Run) -> str:
    if len(run) < 3:
        return f"{_phrase(prefix, run)} *"
    pairs = " OR ".join(_phrase(prefix, pair) for pair in pairwise(run))
    return " AND ".join([*(_phrase(prefix, (word,)) for word in run), f"({pairs})"])
