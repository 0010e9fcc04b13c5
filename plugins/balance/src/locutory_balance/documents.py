"""Collections of the plugin. The first two are shared with LibreChat (collections §3.5)."""

# ruff: noqa: N815  (field names are those of the database)

from datetime import datetime
from typing import Any, ClassVar

from beanie import Document
from beanie.odm.fields import PydanticObjectId
from pymongo import ASCENDING, IndexModel


def _index(field: str) -> IndexModel:
    return IndexModel([(field, ASCENDING)], name=f"{field}_1")


class Balance(Document):
    """Credits of a user; 1,000,000 credits are 1 USD. Ours has the user's id for its ``_id``,
    so that two first writes cannot make two; LibreChat's has one of its own."""

    user: PydanticObjectId
    tokenCredits: float = 0
    autoRefillEnabled: bool = False
    refillIntervalValue: float = 30
    refillIntervalUnit: str = "days"
    lastRefill: datetime | None = None
    refillAmount: float = 0
    tenantId: str | None = None

    class Settings:
        name = "balances"
        indexes: ClassVar[list[IndexModel]] = [_index("user"), _index("tenantId")]


class Transaction(Document):
    """A use of tokens (amounts are negative) or an addition of credits."""

    user: PydanticObjectId
    conversationId: str | None = None
    tokenType: str
    model: str | None = None
    context: str | None = None
    valueKey: str | None = None
    rate: float | None = None
    rawAmount: float | None = None
    tokenValue: float | None = None
    inputTokens: float | None = None
    writeTokens: float | None = None
    readTokens: float | None = None
    messageId: str | None = None
    tenantId: str | None = None
    createdAt: datetime
    updatedAt: datetime

    class Settings:
        name = "transactions"
        indexes: ClassVar[list[IndexModel]] = [
            _index("user"),
            _index("conversationId"),
            _index("model"),
            _index("tenantId"),
        ]


class Hold(Document):
    """The amounts that the running turns of a user hold; ``_id`` is the user. ``version`` rises
    with every change; each of ``holds`` is ``{id, amount, until}``."""

    version: int
    holds: list[dict[str, Any]]

    class Settings:
        name = "locutory_balance_holds"
