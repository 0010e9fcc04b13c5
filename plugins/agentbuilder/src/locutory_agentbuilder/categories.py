"""Categories of the marketplace (contract agents §5, §9)."""

import asyncio
from typing import Any

from pymongo.errors import DuplicateKeyError

from locutory import Database, now
from locutory_agentbuilder.documents import Agent, AgentCategory

BUILT_IN = ("general", "hr", "rd", "finance", "it", "sales", "aftersales")
_LABEL = "com_agents_category_"
_ALL = {"value": "all", "label": "All", "description": "All available agents"}
_SHOWN = {"value": 1, "label": 1, "description": 1, "order": 1}


class Categories:
    """Stored categories. Counts are of all agents, also of those that a caller cannot see:
    the contract wants it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seed(self) -> None:
        """Write the built-in categories, and give those of old versions their translation
        keys. Several servers may do it at once."""
        collection = self._database[AgentCategory]
        for order, value in enumerate(BUILT_IN):
            words = {"label": f"{_LABEL}{value}", "description": f"{_LABEL}{value}_description"}
            known = await collection.find_one({"value": value, "tenantId": None})
            moment = now()
            if known is None:
                fresh = {"value": value, **words, "order": order, "isActive": True}
                dates = {"createdAt": moment, "updatedAt": moment}
                try:
                    await collection.insert_one({**fresh, "custom": False, **dates, "__v": 0})
                except DuplicateKeyError:
                    continue
            elif not known.get("custom") and not str(known.get("label")).startswith("com_"):
                change = {"$set": {**words, "updatedAt": moment}}
                await collection.update_one({"_id": known["_id"]}, change)

    async def list(self, tenant: str | None) -> list[dict[str, Any]]:
        """The active categories with the number of their agents, the promoted agents before
        them if there are any, and all agents after them."""
        active = await self._database[AgentCategory].find({"isActive": True}, _SHOWN).to_list()
        active.sort(key=lambda row: (row.get("order") or 0, str(row.get("label"))))
        counts = await asyncio.gather(
            self._count(tenant, is_promoted=True),
            *(self._count(tenant, category=row["value"]) for row in active),
        )
        rows = [
            {
                "value": row["value"],
                "label": row["label"],
                "count": count,
                "description": row.get("description", ""),
            }
            for row, count in zip(active, counts[1:], strict=True)
        ]
        if counts[0]:
            promoted = {"value": "promoted", "label": "Promoted", "count": counts[0]}
            rows.insert(0, {**promoted, "description": "Our recommended agents"})
        return [*rows, _ALL]

    async def _count(self, tenant: str | None, **wanted: Any) -> int:
        return await self._database[Agent].count_documents({**wanted, "tenantId": tenant})
