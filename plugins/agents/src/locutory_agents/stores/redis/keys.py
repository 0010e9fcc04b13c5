"""Keys in Redis, and the form of records."""

from collections.abc import Mapping
from typing import Any

import orjson

from locutory_agents.job import Job, TurnRecord

ALIVE_MS = 15_000
"""A worker that has not been heard of for this long is dead."""


class RedisKeys:
    """Keys that begin with ``base``, ``{prefix}::agents:``. ``running``: sorted set, conversations whose job runs or
    is being saved, by creation time."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.running = f"{base}running"

    def job(self, stream_id: str) -> str:
        """Hash: the newest job of a conversation."""
        return f"{self._base}job:{stream_id}"

    def last(self, stream_id: str) -> str:
        """Text: when the last job of a conversation was made."""
        return f"{self._base}last:{stream_id}"

    def user(self, user: str) -> str:
        """Set: conversations in which jobs of a user run."""
        return f"{self._base}user:{user}"

    def log(self, job: Job) -> str:
        """Stream: the events of a job."""
        return f"{self._base}log:{job.stream_id}:{job.created_at}"

    def snapshot(self, job: Job) -> str:
        """The key of a text: the part that was cut off the beginning of the log."""
        return f"{self._base}snapshot:{job.stream_id}:{job.created_at}"

    def inbox(self, worker: str) -> str:
        """Stream: commands and answers for a worker."""
        return f"{self._base}inbox:{worker}"

    def alive(self, worker: str) -> str:
        """Text that is there while the worker lives."""
        return f"{self._base}alive:{worker}"


def record_bytes(record: TurnRecord) -> bytes:
    """A job's record as the value of the field ``details``."""
    return orjson.dumps(record.to_json(), default=str)


def fields_of(job: Job) -> list[str | bytes]:
    """A job as the alternating fields and values of a hash, without its creation time."""
    return [
        *("stream", job.stream_id),
        *("user", job.user),
        *("tenant", job.tenant or ""),
        *("protocol", str(job.protocol)),
        *("status", job.status),
        *("saving", "1" if job.saving else "0"),
        *("owner", job.owner),
        *("request", job.request_id or ""),
        *("details", record_bytes(job.record)),
    ]


def text(value: Any) -> str:
    """A value of Redis as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def pairs(flat: Any) -> dict[str, Any]:
    """Fields and values of a hash, from either form that Redis gives."""
    if isinstance(flat, Mapping):
        return {text(key): value for key, value in flat.items()}
    return {text(key): value for key, value in zip(flat[::2], flat[1::2], strict=True)}


def job_of(fields: Mapping[str, Any]) -> Job | None:
    """The job of a record; ``None`` when there is none."""
    if "created" not in fields:
        return None
    return Job(
        stream_id=text(fields["stream"]),
        user=text(fields["user"]),
        created_at=int(fields["created"]),
        tenant=text(fields["tenant"]) or None,
        protocol=int(fields["protocol"]),
        status=text(fields["status"]),
        saving=text(fields["saving"]) == "1",
        owner=text(fields["owner"]),
        request_id=text(fields["request"]) or None,
        record=TurnRecord.from_json(orjson.loads(fields["details"])),
    )
