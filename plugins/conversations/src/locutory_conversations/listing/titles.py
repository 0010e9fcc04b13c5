"""Windows of titles: where a page of a list by title may end."""

from collections.abc import Iterator

LONGEST_PREFIX = 24
_LAST = "\U0010ffff"
_STEPS = (1, 4, 16, 64)


def title_edges(start: str, *, descending: bool, prefix: int) -> Iterator[tuple[str, int]]:
    """Ends of windows that begin with the title ``start``, narrow ones first, each with the
    length of the beginning that all titles in it share (0: none; at most ``prefix``).

    They are guesses at where a page ends: titles that begin alike, then characters nearby.
    """
    for size in range(min(len(start), prefix), 0, -1):
        yield start[:size] if descending else start[:size] + _LAST, size
    for step in _STEPS if start else ():
        point = ord(start[0]) + (-step if descending else step)
        if 0 < point < 0xD800 or 0xDFFF < point < 0x110000:  # no half of a pair
            yield chr(point), 0
