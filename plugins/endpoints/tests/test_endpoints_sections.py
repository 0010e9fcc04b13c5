"""What the configuration file may hold."""

from typing import Any

import pytest
from pydantic import ValidationError

from locutory.errors import StartupError
from locutory.testing import Serve
from locutory_endpoints.sections import EndpointsSection, ModelSpecsSection
from locutory_endpoints.tables.definitions import PANELS, overridden

GOOD: dict[str, Any] = {
    "name": "Mine",
    "apiKey": "${KEY}",
    "baseURL": "https://example.com/v1",
    "models": {"default": ["a", {"name": "b", "description": "B"}], "fetch": True},
}
GROUP: dict[str, Any] = {
    "group": "g", "apiKey": "k", "instanceName": "i", "models": {"gpt-4o": True, "x": {"deploymentName": "d"}},
}  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    return {"custom": [{**GOOD, **changes}]}


@pytest.mark.parametrize(
    "section",
    [
        {"custom": [GOOD]},
        changed(unknown="is tolerated", models={"fetch": True}),
        changed(
            customParams={
                "defaultParamsEndpoint": "anthropic",
                "paramDefinitions": [{"key": "topK"}],
            }
        ),
        changed(
            tokenConfig={"a": {"prompt": 1, "completion": 2, "context": 3}},
            titlePromptTemplate="{convo}",
        ),
        {"all": {"streamRate": 0, "titleTiming": "final", "whatever": 1}},
        {"agents": {"recursionLimit": 50, "remoteApi": {"auth": {}}}},
        {"azureOpenAI": {"groups": [GROUP], "assistants": True}},
        {
            "allowedAddresses": ["10.0.0.1:80", "[::1]:11434", "ollama:11434", "localhost:1"],
            "openAI": {},
        },
        {"anthropic": {"vertex": {"enabled": True}}, "bedrock": {"models": ["x"]}},
    ],
)
def test_good(section: Any) -> None:
    EndpointsSection.model_validate(section)


@pytest.mark.parametrize(
    ("section", "where"),
    [
        ({}, ""),
        ({"opneAI": {}}, "opneAI"),
        ({"custom": {}}, "custom"),
        ({"custom": [GOOD, GOOD]}, ""),
        (changed(name="openAI"), "custom.0"),
        (changed(name=""), "custom.0.name"),
        (changed(apiKey=None), "custom.0.apiKey"),
        (changed(baseURL=5), "custom.0.baseURL"),
        (changed(models={"default": []}), "custom.0.models.default"),
        (changed(models={}), "custom.0.models"),
        (changed(models={"default": [{"nome": "x"}]}), "custom.0.models"),
        (changed(addParams={"web_search": "yes"}), "custom.0"),
        (changed(dropParams="user"), "custom.0.dropParams"),
        (
            changed(customParams={"defaultParamEndpoint": "x"}),
            "custom.0.customParams.defaultParamEndpoint",
        ),
        (changed(customParams={"defaultParamsEndpoint": "x"}), "custom.0.customParams"),
        (changed(customParams={"paramDefinitions": [{"key": "topK"}]}), "custom.0.customParams"),
        (changed(provider="google"), "custom.0.provider"),
        (changed(titlePromptTemplate="no place"), "custom.0.titlePromptTemplate"),
        (changed(tokenConfig={"a": {"prompt": 1}}), "custom.0.tokenConfig.a.completion"),
        ({"all": {"streamRate": -1}}, "all.streamRate"),
        ({"all": {"titleMethod": "magic"}}, "all.titleMethod"),
        ({"azureOpenAI": {"groups": []}}, "azureOpenAI.groups"),
        ({"azureOpenAI": {"groups": [GROUP, GROUP]}}, "azureOpenAI"),
        ({"azureOpenAI": {"groups": [GROUP, {**GROUP, "group": "h"}]}}, "azureOpenAI"),
        ({"azureOpenAI": {"groups": [{**GROUP, "instanceName": None}]}}, "azureOpenAI.groups.0"),
        ({"azureOpenAI": {"groups": [{**GROUP, "serverless": True}]}}, "azureOpenAI.groups.0"),
        (
            {"agents": {"statefulCodeSessions": {"allowedEnvironments": ["mars"]}}},
            "agents.statefulCodeSessions",
        ),
        ({"allowedAddresses": ["8.8.8.8:80"]}, "allowedAddresses.0"),
        ({"allowedAddresses": ["http://10.0.0.1:80"]}, "allowedAddresses.0"),
        ({"allowedAddresses": ["10.0.0.0/8:80"]}, "allowedAddresses.0"),
        ({"allowedAddresses": ["10.0.0.1"]}, "allowedAddresses.0"),
        ({"allowedAddresses": ["10.0.0.1:99999"]}, "allowedAddresses.0"),
        ({"allowedAddresses": ["[10.x]:1"]}, "allowedAddresses.0"),
        ({"assistants": {"supportedIds": []}}, "assistants.supportedIds"),
    ],
)
def test_wrong(section: Any, where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EndpointsSection.model_validate(section)
    places = [".".join(str(part) for part in error["loc"]) for error in caught.value.errors()]
    assert any(place.startswith(where) for place in places), places


@pytest.mark.parametrize(
    "section",
    [
        {"list": [{"name": "a", "label": "A"}]},
        {"list": [{"name": "a", "label": "A", "preset": {}}] * 2},
        {"list": [{"name": "a", "label": "A", "preset": {}, "order": "first"}]},
        {"enforce": "yes"},
    ],
)
def test_wrong_specs(section: Any) -> None:
    with pytest.raises(ValidationError):
        ModelSpecsSection.model_validate(section)


async def test_a_wrong_file_stops_the_start_and_says_where(serve: Serve) -> None:
    yaml = {"endpoints": {"opneAI": {}, "custom": [{**GOOD, "name": "openAI"}]}}
    with pytest.raises(StartupError) as caught:
        async with serve("endpoints", yaml=yaml):
            pass
    text = str(caught.value)
    assert "endpoints.opneAI" in text
    assert "openAI" in text
    assert "endpoints.custom.0" in text


@pytest.mark.parametrize("panel", sorted(PANELS))
def test_definitions_are_complete(panel: str) -> None:
    for key, definition in PANELS[panel].items():
        assert definition["key"] == key
        assert {"label", "type", "component"} <= set(definition)
        [made] = overridden(panel, [{"key": key, "default": 1}])
        assert (made["default"], made["optionType"]) == (1, "custom")
        assert "default" not in definition or definition["default"] != 1 or made is not definition


async def test_warnings_name_what_is_missing(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {
        "LOCUTORY_OLLAMA": "false",
        "ANTHROPIC_API_KEY": "sk-ant-secret",
        "BEDROCK_AWS_PROFILE": "p",
    }
    yaml = {
        "endpoints": {"custom": [{**GOOD, "provider": "anthropic"}, {**GOOD, "name": "Two"}]},
        "modelSpecs": {"list": [{"name": "s", "label": "S", "preset": {"endpoint": "Gone"}}]},
    }
    async with serve("endpoints", environment=environment, yaml=yaml):
        pass
    logged = capsys.readouterr().out
    for part in (
        "ANTHROPIC_API_KEY",
        "BEDROCK_AWS_",
        "provider: anthropic",
        "KEY, which is not set",
        "spec 's'",
    ):
        assert part in logged, part
    assert "sk-ant-secret" not in logged
