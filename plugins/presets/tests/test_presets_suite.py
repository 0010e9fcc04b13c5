"""What every plugin must hold, and the collection's declaration."""

from pathlib import Path

from locutory.data.database import indexes_of
from locutory_presets.documents import Preset
from locutory_testing import PluginSuite


class TestPresets(PluginSuite):
    plugin = "presets"
    readme = Path(__file__).parents[1] / "README.md"


def test_indexes_are_those_of_the_contract() -> None:
    declared = {index.document["name"]: index.document for index in indexes_of(Preset)}
    assert sorted(declared) == [
        *("presetId_1", "presetId_1_tenantId_1", "tenantId_1"),
        "user_1",
    ]
    assert [name for name in declared if declared[name].get("unique")] == ["presetId_1_tenantId_1"]
