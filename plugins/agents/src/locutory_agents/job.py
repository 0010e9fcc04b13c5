"""A job: one turn as every worker knows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

RUNNING = "running"
WAITING = "requires_action"
COMPLETE = "complete"
ERROR = "error"
ABORTED = "aborted"

ACTIVE = frozenset({RUNNING, WAITING})


@dataclass(slots=True)
class TurnRecord:
    """The data of a turn that any worker needs to serve its readers, and to save it when its owner
    has disappeared. Filled in three steps: from the request, when the model is known, and as it
    runs.

    Stores keep `to_json`; the name in brackets is the member there, and a member that may be
    missing is left out while it has its default.
    """

    conversation_id: str = ""
    """(``conversationId``) The conversation; also the job's stream id."""

    started_at: datetime | None = None
    """(``startedAt``, ISO 8601) When the request came: the age of a conversation that it
    starts."""

    existing: bool = False
    """(``existing``) The user's message is stored already and stays as it is: an answer is
    regenerated."""

    user_message: dict[str, Any] = field(default_factory=dict)
    """(``userMessage``) The user's message as it is saved. With the model come the members
    ``tokenCount`` and, of two models side by side, ``addedConvo``."""

    shown: dict[str, Any] | None = None
    """(``shown``) The user's message in a resume state (chat-stream §6.8)."""

    response_message_id: str = ""
    """(``responseMessageId``) The id of the answer."""

    endpoint: str | None = None
    """(``endpoint``) The endpoint as messages name it: the request's, then the agent's."""

    conversation: dict[str, Any] = field(default_factory=dict)
    """(``conversation``) The settings that the conversation keeps."""

    temporary: bool | None = None
    """(``temporary``, not always there) ``True`` for a temporary conversation; ``None`` when the
    request does not say, so that the conversation decides."""

    model: str | None = None
    """(``model``, once known) The model as messages name it; a stored agent's id."""

    sender: str | None = None
    """(``sender``, once known) The label of the answer."""

    agent_id: str | None = None
    """(``agentId``, once known) The agent that answers, of two the first."""

    icon_url: str | None = None
    """(``iconURL``, not always there) The icon of the answer."""

    announced: bool = False
    """(``announced``, not always there) Readers have received the user's message: from then on the
    turn is saved, however it ends."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    """(``kept``, not always there) The parts of an edited answer before those that are made
    now."""

    def to_json(self) -> dict[str, Any]:
        """JSON values, for `from_json`."""
        started = self.started_at
        found: dict[str, Any] = {
            "conversationId": self.conversation_id,
            "startedAt": None if started is None else started.isoformat(),
            "existing": self.existing,
            "userMessage": self.user_message,
            "shown": self.shown,
            "responseMessageId": self.response_message_id,
            "endpoint": self.endpoint,
            "conversation": self.conversation,
        }
        if self.temporary is not None:
            found["temporary"] = self.temporary
        later = {
            "model": self.model,
            "sender": self.sender,
            "agentId": self.agent_id,
            "iconURL": self.icon_url,
        }
        found |= {name: value for name, value in later.items() if value is not None}
        if self.announced:
            found["announced"] = True
        if self.kept:
            found["kept"] = self.kept
        return found

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "TurnRecord":
        """The record that `to_json` gave, here or in another version: members that are not
        known are ignored, those that are missing have their default."""
        started, temporary = stored.get("startedAt"), stored.get("temporary")
        return cls(
            conversation_id=stored.get("conversationId") or "",
            started_at=None if started is None else datetime.fromisoformat(started),
            existing=bool(stored.get("existing")),
            user_message=stored.get("userMessage") or {},
            shown=stored.get("shown"),
            response_message_id=stored.get("responseMessageId") or "",
            endpoint=stored.get("endpoint"),
            conversation=stored.get("conversation") or {},
            temporary=temporary if isinstance(temporary, bool) else None,
            model=stored.get("model"),
            sender=stored.get("sender"),
            agent_id=stored.get("agentId"),
            icon_url=stored.get("iconURL"),
            announced=bool(stored.get("announced")),
            kept=stored.get("kept") or [],
        )


@dataclass(slots=True)
class Job:
    """One turn. ``stream_id`` is the conversation's id, ``created_at`` (epoch ms) distinguishes the
    successive turns of a conversation; both together identify the job. ``saving``: the job has
    ended, and its messages are being written. ``owner``: the worker that runs it. ``request_id``:
    the caller's ``clientRequestId``."""

    stream_id: str
    user: str
    created_at: int = 0
    tenant: str | None = None
    protocol: int = 1
    status: str = RUNNING
    saving: bool = False
    owner: str = ""
    request_id: str | None = None
    record: TurnRecord = field(default_factory=TurnRecord)

    @property
    def active(self) -> bool:
        """True while it runs, or waits for its user."""
        return self.status in ACTIVE

    @property
    def key(self) -> tuple[str, int]:
        """The name of the job: stream id and creation time."""
        return self.stream_id, self.created_at
