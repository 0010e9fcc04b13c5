"""The account data of this plugin: conversations, messages and tool results of a user."""

from collections.abc import AsyncIterator, MutableMapping

from locutory_contracts.account_data import AccountData, Record
from locutory_conversations.deletion import Deletion
from locutory_conversations.importing.records import KIND, ConversationRecords


class ConversationData(AccountData):
    """Records ``{kind, conversation, messages}``."""

    kind = KIND
    rank = 50

    def __init__(self, records: ConversationRecords, deletion: Deletion) -> None:
        self._records = records
        self._deletion = deletion

    def export(self, user: str) -> AsyncIterator[Record]:
        """Every conversation that has not ended, the oldest first."""
        return self._records.export(user)

    async def restore(self, user: str, record: Record, ids: MutableMapping[str, str]) -> bool:
        """Bring back one conversation; false when the user has it."""
        return await self._records.restore(user, record, ids)

    async def erase(self, user: str) -> None:
        """Delete everything of the user, also messages without a conversation."""
        await self._deletion.account(user)
