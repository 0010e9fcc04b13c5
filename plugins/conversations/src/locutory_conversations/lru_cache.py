"""A bounded cache of recently used values in this process."""

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRUCache(Generic[K, V]):
    """At most ``capacity`` values; the least recently used one is dropped first. With ``seconds``,
    a value is dropped that long after it was stored."""

    def __init__(self, capacity: int, seconds: float | None = None) -> None:
        self._values: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._capacity = capacity
        self._seconds = seconds

    def get(self, key: K) -> V | None:
        """The value, or ``None``."""
        found = self._values.get(key)
        if found is None:
            return None
        if self._seconds is not None and found[1] + self._seconds < time.monotonic():
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V) -> None:
        """Remember a value."""
        self._values[key] = (value, time.monotonic())
        self._values.move_to_end(key)
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)

    def pop(self, key: K) -> V | None:
        """Forget a value and return it."""
        found = self._values.pop(key, None)
        return None if found is None else found[0]
