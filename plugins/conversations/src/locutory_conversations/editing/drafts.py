"""Messages that clients write themselves (contract messages §3.7)."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

_DEEPEST = 64
_LARGEST_INTEGER = 2**63 - 1

Name = StrictStr | None
Names = Annotated[list[StrictStr], Field(fail_fast=True)]


def _switch(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


class MessageDraft(BaseModel):
    """The members of a message that a client may set; owner, dates and expiry are the server's."""

    model_config = ConfigDict(extra="ignore")

    messageId: StrictStr = Field(min_length=1, max_length=256)  # noqa: N815
    parentMessageId: Name = Field(None, max_length=256)  # noqa: N815
    model: Name = None
    endpoint: Name = None
    conversationSignature: Name = None  # noqa: N815
    clientId: Name = None  # noqa: N815
    invocationId: StrictInt | StrictFloat | None = None  # noqa: N815
    tokenCount: StrictInt | StrictFloat | None = None  # noqa: N815
    sender: Name = None
    text: Name = None
    isCreatedByUser: StrictBool = False  # noqa: N815
    unfinished: StrictBool = False
    error: StrictBool = False
    finish_reason: Name = None
    files: list[Any] | None = None
    content: list[Any] | None = None
    thread_id: Name = None
    iconURL: Name = None  # noqa: N815
    metadata: dict[str, Any] | None = None
    attachments: list[Any] | None = None
    manualSkills: Names | None = None  # noqa: N815
    alwaysAppliedSkills: Names | None = None  # noqa: N815
    quotes: Names | None = None
    addedConvo: StrictBool | None = None  # noqa: N815
    isTemporary: Annotated[bool | None, BeforeValidator(_switch)] = None  # noqa: N815

    @property
    def fields(self) -> dict[str, Any]:
        """The members to store."""
        return self.model_dump(exclude_unset=True, exclude={"isTemporary"})


def storable(value: Any) -> bool:
    """``True`` when the database can store this JSON value: not when it nests too deeply, when a
    number needs more than 64 bits, or when a key contains a NUL."""
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > _DEEPEST:
            return False
        if isinstance(item, dict):
            if any("\0" in key for key in item):
                return False
            stack.extend((inner, depth + 1) for inner in item.values())
        elif isinstance(item, list):
            stack.extend((inner, depth + 1) for inner in item)
        elif isinstance(item, int) and abs(item) > _LARGEST_INTEGER:
            return False
    return True
