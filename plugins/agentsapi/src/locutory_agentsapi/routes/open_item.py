"""A text or reasoning item of a response while it grows, and its events."""

from typing import Any, Literal

Event = tuple[str, dict[str, Any]]
"""Type of an event, and its members but for ``type`` and ``sequence_number``."""

Kind = Literal["output", "text", "summary", "librechat"]
"""The answer itself; reasoning as text, as a summary, or as text with LibreChat's names."""

_EVENTS: dict[Kind, str] = {
    "output": "response.output_text",
    "text": "response.reasoning_text",
    "summary": "response.reasoning_summary_text",
    "librechat": "response.reasoning",
}


def text_part(text: str) -> dict[str, Any]:
    """The content of a message item."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class OpenItem:
    """One item, already among the output."""

    def __init__(self, item: dict[str, Any], index: int, kind: Kind) -> None:
        self._item = item
        self._index = index
        self._kind: Kind = kind
        self._pieces: list[str] = []
        number = "summary_index" if kind == "summary" else "content_index"
        self._place = {"item_id": item["id"], "output_index": index, number: 0}
        self._logprobs: dict[str, Any] = {"logprobs": []} if self.is_text else {}

    @property
    def is_text(self) -> bool:
        """``True`` for the answer, ``False`` for reasoning."""
        return self._kind == "output"

    @property
    def _part_event(self) -> str:
        summary = self._kind == "summary"
        return "response.reasoning_summary_part" if summary else "response.content_part"

    def _part(self, text: str) -> dict[str, Any]:
        if self.is_text:
            return text_part(text)
        kind = "summary_text" if self._kind == "summary" else "reasoning_text"
        return {"type": kind, "text": text}

    def begin(self) -> Event:
        """The event for a new, empty part of the item."""
        return f"{self._part_event}.added", {**self._place, "part": self._part("")}

    def grow(self, piece: str) -> Event:
        """More of its text."""
        self._pieces.append(piece)
        data = {**self._place, "delta": piece, **self._logprobs}
        return f"{_EVENTS[self._kind]}.delta", data

    def end(self, status: str) -> list[Event]:
        """Finish the item with its text and its status, complete or cut; return the events."""
        text = "".join(self._pieces)
        part = self._part(text)
        self._item["summary" if self._kind == "summary" else "content"] = [part]
        self._item["status"] = status
        done = {**self._place, "text": text, **self._logprobs}
        return [
            (f"{_EVENTS[self._kind]}.done", done),
            (f"{self._part_event}.done", {**self._place, "part": part}),
            ("response.output_item.done", {"output_index": self._index, "item": {**self._item}}),
        ]
