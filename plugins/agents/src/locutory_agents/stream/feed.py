"""A job with its log and its transcript, as a worker that serves readers holds it."""

from typing import Any

from locutory_agents.job import Job
from locutory_agents.stream.frames import frame
from locutory_agents.stream.log import EventLog
from locutory_agents.stream.transcript import Transcript


class Feed:
    """Log and transcript of one job. The transcript represents the log up to its end."""

    def __init__(self, job: Job, log: EventLog | None = None) -> None:
        self.job = job
        self.log = log or EventLog()
        self._transcript = Transcript()

    @property
    def transcript(self) -> Transcript:
        """The transcript of the log, up to its end."""
        return self._transcript

    def resume_state(self) -> dict[str, Any]:
        """The state with which a client shows the turn so far and continues (chat-stream §6.8)."""
        self.log.read(self.log.end)  # text that is pending becomes part of the log
        transcript, record = self.transcript, self.job.record
        state: dict[str, Any] = {
            "runSteps": list(transcript.steps.values()),
            "aggregatedContent": transcript.snapshot(),
            "userMessage": record.shown,
            "responseMessageId": record.response_message_id,
            "conversationId": self.job.stream_id,
        }
        known = {"sender": record.sender, "iconURL": record.icon_url, "model": record.model}
        state |= {name: value for name, value in known.items() if value}
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
