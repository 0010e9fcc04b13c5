"""Responses that programs may continue although they did not ask to store them."""

import sys
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from locutory import Cache

_NAMESPACE = "agents_api_responses"


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response and its input. ``previous``: the response or conversation that it follows;
    ``input``: messages in the form of models; ``stored``: it is in the database too."""

    conversation_id: str
    previous: str | None
    input: list[dict[str, Any]]
    response: dict[str, Any]
    stored: bool

    @property
    def text(self) -> str:
        """All text of the answer."""
        messages = (item for item in self.response["output"] if item["type"] == "message")
        return "".join(part["text"] for item in messages for part in item["content"])


class ResponseCache:
    """Responses in the cache of the server, by user and response.

    Args:
        seconds: for how long after the last use; 0 caches nothing.
        max_bytes: of JSON text that this process keeps there; the oldest go first.
    """

    def __init__(self, cache: Cache, seconds: float, max_bytes: int) -> None:
        self._cache = cache
        self.seconds = seconds
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._size = 0

    async def save(self, user: str, turn: CachedResponse) -> None:
        """Cache a response."""
        if self.seconds > 0:
            await self._keep(_key(user, turn.response["id"]), orjson.dumps(asdict(turn)).decode())

    async def find(self, user: str, response_id: str) -> CachedResponse | None:
        """The turn of a response of the user, which is kept longer for it."""
        key = _key(user, response_id)
        text = await self._cache.get(_NAMESPACE, key)
        if not isinstance(text, str):
            return None
        await self._keep(key, text)
        return CachedResponse(**orjson.loads(text))

    async def forget(self, user: str) -> None:
        """Delete the cached responses of a user in this process; those of others expire."""
        for key in [key for key in self._kept if key.startswith(_key(user, ""))]:
            self._take_off(key)
            await self._cache.delete(_NAMESPACE, key)

    async def _keep(self, key: str, text: str) -> None:
        size = sys.getsizeof(text)
        if size > self._max_bytes:
            return
        for other in self._make_room(key, size):
            await self._cache.delete(_NAMESPACE, other)
        await self._cache.set(_NAMESPACE, key, text, self.seconds)

    def _make_room(self, key: str, size: int) -> list[str]:
        """Note an entry; the ones that go for it. All live equally long, so the first ones
        end first."""
        moment, gone = time.monotonic(), []
        self._take_off(key)
        while self._kept:
            first, (_, end) = next(iter(self._kept.items()))
            if end > moment and self._size + size <= self._max_bytes:
                break
            self._take_off(first)
            gone.append(first)
        self._kept[key] = (size, moment + self.seconds)
        self._size += size
        return gone

    def _take_off(self, key: str) -> None:
        self._size -= self._kept.pop(key, (0, 0.0))[0]


def _key(user: str, response_id: str) -> str:
    return f"{user}:{response_id}"
