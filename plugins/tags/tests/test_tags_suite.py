"""What every plugin must hold, and the collection's declaration."""

from pathlib import Path

from locutory.data.database import indexes_of
from locutory_tags.documents import ConversationTag
from locutory_testing import PluginSuite


class TestTags(PluginSuite):
    plugin = "tags"
    readme = Path(__file__).parents[1] / "README.md"


def test_indexes_are_those_of_the_contract() -> None:
    declared = {index.document["name"]: index.document for index in indexes_of(ConversationTag)}
    assert sorted(declared) == sorted(
        ["tag_1", "user_1", "description_1", "position_1", "tenantId_1", "tag_1_user_1_tenantId_1"]
    )
    unique = [name for name in declared if declared[name].get("unique")]
    assert unique == ["tag_1_user_1_tenantId_1"]
