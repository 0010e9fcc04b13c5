"""Filters of a call, which are copied at once and, where they are long, compiled in a thread."""

from typing import Any

import bson
from bson.codec_options import CodecOptions

from locutory_sqlite.filters import Filter, compile_filter

_LONG = 16 * 1024
"""Bytes that take about a millisecond, which is what the event loop has to spare."""


class LateFilter:
    """A filter as the server would get it: dates in milliseconds, tuples as arrays.

    ``long``: it is to be called, which compiles it, in a thread.
    """

    def __init__(self, query: Any, codec: "CodecOptions[dict[str, Any]]") -> None:
        self._codec = codec
        self._encoded = bson.encode(query, codec_options=codec) if query else b""
        self._compiled: Filter | None = None
        self.long = len(self._encoded) > _LONG

    def __call__(self) -> Filter:
        """The compiled filter. ``OperationFailure`` names the part that is malformed or not
        supported."""
        if self._compiled is None:
            query = bson.decode(self._encoded, self._codec) if self._encoded else {}
            self._compiled = compile_filter(query)
        return self._compiled
