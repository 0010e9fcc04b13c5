"""Words that a user adds to a running turn (chat-stream §9).

They wait in a queue until the next tool boundary. An armed one does not wait: the model
call that runs is cut off, and the next one has the words.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from locutory import Cache
from locutory_agents.ids import milliseconds, uuid
from locutory_agents.job import Job

MAX_QUEUED = 10
MAX_RECEIPTS = 100

QUEUED = "queued"
APPLIED = "applied"
CANCELLED = "cancelled"
LEFT_OVER = "leftover"

PENDING_NAMESPACE = "agents:parked-steers"
PENDING_SECONDS = 600.0


@dataclass(slots=True)
class Steer:
    """One addition. ``revision`` counts the armings of the turn."""

    text: str
    client_id: str | None
    files: Sequence[Mapping[str, Any]]
    preempt: bool
    id: str = field(default_factory=uuid)
    created_at: int = field(default_factory=milliseconds)
    state: str = QUEUED
    position: int = 0
    revision: int | None = None

    def fingerprint(self) -> str:
        """A digest that is equal for a repetition of the same request."""
        content = orjson.dumps([self.text, [dict(file) for file in self.files], self.preempt])
        return hashlib.sha256(content).hexdigest()

    def pending(self) -> dict[str, Any]:
        """The form in which it goes back to the client when no model saw it."""
        found: dict[str, Any] = {"steerId": self.id}
        if self.client_id is not None:
            found["clientSteerId"] = self.client_id
        found |= {"text": self.text, "createdAt": self.created_at}
        if self.files:
            found["files"] = [dict(file) for file in self.files]
        if self.preempt:
            found["preempt"] = True
        return found

    def part(self) -> dict[str, Any]:
        """The content part of an applied one."""
        found: dict[str, Any] = {"type": "steer", "steer": self.text, "steerId": self.id}
        if self.client_id is not None:
            found["clientSteerId"] = self.client_id
        found["createdAt"] = self.created_at
        if self.files:
            found["files"] = [dict(file) for file in self.files]
        return found


Answer = tuple[int, dict[str, Any]]
"""HTTP status and body."""


class SteerQueue:
    """The steers of one turn, from which its run takes them (`locutory_agents.loop.run.Steers`)."""

    def __init__(self) -> None:
        self._queue: list[Steer] = []
        self._receipts: dict[str, tuple[str, Steer]] = {}
        self._known: dict[str, Steer] = {}
        self._revision = 0
        self._closed = False
        self._interrupt: Callable[[], None] | None = None

    def on_armed(self, interrupt: Callable[[], None]) -> None:
        """Set the function that is called when a steer is armed: it cancels the running model call,
        if any."""
        self._interrupt = interrupt

    def add(self, steer: Steer) -> Answer:
        """Queue a steer. Return the response to its sender; a repetition gets the receipt of the
        first one."""
        if steer.client_id is not None and steer.client_id in self._receipts:
            fingerprint, known = self._receipts[steer.client_id]
            if fingerprint != steer.fingerprint():
                return 409, {"code": "STEER_IDEMPOTENCY_CONFLICT"}
            return 202, self._receipt(known, replayed=True)
        if self._closed:
            return 404, {"code": "NO_ACTIVE_RUN"}
        if len(self._queue) >= MAX_QUEUED:
            return 429, {"code": "STEER_QUEUE_FULL"}
        if steer.client_id is not None and len(self._receipts) >= MAX_RECEIPTS:
            return 429, {"code": "STEER_RECEIPT_LIMIT"}
        fingerprint = steer.fingerprint()
        self._queue.append(steer)
        self._known[steer.id] = steer
        steer.position = len(self._queue)
        if steer.client_id is not None:
            self._receipts[steer.client_id] = (fingerprint, steer)
        if steer.preempt:
            self._arm(steer)
        return 202, self._receipt(steer)

    @staticmethod
    def _receipt(steer: Steer, *, replayed: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {
            "status": "queued",
            "steerId": steer.id,
            "position": steer.position,
            "preempt": steer.preempt,
        }
        if steer.revision is not None:
            found["preemptRevision"] = steer.revision
        if replayed:
            found |= {
                "settled": steer.state != QUEUED,
                "leftover": steer.state == LEFT_OVER,
                "replayed": True,
            }
        return found

    def _arm(self, steer: Steer) -> None:
        self._revision += 1
        steer.preempt = True
        steer.revision = self._revision
        if self._interrupt is not None:
            self._interrupt()

    def cancel(self, steer_id: str, client_id: str | None) -> dict[str, Any]:
        """Take a steer back. Returns the body of the answer: ``removed`` is false when it is
        too late."""
        steer = self._known.get(steer_id)
        if steer is None and client_id is not None and client_id in self._receipts:
            steer = self._receipts[client_id][1]
        if steer is None:
            return {"removed": False}
        if steer.state == CANCELLED:
            return {"removed": True, "replayed": True}
        if steer.state != QUEUED or self._closed:
            return {"removed": False}
        self._queue.remove(steer)
        steer.state = CANCELLED
        return {"removed": True}

    def arm(self, steer_id: str) -> dict[str, Any]:
        """Apply a steer without waiting for a tool boundary. Return the body of the response."""
        steer = self._known.get(steer_id)
        if steer is None or steer.state != QUEUED or self._closed:
            return {"armed": False}
        self._arm(steer)
        return {"armed": True, "preemptRevision": steer.revision}

    @property
    def armed(self) -> bool:
        """True when there is one that should not wait."""
        return any(steer.preempt for steer in self._queue)

    def take(self) -> list[Steer]:
        """All that are queued; they count as applied."""
        taken, self._queue = self._queue, []
        for steer in taken:
            steer.state = APPLIED
        return taken

    def close(self) -> list[dict[str, Any]]:
        """End the queue with the turn; return the steers that no model has seen."""
        self._closed = True
        left, self._queue = self._queue, []
        for steer in left:
            steer.state = LEFT_OVER
        return [steer.pending() for steer in left]


class PendingSteers:
    """Steers that no model saw, kept for a client that missed the end of its turn."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    @staticmethod
    def _key(user: str, stream_id: str) -> str:
        return f"{user}:{stream_id}"

    async def save(self, job: Job, pending: Sequence[Mapping[str, Any]]) -> None:
        """Save the result of `SteerQueue.close`."""
        value = {"steers": [dict(steer) for steer in pending], "protocol": job.protocol}
        key = self._key(job.user, job.stream_id)
        await self._cache.set(PENDING_NAMESPACE, key, value, PENDING_SECONDS)

    async def get(self, user: str, stream_id: str, version: int) -> list[dict[str, Any]]:
        """The steers of a conversation; a reader of version 1 removes them."""
        key = self._key(user, stream_id)
        value = await (
            self._cache.pop(PENDING_NAMESPACE, key)
            if version < 2
            else self._cache.get(PENDING_NAMESPACE, key)
        )
        return list(value["steers"]) if isinstance(value, Mapping) else []

    async def discard(self, user: str, stream_id: str, steer_id: str) -> None:
        """Drop a steer, which became a turn of its own."""
        key = self._key(user, stream_id)
        value = await self._cache.get(PENDING_NAMESPACE, key)
        if not isinstance(value, Mapping):
            return
        left = [steer for steer in value["steers"] if steer.get("steerId") != steer_id]
        if left:
            changed = {**value, "steers": left}
            await self._cache.set(PENDING_NAMESPACE, key, changed, PENDING_SECONDS)
        else:
            await self._cache.delete(PENDING_NAMESPACE, key)
