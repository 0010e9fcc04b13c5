"""Request bodies, queries and examples, for the documentation."""

# ruff: noqa: N815  (names are those of the wire)

from typing import Any, Literal

from pydantic import BaseModel


class PublishBody(BaseModel):
    """What a link is to show."""

    targetMessageId: str | None = None
    snapshotFiles: bool | None = None


class ForkBody(BaseModel):
    """Which branch of which revision to continue."""

    targetMessageIndex: int | None = None
    shareRevision: str | None = None


class ListQuery(BaseModel):
    """Query of the list of links."""

    pageSize: int = 10
    sortBy: Literal["createdAt", "title"] = "createdAt"
    sortDirection: Literal["asc", "desc"] = "desc"
    search: str | None = None
    cursor: str | None = None


class FileQuery(BaseModel):
    """Query of a file."""

    direct: bool = False


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
