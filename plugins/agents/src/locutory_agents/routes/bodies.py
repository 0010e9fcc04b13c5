"""Bodies of the routes, for the documentation. The handlers check what they use themselves:
the contract has an answer of its own for most wrong fields."""

# ruff: noqa: N815  (the wire's names)

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")


class ChatBody(_Body):
    """A message to answer; the model's parameters lie beside these members."""

    text: str = Field("", description="What the user wrote")
    endpoint: str | None = Field(None, description="Endpoint name; default: that of the path")
    model: str | None = Field(None, description="Model name")
    conversationId: str | None = Field(
        None, description="UUID; absent or 'new' starts a conversation"
    )
    parentMessageId: str | None = Field(None, description="The message that this one follows")
    messageId: str | None = Field(None, description="The caller's temporary id")
    overrideParentMessageId: str | None = Field(None, description="Regenerate: the user's message")
    responseMessageId: str | None = Field(None, description="Regenerate, edit: the answer")
    isRegenerate: bool = Field(False, description="Answer an existing message again")
    isContinued: bool = Field(False, description="Go on with an answer")
    editedContent: dict[str, Any] | None = Field(None, description="{index, type, text or think}")
    quotes: list[str] = Field(default_factory=list, description="Excerpts the message refers to")
    files: list[dict[str, Any]] = Field(default_factory=list, description="Attached files")
    ephemeralAgent: dict[str, Any] | None = Field(None, description="Chat-bar toggles")
    addedConvo: dict[str, Any] | None = Field(None, description="A second model, side by side")
    isTemporary: bool | None = Field(None, description="Not kept in the history")
    timezone: str | None = Field(None, description="IANA name, for date variables")
    clientRequestId: str | None = Field(None, description="Idempotency key")
    expectedPredecessorCreatedAt: int | None = Field(None, description="Start only after this job")
    generationProtocolVersion: int | None = Field(None, description="Newest version understood")


class AbortBody(_Body):
    """A turn to stop; one of the ids is enough."""

    conversationId: str | None = None
    streamId: str | None = None
    abortKey: str | None = None
    generationCreatedAt: int | None = None


class ResumeBody(_Body):
    """Decisions about a paused turn."""

    conversationId: str
    actionId: str
    generationCreatedAt: int | None = None
    decisions: list[dict[str, Any]] | None = None
    answer: str | None = None
    answers: dict[str, str] | None = None


class SteerBody(_Body):
    """Words for a running turn."""

    conversationId: str
    text: str
    clientSteerId: str | None = None
    generationCreatedAt: int | None = None
    files: list[dict[str, Any]] = Field(default_factory=list)
    preempt: bool = False


class SteerChangeBody(_Body):
    """A queued steer to take back or to hurry."""

    conversationId: str
    steerId: str
    clientSteerId: str | None = None
    generationCreatedAt: int | None = None
