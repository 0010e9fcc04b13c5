"""The interface of stores of running turns.

A store is chosen by name (setting ``job_store``); a plugin adds one by offering a `JobStore` under
`JOB_STORES`. The bundled ones are ``memory`` and ``redis``.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from locutory import Extension
from locutory_agents.job import Job
from locutory_agents.stream.feed import Feed
from locutory_agents.stream.frames import Terminal


class PredecessorMismatch(Exception):
    """The conversation's last job is not the expected one, or still runs."""

    def __init__(self, created_at: int, verified: bool, active: bool) -> None:
        super().__init__(f"the last job is {created_at}")
        self.created_at = created_at
        self.verified = verified
        self.active = active


class TooManyJobs(Exception):
    """The user has as many running jobs as allowed."""

    def __init__(self, running: int) -> None:
        super().__init__(f"{running} jobs are running")
        self.running = running


class ForeignJob(Exception):
    """Another user's job runs under this id."""


class StoreFull(Exception):
    """The store has no space for another job."""


Command = Mapping[str, Any]
Handler = Callable[[str, int, Command], Awaitable[Mapping[str, Any] | None]]
"""Runs a command for a job of this worker: stream id, creation time, command → answer."""


class JobStore(Protocol):
    """Records and event logs of jobs. One object a worker.

    All transitions are atomic across workers: of several that try to end a job, exactly
    one succeeds. A job is named by stream id and creation time; a call that names a job
    that was replaced changes nothing.
    """

    protocol: int
    """Newest protocol version that this store's deployments speak by default."""

    async def start(self, handler: Handler) -> None:
        """Get ready; commands for jobs of this worker go to ``handler``."""
        ...

    async def drain(self) -> None:
        """The worker shuts down: break off the feeds of other workers' jobs, so that their
        readers go elsewhere."""
        ...

    async def stop(self) -> None:
        """Let go of everything; the jobs of this worker have ended before."""
        ...

    async def create(
        self, job: Job, *, predecessor: int | None = None, limit: int | None = None
    ) -> tuple[Job, Job | None]:
        """Store a new job owned by this worker and give it its creation time.

        Returns it and the running job that it replaced. Raises `PredecessorMismatch`
        when ``predecessor`` is given and not the last job of the conversation,
        `TooManyJobs` when the user already runs ``limit`` others, `ForeignJob`,
        `StoreFull`.
        """
        ...

    async def get(self, stream_id: str) -> Job | None:
        """The newest job of a conversation: running, or ended and still kept."""
        ...

    async def active(self, user: str) -> Sequence[Job]:
        """The running and waiting jobs of a user."""
        ...

    async def update(self, job: Job) -> None:
        """Store the job's record (`TurnRecord.to_json`)."""
        ...

    async def settle(self, job: Job, status: str) -> bool:
        """End the job: from running or waiting to ``status``, with ``saving`` set. True
        for the one caller that ended it; then ``job`` is changed too."""
        ...

    async def finish(self, job: Job, terminal: Terminal, keep: float) -> None:
        """After `settle` and saving (or after a replacement): clear ``saving``, keep the
        record ``keep`` seconds more, or longer while nobody has seen the end, then append
        the terminal event to the log."""
        ...

    async def attach(self, feed: Feed) -> None:
        """Register that this worker runs the job: readers on every worker receive the content of
        its log."""
        ...

    async def follow(self, job: Job) -> Feed | None:
        """The job's feed for readers on this worker; ``None`` when its log is gone. The caller must
        release it with `leave`."""
        ...

    async def leave(self, feed: Feed) -> None:
        """Release a feed when its reader on this worker is gone."""
        ...

    async def ask(self, job: Job, command: Command, timeout: float) -> Mapping[str, Any] | None:
        """Let the job's owner run a command, and return its answer; ``None`` when it does not
        answer in ``timeout`` seconds."""
        ...

    async def orphans(self) -> Sequence[Job]:
        """The jobs that run or are being saved, and whose owner is dead. Also frees expired ones."""
        ...


JOB_STORES: Extension[JobStore] = Extension("agents.job-stores", "Stores of running turns, by name")
