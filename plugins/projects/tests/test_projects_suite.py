"""What every plugin must hold, and the collection's declaration."""

from pathlib import Path

from locutory.data.database import indexes_of
from locutory_projects.documents import ChatProject
from locutory_testing import PluginSuite


class TestProjects(PluginSuite):
    plugin = "projects"
    readme = Path(__file__).parents[1] / "README.md"


def test_indexes_are_those_of_the_contract() -> None:
    declared = {index.document["name"]: index.document for index in indexes_of(ChatProject)}
    assert sorted(declared) == [
        *("lastConversationAt_1", "name_1", "tenantId_1", "user_1"),
        *("user_1_createdAt_-1__id_-1", "user_1_lastConversationAt_-1__id_-1"),
        "user_1_name_1__id_1",
    ]
    assert not any(index.get("unique") for index in declared.values())
