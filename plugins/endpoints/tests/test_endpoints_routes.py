"""``/api/endpoints``, ``/api/models``, ``/api/keys`` over HTTP."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from bson import ObjectId

from locutory import Plugin, Provide, hook
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.offers import AGENT_CAPABILITIES, AgentCapability
from locutory_endpoints.documents import UserKey
from locutory_endpoints.tables import defaults
from locutory_testing import PluginSuite, Serve, SignIn
from locutory_testing.waiting import until

ME = "a" * 24
OTHER = "b" * 24
SIGNED = {"authorization": f"Bearer {ME}"}
QUIET = {"LOCUTORY_OLLAMA": "false"}


def custom(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "apiKey": "fake-key",
        "baseURL": "http://127.0.0.1:9/v1",
        "models": {"default": ["fake-20-0", "fake-200-0"], "fetch": False},
        "modelDisplayLabel": name,
        **changes,
    }


class TestSuite(PluginSuite):
    plugin: ClassVar[str] = "endpoints"
    readme: ClassVar[Path] = Path(__file__).parents[1] / "README.md"


async def get(server: Any, path: str, bearer: str = ME) -> Any:
    answer = await server.client.get(path, headers={"authorization": f"Bearer {bearer}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


class Builder(Plugin):
    """Is there, as a plugin that keeps agents would be."""

    name = "builder"
    summary = "Keeps agents; for tests only"
    provides = (STORED_AGENTS,)

    @hook
    def services(self) -> list[Provide]:
        return [Provide(STORED_AGENTS, self)]


class Capable(Plugin):
    """Offers capabilities of agents."""

    name = "capable"
    summary = "Offers capabilities; for tests only"
    provides = (AGENT_CAPABILITIES,)

    def __init__(self, *names: str, broken: str = "") -> None:
        self.names = names
        self.broken = broken
        self.on = True

    @hook
    def services(self) -> list[Provide]:
        offer = AgentCapability("A capability", lambda: self.on)
        found = [Provide(AGENT_CAPABILITIES, offer, name) for name in self.names]
        if self.broken:
            bad = AgentCapability("Broken", lambda: bool(1 / 0))
            found.append(Provide(AGENT_CAPABILITIES, bad, self.broken))
        return found


async def test_only_served_capabilities_are_offered(serve: Serve) -> None:
    third_party = Capable("web_search", "unheard_of", broken="artifacts")
    async with serve("endpoints", SignIn(), third_party, environment=QUIET) as server:

        async def offered() -> list[str]:
            found: list[str] = (await get(server, "/api/endpoints"))["agents"]["capabilities"]
            return found

        assert await offered() == ["web_search"]
        third_party.on = False
        assert await offered() == []
        third_party.on = True
        assert await offered() == ["web_search"]


@pytest.mark.parametrize(
    ("given", "offered", "vain"),
    [
        (["execute_code", "web_search"], ["web_search"], "no enabled plugin serves execute_code"),
        (["execute_code"], [], "no enabled plugin serves execute_code"),
        ([], [], ""),
        (["web_search"], ["web_search"], ""),
    ],
)
async def test_capabilities_of_the_file(
    serve: Serve, given: list[str], offered: list[str], vain: str
) -> None:
    """It takes away; what nobody serves it cannot give, and a start says so."""
    yaml = {"endpoints": {"agents": {"capabilities": given}}}
    async with serve(
        "endpoints", SignIn(), Capable("web_search"), environment=QUIET, yaml=yaml
    ) as server:
        entry = (await get(server, "/api/endpoints"))["agents"]
        assert entry["capabilities"] == offered
        texts = [text for _, text in await server.kernel.advice(offline=True)]
    assert texts == ([f"endpoints.agents.capabilities: {vain}"] if vain else [])


async def test_agents_are_made_only_where_somebody_keeps_them(serve: Serve) -> None:
    for builders, disabled in (((), True), ((Builder(),), False)):
        async with serve("endpoints", SignIn(), *builders, environment=QUIET) as server:
            answer = await server.client.get("/api/endpoints", headers=SIGNED)
            assert answer.json()["agents"]["disableBuilder"] is disabled


async def test_the_picker_as_recorded(serve: Serve) -> None:
    """The recorded answer of a server with one key for users and two custom endpoints."""
    async with serve(
        "endpoints",
        Builder(),
        Capable(*defaults.AGENT_CAPABILITIES),
        SignIn(),
        environment={**QUIET, "OPENAI_API_KEY": "user_provided"},
        yaml={"endpoints": {"custom": [custom("Fake"), custom("FakeTitled")]}},
    ) as server:
        answer = await server.client.get("/api/endpoints", headers=SIGNED)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        entry = {"order": 9999, "type": "custom", "userProvide": False, "userProvideURL": False}
        assert answer.json() == {
            "openAI": {"userProvide": True, "order": 0},
            "agents": {
                "userProvide": False,
                "capabilities": list(defaults.AGENT_CAPABILITIES),
                "order": 1,
                "disableBuilder": False,
            },
            "Fake": {**entry, "modelDisplayLabel": "Fake"},
            "FakeTitled": {**entry, "modelDisplayLabel": "FakeTitled"},
        }


@pytest.mark.parametrize(
    ("environment", "names", "expected"),
    [
        ({}, [], {"Guide": 0, "agents": 1}),
        ({"ENDPOINTS": "agents"}, [], {"Guide": -1, "agents": 0}),
        ({}, ["A", "B"], {"A": 9999, "B": 9999, "agents": 10000}),
        ({"ENDPOINTS": "agents,custom"}, ["A"], {"agents": 0, "A": 1}),
        ({"LOCUTORY_GUIDE": "always"}, ["A"], {"A": 9999, "Guide": 9999, "agents": 10000}),
        ({"LOCUTORY_GUIDE": "never"}, [], {"agents": 1}),
        ({"OPENAI_API_KEY": "user_provided"}, ["A"], {"openAI": 0, "agents": 1, "A": 9999}),
        ({"AZURE_API_KEY": "user_provided"}, [], {"azureOpenAI": 4, "agents": 5}),
    ],
)
async def test_agents_come_first_only_where_the_operator_says_so(
    serve: Serve, environment: dict[str, str], names: list[str], expected: dict[str, int]
) -> None:
    """The client opens a first chat with what comes first, and agents have to be chosen."""
    yaml = {"endpoints": {"custom": [custom(name) for name in names]}}
    async with serve(
        "endpoints", SignIn(), environment={**QUIET, **environment}, yaml=yaml
    ) as server:
        picker = await get(server, "/api/endpoints")
        assert {name: entry["order"] for name, entry in picker.items()} == expected


async def test_token_config_with_prices(serve: Serve) -> None:
    class Interface(Plugin):
        name = "interface_owner"
        summary = "Owns the key interface"
        sections: ClassVar[dict[str, Any]] = {"interface": None}

    told = {"fake-20-0": {"prompt": 1, "completion": 2, "context": 999, "cacheRead": 0.1}}
    async with serve(
        "endpoints",
        SignIn(),
        Interface(),
        environment=QUIET,
        yaml={
            "interface": {"contextCost": True},
            "endpoints": {"custom": [custom("Fake", tokenConfig=told)]},
        },
    ) as server:
        found = await get(server, "/api/endpoints/token-config")
        expected: dict[str, dict[str, dict[str, float]]] = {
            "openAI": {
                "gpt-5.6": {"context": 1050000, "prompt": 5, "completion": 30, "cacheWrite": 6.25, "cacheRead": 0.5},
                "gpt-5.6-terra": {"context": 1050000, "prompt": 2, "completion": 12, "cacheWrite": 2.5, "cacheRead": 0.2},
            },
            "google": {
                "gemini-3.7-flash": {"context": 1048576, "prompt": 0.75, "completion": 3.75, "cacheWrite": 0.75, "cacheRead": 0.075},
            },
            "anthropic": {
                "claude-fable-5": {"context": 1000000, "prompt": 10, "completion": 50, "cacheWrite": 12.5, "cacheRead": 1},
            },
            "bedrock": {
                "global.anthropic.claude-opus-5": {"context": 1000000, "prompt": 5, "completion": 25, "cacheWrite": 6.25, "cacheRead": 0.5},
            },
            "Fake": {
                "fake-20-0": {"prompt": 1, "completion": 2, "context": 999, "cacheRead": 0.1},
                "fake-200-0": {"prompt": 6, "completion": 6},
            },
        }  # fmt: skip
        for endpoint, models in expected.items():
            for model, entry in models.items():
                assert found[endpoint][model] == entry, (endpoint, model)


async def test_every_list_is_there_whatever_is_configured(serve: Serve) -> None:
    async with serve("endpoints", SignIn(), environment=QUIET) as server:
        models = await get(server, "/api/models")
        assert set(models) == {
            "openAI", "google", "anthropic", "azureOpenAI", "assistants", "azureAssistants",
            "bedrock", "Guide",
        }  # fmt: skip
        assert models["openAI"] == list(defaults.OPENAI)
        assert models["openAI"][-1] == "gpt-3.5-turbo-instruct"
        assert models["assistants"][-1] == "chatgpt-4o-latest"
        assert len(models["anthropic"]) == 24
        assert len(models["bedrock"]) == 28
        picker = await get(server, "/api/endpoints")
        assert list(picker) == ["Guide", "agents"]


async def test_lists_from_the_environment_and_order(serve: Serve) -> None:
    environment = {
        **QUIET,
        "ENDPOINTS": "agents, custom,, openAI",
        "OPENAI_API_KEY": "user_provided",
        "OPENAI_REVERSE_PROXY": "user_provided",
        "OPENAI_MODELS": "a, b ,,c",
        "AZURE_API_KEY": "k",
        "GOOGLE_MODELS": "g",
        "ANTHROPIC_MODELS": "c",
        "BEDROCK_AWS_MODELS": "x",
        "ASSISTANTS_MODELS": "s",
        "AZURE_OPENAI_MODELS": "z",
    }
    async with serve(
        "endpoints",
        SignIn(),
        environment=environment,
        yaml={
            "endpoints": {
                "custom": [custom("OLLAMA"), custom("Mine / two")],
                "bedrock": {"models": ["y"]},
            }
        },
    ) as server:
        models = await get(server, "/api/models")
        assert {name: models[name] for name in ("openAI", "google", "anthropic", "assistants", "azureOpenAI")} == {
            "openAI": ["a", "b", "c"], "google": ["g"], "anthropic": ["c"], "assistants": ["s"],
            "azureOpenAI": ["z"],
        }  # fmt: skip
        assert models["bedrock"] == ["y"]
        assert models["ollama"] == ["fake-20-0", "fake-200-0"]
        picker = await get(server, "/api/endpoints")
        assert {name: entry["order"] for name, entry in picker.items()} == {
            "agents": 0,
            "ollama": 1,
            "Mine / two": 1,
            "openAI": 2,
        }
        assert picker["openAI"] == {"userProvide": True, "userProvideURL": True, "order": 2}


async def test_agents_entry_takes_its_options(serve: Serve) -> None:
    agents = {
        "disableBuilder": True, "capabilities": ["tools"], "allowedProviders": ["openAI"],
        "statefulCodeSessions": {"allowedEnvironments": ["user"]}, "recursionLimit": 5,
    }  # fmt: skip
    yaml = {"endpoints": {"agents": agents}}
    async with serve(
        "endpoints", SignIn(), Capable("tools"), environment=QUIET, yaml=yaml
    ) as server:
        entry = (await get(server, "/api/endpoints"))["agents"]
        assert entry == {
            "userProvide": False, "order": 1, "disableBuilder": True, "capabilities": ["tools"],
            "allowedProviders": ["openAI"],
            "statefulCodeSessions": {"allowedEnvironments": ["user"]},
        }  # fmt: skip


async def test_endpoints_that_cannot_answer_are_not_shown(serve: Serve) -> None:
    """Keys of providers without a plugin, the native Anthropic protocol, missing variables."""
    environment = {
        **QUIET, "ANTHROPIC_API_KEY": "k", "GOOGLE_KEY": "k", "ASSISTANTS_API_KEY": "k",
        "BEDROCK_AWS_SECRET_ACCESS_KEY": "k", "GOOD_KEY": "x",
    }  # fmt: skip
    yaml = {
        "endpoints": {
            "custom": [
                custom("Native", provider="anthropic"),
                custom("NoKey", apiKey="${NOT_SET}"),
                custom("Good", apiKey="${GOOD_KEY}"),
            ]
        }
    }
    async with serve("endpoints", SignIn(), environment=environment, yaml=yaml) as server:
        assert set(await get(server, "/api/endpoints")) == {"agents", "Good"}
        assert {"Native", "NoKey", "Good"} <= set(await get(server, "/api/models"))


async def test_custom_params_are_completed(serve: Serve) -> None:
    params = {
        "defaultParamsEndpoint": "custom",
        "paramDefinitions": [{"key": "temperature", "default": 0.3}],
    }
    yaml = {
        "endpoints": {
            "custom": [
                custom("P", customParams=params, iconURL="groq"),
                custom("OpenRouter", baseURL="https://openrouter.ai/api/v1"),
            ]
        }
    }
    async with serve("endpoints", SignIn(), environment=QUIET, yaml=yaml) as server:
        picker = await get(server, "/api/endpoints")
        [definition] = picker["P"]["customParams"]["paramDefinitions"]
        assert definition["default"] == 0.3
        assert definition["component"] == "slider"
        assert definition["optionType"] == "custom"
        assert definition["range"] == {"min": 0, "max": 2, "step": 0.01}
        assert picker["P"]["iconURL"] == "groq"
        router = picker["OpenRouter"]["customParams"]
        assert router["defaultParamsEndpoint"] == "openrouter"
        assert router["paramDefinitions"][0]["key"] == "promptCache"


async def test_keys(serve: Serve) -> None:
    async with serve("endpoints", SignIn(), environment=QUIET) as server:
        client = server.client
        assert await get(server, "/api/keys?name=openAI") == {"expiresAt": None}
        assert await get(server, "/api/keys") == {"expiresAt": None}
        body = {
            "name": "openAI",
            "value": '{"apiKey": "sk-test"}',
            "expiresAt": "2030-01-01T00:00:00.000Z",
        }
        answer = await client.put("/api/keys", json=body, headers=SIGNED)
        assert (answer.status_code, answer.text) == (201, "")
        assert await get(server, "/api/keys?name=openAI") == {
            "expiresAt": "2030-01-01T00:00:00.000Z"
        }
        assert await get(server, "/api/keys?name=openAI", OTHER) == {"expiresAt": None}
        stored = await server.kernel.database[UserKey].find_one({"name": "openAI"})
        assert stored is not None
        assert stored["userId"] == ObjectId(ME)
        assert "sk-test" not in stored["value"]
        assert server.kernel.credentials.decrypt(stored["value"]) == body["value"]
        answer = await client.put("/api/keys", json={**body, "expiresAt": ""}, headers=SIGNED)
        assert answer.status_code == 201
        assert await get(server, "/api/keys?name=openAI") == {"expiresAt": "never"}
        await client.put("/api/keys", json={**body, "name": "My LLM / x"}, headers=SIGNED)
        answer = await client.delete("/api/keys/My%20LLM%20%2F%20x", headers=SIGNED)
        assert (answer.status_code, answer.text) == (204, "")
        assert await get(server, "/api/keys?name=My%20LLM%20%2F%20x") == {"expiresAt": None}
        assert (await client.delete("/api/keys/unknown", headers=SIGNED)).status_code == 204
        answer = await client.delete("/api/keys", headers=SIGNED)
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "Specify either all=true to delete."},
        )
        await client.put("/api/keys", json=body, headers={"authorization": f"Bearer {OTHER}"})
        assert (await client.delete("/api/keys?all=true", headers=SIGNED)).status_code == 204
        assert await get(server, "/api/keys?name=openAI") == {"expiresAt": None}
        assert (await get(server, "/api/keys?name=openAI", OTHER))["expiresAt"] is not None


@pytest.mark.parametrize(
    "body",
    [
        [], ["x"], {}, {"name": "openAI"}, {"value": "x"}, {"name": "", "value": "x"},
        {"name": 5, "value": "x"}, {"name": "openAI", "value": {"a": 1}},
        {"name": ["openAI"], "value": "x"}, {"name": "openAI", "value": "x", "expiresAt": "soon"},
        {"name": "openAI", "value": "x", "expiresAt": 5}, {"name": {"$gt": ""}, "value": "x"},
        {"name": "openAI", "value": "x" * 70_000}, {"name": "n" * 600, "value": "x"},
        {"name": "openAI", "value": "x", "expiresAt": "0001-01-01T00:00:00+14:00"},
    ],
)  # fmt: skip
async def test_wrong_keys_are_refused(serve: Serve, body: Any) -> None:
    async with serve("endpoints", SignIn(), environment=QUIET) as server:
        answer = await server.client.put("/api/keys", json=body, headers=SIGNED)
        assert answer.status_code == 400, answer.text
        assert await server.kernel.database[UserKey].count_documents({}) == 0


async def test_keys_go_with_the_account(serve: Serve) -> None:
    async with serve("endpoints", SignIn(), environment=QUIET) as server:
        for user in (ME, OTHER):
            await server.client.put(
                "/api/keys",
                json={"name": "openAI", "value": "x"},
                headers={"authorization": f"Bearer {user}"},
            )
        await server.kernel.events.publish(AccountDeleted(ME))
        keys, mine = server.kernel.database[UserKey], {"userId": ObjectId(ME)}

        async def gone() -> bool:
            return await keys.count_documents(mine) == 0

        await until(gone)
        assert await keys.count_documents({}) == 1
