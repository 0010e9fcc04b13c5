"""Bodies and queries, the errors of wrong ones, and examples."""

# ruff: noqa: N815  (names are those of the wire)

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from locutory import Once, refusal
from locutory_share.listing import SORT_FIELDS

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,16}")
_PAGE = 10
_LARGEST_PAGE = 100
_LONGEST_SEARCH = 256
_NO_TARGET = "targetMessageId must be a non-empty string"


def _filled(target: str) -> str:
    if not target.strip():
        raise ValueError(_NO_TARGET)
    return target


class PublishBody(BaseModel):
    """The content of a link."""

    targetMessageId: Annotated[str, AfterValidator(_filled)] = Field(
        "", description="The last message to show; none: all of them"
    )
    snapshotFiles: bool = True


class ForkBody(BaseModel):
    """The branch and revision to continue."""

    shareRevision: str | None = None
    targetMessageIndex: int | None = None


def _page_size(text: str) -> int:
    return min(max(int(text), 1), _LARGEST_PAGE) if _WHOLE_NUMBER.fullmatch(text) else _PAGE


def _sort_field(text: str) -> str:
    return text if text in SORT_FIELDS else "createdAt"


def _short(search: str) -> str:
    if len(search) > _LONGEST_SEARCH:
        raise ValueError(f"search must be {_LONGEST_SEARCH} characters or fewer")
    return search


Trimmed = Annotated[str, Once(), BeforeValidator(str.strip)]


class ListQuery(BaseModel):
    """Query of the list of links."""

    pageSize: Annotated[int, Once(), BeforeValidator(_page_size)] = Field(
        _PAGE, description=f"1 to {_LARGEST_PAGE}"
    )
    sortBy: Annotated[str, Once(), BeforeValidator(_sort_field)] = Field(
        "createdAt", description=" · ".join(sorted(SORT_FIELDS))
    )
    sortDirection: Annotated[str, Once()] = Field("desc", description="asc or desc")
    search: Annotated[Trimmed, AfterValidator(_short)] = ""
    cursor: Trimmed = ""


class FileQuery(BaseModel):
    """Query of a file."""

    direct: str = Field("", description="true: a signed address instead, where there is one")


INVALID = refusal(
    "message",
    {
        "targetMessageId": _NO_TARGET,
        "snapshotFiles": "snapshotFiles must be a boolean",
        "targetMessageIndex": "targetMessageIndex must be a whole number",
    },
)

MESSAGE = {"message": "What is wrong"}

PUBLISHED = {
    "_id": "65a0c2a1e4b0a1b2c3d4e5f6",
    "shareId": "5_Rhbatr8pGzujjkE3NgO",
    "conversationId": "f49c544d-3804-4c26-832f-61c444e9c1df",
    "targetMessageId": "8b1cbe13-604b-4224-8ed5-aacd7a738777",
}

SHARED: dict[str, Any] = {
    "shareId": "5_Rhbatr8pGzujjkE3NgO",
    "title": "A chat",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "conversationId": "convo_JWgwzQ7bLmtk6RNV7vJKp",
    "messages": [
        {
            "messageId": "msg_GPBgEmzCzm-oM24E-JyHl",
            "parentMessageId": "00000000-0000-0000-0000-000000000000",
            "conversationId": "convo_JWgwzQ7bLmtk6RNV7vJKp",
            "sender": "User",
            "text": "Hello",
            "isCreatedByUser": True,
            "createdAt": "2026-01-31T11:59:00.000Z",
        }
    ],
}
