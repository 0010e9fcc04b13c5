"""What the configuration file may hold."""

from typing import Any

import pytest
from pydantic import ValidationError

from locutory import Principal
from locutory.errors import StartupError
from locutory_contracts.models import CATALOGUE
from locutory_endpoints.sections import EndpointsSection, ModelSpecsSection
from locutory_endpoints.tables.definitions import PANELS, overridden
from locutory_testing import Serve

ANN = Principal("a" * 24)
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
    yaml = {"endpoints": {"opneAI": {}, "custom": [GOOD], "all": {"streamRate": -1}}}
    with pytest.raises(StartupError) as caught:
        async with serve("endpoints", yaml=yaml):
            pass
    text = str(caught.value)
    assert "endpoints.opneAI" in text
    assert "did you mean 'openAI'?" in text
    assert "endpoints.all.streamRate" in text


WRONG_ITEMS: list[tuple[dict[str, Any], str]] = [
    ({"name": "openAI"}, "name 'openAI' is taken by a built-in endpoint"),
    ({"name": ""}, "name: String should have at least 1 character"),
    ({"baseURL": 5}, "baseURL: Input should be a valid string (put it into quotes)"),
    ({"baseURL": None}, "baseURL: Input should be a valid string"),
    ({"models": {"default": []}}, "models.default: List should have at least 1 item"),
    ({"models": {}}, "models: give default names, or fetch: true"),
    ({"models": {"default": [{"nome": "x"}]}}, "models: a model is a name"),
    ({"addParams": {"web_search": "yes"}}, "addParams.web_search must be true or false"),
    ({"dropParams": "user"}, "dropParams: Input should be a valid list"),
    (
        {"customParams": {"defaultParamEndpoint": "x"}},
        "customParams.defaultParamEndpoint: nobody knows this key "
        "(did you mean 'defaultParamsEndpoint'?)",
    ),
    ({"customParams": {"defaultParamsEndpoint": "x"}}, "customParams: defaultParamsEndpoint 'x'"),
    ({"customParams": {"paramDefinitions": [{"key": "topK"}]}}, "'topK' is no parameter of custom"),
    ({"provider": "google"}, "provider: Input should be 'anthropic'"),
    ({"titlePromptTemplate": "no place"}, "titlePromptTemplate: must contain {convo}"),
    ({"tokenConfig": {"a": {"prompt": 1}}}, "tokenConfig.a.completion: Field required"),
    ({"name": "Good"}, "another one has this name"),
]


@pytest.mark.parametrize(("changes", "why"), WRONG_ITEMS, ids=lambda value: str(value)[:40])
async def test_a_wrong_custom_endpoint_is_left_out_and_the_others_work(
    serve: Serve, changes: dict[str, Any], why: str
) -> None:
    good = {**GOOD, "name": "Good", "apiKey": "k", "models": {"default": ["m"]}}
    yaml = {"endpoints": {"custom": [good, {**good, "name": "Bad", **changes}]}}
    async with serve("endpoints", environment={"LOCUTORY_OLLAMA": "false"}, yaml=yaml) as server:
        offered = set(await server.kernel.services.get(CATALOGUE).entries(ANN))
        said = await server.kernel.advice(offline=True)
    assert offered == {"agents", "Good"}
    ((owner, text),) = said
    assert owner == "endpoints"
    assert text.startswith("endpoints.custom.1: '")
    assert "is left out: " in text
    assert why in text


async def test_a_key_that_was_written_otherwise_is_named(serve: Serve) -> None:
    items: list[Any] = [{**GOOD, "name": "A", "baseUrl": "http://h/v1"}, {**GOOD, "name": "B"}, "x"]
    del items[0]["baseURL"], items[1]["models"]
    async with serve("endpoints", yaml={"endpoints": {"custom": items}}) as server:
        texts = [text for _, text in await server.kernel.advice(offline=True)]
    assert texts == [
        "endpoints.custom.0: 'A' is left out: baseURL: Field required "
        "('baseUrl' is there; write 'baseURL')",
        "endpoints.custom.1: 'B' is left out: models: Field required",
        "endpoints.custom.2: '2' is left out: Input should be a valid dictionary or instance of "
        "Custom",
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"apiKey": "", "baseURL": "http://127.0.0.1:1234/v1"}, ""),
        ({"apiKey": None, "baseURL": "http://[::1]:1234/v1"}, ""),
        ({"apiKey": "", "baseURL": "http://192.168.1.7:8080"}, ""),
        ({"apiKey": "", "baseURL": "http://vllm:8000/v1"}, ""),
        ({"apiKey": "", "baseURL": "http://host.docker.internal:8000/v1"}, ""),
        ({"apiKey": "", "baseURL": "https://api.example.com/v1", "headers": {"X-Key": "k"}}, ""),
        ({"apiKey": ""}, "apiKey is missing"),
        ({"apiKey": "", "baseURL": "http://8.8.8.8/v1"}, "apiKey is missing"),
        ({"apiKey": "k", "baseURL": "foo"}, "baseURL is no address (https://host/v1)"),
        ({"apiKey": "k", "baseURL": "example.com/v1"}, "baseURL is no address"),
        ({"apiKey": "k", "baseURL": "http://host:99999/v1"}, "baseURL is no address"),
        ({"apiKey": "k", "baseURL": "http://[::1/v1"}, "baseURL is no address"),
        ({"apiKey": "${NOPE}"}, "apiKey needs the environment variable NOPE, which is not set"),
        ({"apiKey": "user_provided", "baseURL": "user_provided"}, ""),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_what_an_endpoint_needs(serve: Serve, changes: dict[str, Any], why: str) -> None:
    yaml = {"endpoints": {"custom": [{**GOOD, "models": {"default": ["m"]}, **changes}]}}
    async with serve("endpoints", environment={"LOCUTORY_OLLAMA": "false"}, yaml=yaml) as server:
        offered = set(await server.kernel.services.get(CATALOGUE).entries(ANN))
        said = [text for _, text in await server.kernel.advice(offline=True)]
    assert ("Mine" in offered) is (not why)
    assert [why in text for text in said] == ([True] if why else [])


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
