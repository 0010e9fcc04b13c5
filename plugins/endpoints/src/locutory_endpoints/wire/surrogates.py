"""Characters beyond the basic plane that a server has cut into their two UTF-16 halves.

Servers that stream tokens of bytes or of UTF-16 text put the halves into two deltas; a half
alone is no character, and cannot be stored or sent.
"""

from collections.abc import Hashable


class Joiner:
    """Joins halves within each stream of text of one answer. ``ragged``: the texts at hand may
    hold halves; others are not looked at. ``halves`` are those that wait for their other."""

    def __init__(self) -> None:
        self.halves: dict[Hashable, str] = {}
        self.ragged = False

    def join(self, stream: Hashable, text: str) -> str:
        """The text with whole characters; a first half at its end is kept for the next."""
        if not self.ragged and not self.halves:
            return text
        text = self.halves.pop(stream, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self.halves[stream] = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def left(self, stream: Hashable) -> str:
        """The replacement of a half whose other half has not arrived; "" when there is none."""
        return "\ufffd" if self.halves.pop(stream, "") else ""
