"""A job with its log and its transcript, as a worker that serves readers holds it."""

from typing import Any

from locutory_agents.jobs.log import EventLog
from locutory_agents.jobs.store import Job
from locutory_agents.jobs.transcript import Transcript
from locutory_agents.wire.frames import frame


class Feed:
    """Log and transcript of one job. The transcript holds what the log up to its end says."""

    def __init__(self, job: Job, log: EventLog | None = None) -> None:
        self.job = job
        self.log = log or EventLog()
        self._transcript = Transcript()

    @property
    def transcript(self) -> Transcript:
        return self._transcript

    def resume_state(self) -> dict[str, Any]:
        """What a client needs to show the turn so far and go on (chat-stream §6.8)."""
        self.log.read(self.log.end)  # text that is pending becomes part of the log
        transcript, details = self.transcript, self.job.details
        state: dict[str, Any] = {
            "runSteps": list(transcript.steps.values()),
            "aggregatedContent": transcript.snapshot(),
            "userMessage": details.get("shown"),
            "responseMessageId": details.get("responseMessageId"),
            "conversationId": self.job.stream_id,
        }
        for key in ("sender", "iconURL", "model"):
            if details.get(key):
                state[key] = details[key]
        if transcript.title is not None:
            state["titleEvent"] = {"event": "title", "data": transcript.title}
        if transcript.usage:
            state["collectedUsage"] = list(transcript.usage)
        if transcript.context is not None:
            state["contextUsage"] = transcript.context
        return state

    def sync(self) -> tuple[bytes, int]:
        """A ``sync`` event, and the position in the log from which to read on."""
        state = self.resume_state()
        event = {"sync": True, "resumeState": state, "pendingEvents": []}
        return frame(event), self.log.end
