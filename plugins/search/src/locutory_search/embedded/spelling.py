"""Words that somebody may have meant: those of their own history that differ by a slip or
two (a letter too many, too few, wrong, or two exchanged)."""

# ruff: noqa: S608  (table names come from a list of two)

import time
from collections.abc import Iterator, Mapping, Sequence

from locutory_search.embedded.file import Connection
from locutory_search.embedded.queries import Query
from locutory_search.entries import Kind

SECONDS = 0.15
"""Maximum seconds for the whole search for similar words; it then continues with those found."""

MAX_TERMS = 20_000
"""Words with one beginning that are compared."""

MAX_SUGGESTIONS = 8
"""Words that are tried for one."""

_SHORTEST, _LONG = 4, 8


def similar(
    connection: Connection, kind: Kind, prefix: str, query: Query
) -> Mapping[str, Sequence[str]]:
    """Word → the words that it may be a misspelling of, the most similar first, then the most
    frequent."""
    until = time.monotonic() + SECONDS
    suggestions: dict[str, Sequence[str]] = {}
    letters: Sequence[str] | None = None
    for run in query.runs:
        word = run[0]
        max_edits = _max_edits(word)
        if len(run) > 1 or not max_edits or time.monotonic() > until:
            continue
        is_last = run is query.runs[-1]
        # Mostly the first letter is right. If it is not, the two after it are.
        known = _terms(connection, kind, prefix, word[0])
        found = _nearest(word, known, max_edits, is_last)
        if not found:
            if letters is None:
                letters = list(_first_letters(connection, kind, prefix))
            starts = {word[1:3], word[1] + word[0]}
            starts.update(letter + rest for letter in letters for rest in (word[1:3], word[:2]))
            known = {}
            for start in sorted(starts):
                if time.monotonic() < until:
                    known.update(_terms(connection, kind, prefix, start))
            found = _nearest(word, known, max_edits, is_last)
        if found:
            suggestions[word] = found
    return suggestions


def _max_edits(word: str) -> int:
    """The edit distance that a word may have."""
    if len(word) < _SHORTEST or word.isdigit():
        return 0
    return 1 if len(word) < _LONG else 2


def _terms(connection: Connection, kind: Kind, prefix: str, start: str) -> dict[str, int]:
    """The words of a user with a prefix → the number of documents that contain them."""
    first = prefix + start
    rows = connection.execute(
        f"SELECT term, doc FROM {kind}_terms WHERE term >= ? AND term < ? LIMIT ?",
        (first, first[:-1] + chr(ord(first[-1]) + 1), MAX_TERMS),
    )
    return {term[len(prefix) :]: documents for term, documents in rows}


def _first_letters(connection: Connection, kind: Kind, prefix: str) -> Iterator[str]:
    """The letters that words of a user begin with, at most a hundred."""
    start = prefix
    for _ in range(100):
        found = connection.execute(
            f"SELECT term FROM {kind}_terms WHERE term >= ? AND term < ? LIMIT 1",
            (start, prefix[:-1] + ";"),
        ).fetchone()
        if found is None:
            return
        letter = found[0][len(prefix)]
        yield letter
        start = prefix + chr(ord(letter) + 1)


def _nearest(word: str, known: Mapping[str, int], max_edits: int, is_last: bool) -> list[str]:
    from rapidfuzz import process  # 3 MB, needed for slips only
    from rapidfuzz.distance import OSA

    shortest, longest = len(word) - max_edits, len(word) + max_edits
    shapes = {term: term for term in known if shortest <= len(term) <= longest}
    if is_last:  # it may not be complete: compare it with beginnings, too
        longer = [term for term in known if len(term) > longest]
        for length in (len(word), longest):
            shapes.update((f"{term} {length}", term[:length]) for term in longer)
    distances: dict[str, float] = {}
    for _, distance, key in process.extract(
        word, shapes, scorer=OSA.distance, score_cutoff=max_edits, limit=10 * MAX_SUGGESTIONS
    ):
        term = key.partition(" ")[0]
        distances[term] = min(distance, distances.get(term, distance))
    ranked = sorted(distances, key=lambda term: (distances[term], -known[term], term))
    return ranked[:MAX_SUGGESTIONS]
