"""Starred tools (contract user §10)."""

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from locutory import Database, HTTPError, Principal, now
from locutory_users.documents import ToolFavorite

MOST = 100
LONGEST = 256
ITEM_TYPES = ("builtin", "tool", "mcp", "skill")


def checked(item_type: str, item_id: str) -> dict[str, str]:
    """The star that a path names; raises the contract's 400."""
    if item_type not in ITEM_TYPES:
        raise HTTPError(
            400,
            {
                "code": "INVALID_ITEM_TYPE",
                "message": f"itemType must be one of: {', '.join(ITEM_TYPES)}",
            },
        )
    if not 0 < len(item_id) <= LONGEST:
        raise HTTPError(
            400,
            {
                "code": "INVALID_ITEM_ID",
                "message": f"itemId must be a non-empty string of at most {LONGEST} characters",
            },
        )
    return {"itemType": item_type, "itemId": item_id}


class ToolFavorites:
    """The stars of all users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, principal: Principal) -> list[dict[str, str]]:
        """``[{itemType, itemId}]``, oldest first."""
        stars = self._database[ToolFavorite].find(
            {"user": ObjectId(principal.id)},
            {"_id": 0, "itemType": 1, "itemId": 1},
            sort=[("createdAt", ASCENDING)],
            limit=MOST * 2,
        )
        return await stars.to_list()

    async def add(self, principal: Principal, star: dict[str, str]) -> None:
        """Add a star unless it is there; 400 when there are too many."""
        stars = self._database[ToolFavorite]
        owner = {"user": ObjectId(principal.id)}
        if await stars.find_one({**owner, **star}, {"_id": 1}) is not None:
            return
        if await stars.count_documents(owner) >= MOST:
            raise HTTPError(
                400,
                {
                    "code": "MAX_FAVORITES_EXCEEDED",
                    "message": f"Maximum of {MOST} favorites reached",
                    "limit": MOST,
                },
            )
        moment = now()
        document = {**owner, **star, "createdAt": moment, "updatedAt": moment, "__v": 0}
        if principal.tenant is not None:
            document["tenantId"] = principal.tenant
        try:
            await stars.insert_one(document)
        except DuplicateKeyError:
            return  # the same click, twice at once

    async def remove(self, principal: Principal, star: dict[str, str]) -> None:
        """Take a star away, if it is there."""
        await self._database[ToolFavorite].delete_one({"user": ObjectId(principal.id), **star})

    async def erase(self, user_id: str) -> None:
        """Remove every star of a user."""
        await self._database[ToolFavorite].delete_many({"user": ObjectId(user_id)})
