"""What every plugin must hold, and the collections' declarations."""

from pathlib import Path

from locutory.data.database import indexes_of
from locutory_conversations.documents import Conversation, Message, ToolCall
from locutory_testing import PluginSuite

INDEXES = {
    Conversation: """conversationId_1 user_1 chatProjectId_1 expiredAt_1 createdAt_1_updatedAt_1
        conversationId_1_user_1_tenantId_1 tenantId_1_isTemporary_1_createdAt_-1__id_-1
        user_1__id_1 user_1_chatProjectId_1_updatedAt_-1__id_-1 tenantId_1
        user_1_chatProjectId_1_createdAt_-1__id_-1
        user_1_isArchived_1_archivedAt_-1_createdAt_-1__id_-1
        user_1_pinned_1_updatedAt_-1__id_-1 user_1_isTemporary_1_expiredAt_1
        user_1_subagentThread.parentConversationId_1 user_1_subagentThreadLease.expiresAt_1
        _meiliIndex_1_isTemporary_1_expiredAt_1
        user_1_isArchived_1_updatedAt_-1__id_-1
        user_1_isArchived_1_createdAt_-1_updatedAt_-1__id_-1
        user_1_isArchived_1_title_1_updatedAt_1__id_1 user_1_tags_1 updatedAt_1__id_1""",
    Message: """messageId_1 conversationId_1 user_1 expiredAt_1 createdAt_1 tenantId_1
        messageId_1_user_1_tenantId_1 tenantId_1_isTemporary_1_createdAt_-1__id_-1
        tenantId_1_isTemporary_1_isCreatedByUser_1_user_1_createdAt_-1__id_-1
        conversationId_1_user_1_createdAt_1 _meiliIndex_1_isTemporary_1_expiredAt_1
        updatedAt_1__id_1""",
    ToolCall: """expiredAt_1 tenantId_1 messageId_1_user_1_tenantId_1
        conversationId_1_user_1_tenantId_1 user_1""",
}


class TestConversations(PluginSuite):
    plugin = "conversations"
    readme = Path(__file__).parents[1] / "README.md"


def test_indexes_are_those_of_the_contract() -> None:
    """Names as LibreChat gives them; unique and TTL ones marked."""
    for document, names in INDEXES.items():
        declared = {index.document["name"]: index.document for index in indexes_of(document)}
        assert sorted(declared) == sorted(names.split())
        assert declared["expiredAt_1"]["expireAfterSeconds"] == 0
    unique = [
        i.document["name"] for d in INDEXES for i in indexes_of(d) if i.document.get("unique")
    ]
    assert unique == ["conversationId_1_user_1_tenantId_1", "messageId_1_user_1_tenantId_1"]
