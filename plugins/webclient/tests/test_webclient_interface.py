"""The member ``interface`` of ``GET /api/config`` (contract user §2.3)."""

from typing import Any

import pytest

from locutory_webclient.interface import full_interface, public_interface


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ({}, {"modelSelect": True, "parameters": True, "presets": True}),
        (
            {"modelSpecs": {"list": []}},
            {"modelSelect": True, "parameters": True, "presets": True},
        ),
        (
            {"modelSpecs": {"list": [{"name": "a"}]}},
            {"modelSelect": False, "parameters": False, "presets": False},
        ),
        (
            {"modelSpecs": {"list": [{"name": "a"}], "addedEndpoints": ["openAI"]}},
            {"modelSelect": True, "parameters": False, "presets": False},
        ),
        (
            {"modelSpecs": {"list": [{"name": "a"}]}, "interface": {"presets": True}},
            {"modelSelect": False, "parameters": False, "presets": True},
        ),
        ({"memory": {"disabled": True}, "interface": {"memories": True}}, {"memories": False}),
        ({"memory": {"tokenLimit": 1}, "interface": {"memories": True}}, {"memories": True}),
        ({"interface": {"mcpServers": {"placeholder": "x"}}}, {"mcpServers": {"placeholder": "x"}}),
        ({"interface": {"customWelcome": None, "sharedLinks": False}}, {"sharedLinks": False}),
    ],
)
def test_the_interface(yaml: dict[str, Any], expected: dict[str, Any]) -> None:
    found = full_interface(yaml)
    assert {name: found.get(name) for name in expected} == expected
    assert None not in found.values()


def test_an_unremarkable_interface_is_hidden_from_strangers() -> None:
    assert public_interface(full_interface({"interface": {"customWelcome": "Hi"}})) is None
