"""Requests become models: validation, specs, parameters, keys."""

import json
from contextlib import asynccontextmanager
from typing import Any

import pytest

from locutory import Principal
from locutory_contracts.models import (
    CATALOGUE,
    Catalogue,
    Finished,
    ModelCall,
    ModelFailure,
    ModelRefused,
    PreparedModel,
    TextDelta,
    TitleSettings,
    Usage,
)
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_testing import Serve

QUIET = {"LOCUTORY_OLLAMA": "false"}
ME = Principal("a" * 24, account={"name": "Ann", "email": "ann@example.com"})
OTHER = Principal("b" * 24)
ASK = ModelCall([{"role": "user", "content": "hi"}])
NO_KEY = '{"type":"no_user_key"}'


def custom(url: str = "http://127.0.0.1:9/v1", **changes: Any) -> dict[str, Any]:
    return {
        "name": "Fake",
        "apiKey": "fake-key",
        "baseURL": url,
        "models": {"default": ["m-1", "fake-20-0"]},
        "modelDisplayLabel": "Fake label",
        **changes,
    }


class Catalogued:
    """A served catalogue."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.catalogue: Catalogue = server.kernel.services.get(CATALOGUE)

    async def prepare(self, principal: Principal = ME, **body: Any) -> PreparedModel:
        return await self.catalogue.prepare({"endpoint": "Fake", "model": "m-1", **body}, principal)

    async def refusal(self, principal: Principal = ME, **body: Any) -> ModelRefused:
        with pytest.raises(ModelRefused) as caught:
            await self.prepare(principal, **body)
        return caught.value

    async def store(self, name: str, value: Any, principal: Principal = ME) -> None:
        from locutory_endpoints.keystore import KeyStore

        kernel = self.server.kernel
        text = value if isinstance(value, str) else json.dumps(value)
        await KeyStore(kernel.database, kernel.credentials).put(principal.id, name, text, None)

    async def rewrite(self, name: str, form: str, value: Any) -> None:
        """Replace a stored key by one in another form."""
        encrypt = getattr(self.server.kernel.credentials, f"encrypt_{form}")
        await self.set(name, encrypt(json.dumps(value)))

    async def set(self, name: str, stored: str) -> None:
        keys = self.server.kernel.database.collection("keys")
        await keys.update_one({"name": name}, {"$set": {"value": stored}})


@asynccontextmanager
async def catalogue(
    serve: Serve, endpoints: Any = None, environment: Any = None, **yaml: Any
) -> Any:
    sections = {**({"endpoints": endpoints} if endpoints else {}), **yaml}
    async with serve(
        "endpoints", environment={**QUIET, **(environment or {})}, yaml=sections
    ) as server:
        yield Catalogued(server)


async def events(prepared: PreparedModel, call: ModelCall = ASK) -> list[Any]:
    return [event async for event in prepared.chat.stream(call)]


async def test_a_turn(serve: Serve, provider: Any) -> None:
    async with catalogue(serve, {"custom": [custom(provider.url)]}) as it:
        prepared = await it.prepare(temperature=0.3, max_tokens="50", modelLabel="", top_p=None)
        assert prepared.endpoint == "Fake"
        assert prepared.endpoint_type == "custom"
        assert prepared.model == "m-1"
        assert prepared.provider == "openAI"
        assert prepared.sender == "Fake label"
        assert prepared.settings == {
            "model": "m-1",
            "temperature": 0.3,
            "max_tokens": 50,
            "resendFiles": True,
        }
        assert prepared.context_tokens == 32000
        assert prepared.output_tokens == 50
        assert prepared.prices == {}
        assert prepared.title == TitleSettings()
        assert await events(prepared) == [
            TextDelta("Hello "),
            TextDelta("world"),
            Finished("stop"),
            Usage(3, 2, 5),
        ]
        [request] = provider.seen
        assert request.headers["authorization"] == "Bearer fake-key"
        assert request.body["temperature"] == 0.3
        assert request.body["max_tokens"] == 50
        assert request.body["user"] == ME.id


async def test_a_server_of_the_own_network_needs_no_key(serve: Serve, provider: Any) -> None:
    item = {**custom(provider.url), "models": {"default": ["m-1"], "fetch": True}}
    del item["apiKey"]
    async with catalogue(serve, {"custom": [item]}) as it:
        await events(await it.prepare(model="m-1"))
    assert len(provider.seen) >= 1
    assert all("authorization" not in request.headers for request in provider.seen)


async def test_model_validation(serve: Serve) -> None:
    async with catalogue(serve, {"custom": [custom()]}) as it:
        refused = await it.refusal(model=None)
        assert refused.payload == '{ "type": "missing_model", "info": "Fake" }'
        refused = await it.refusal(model="not-a-model")
        assert refused.payload == '{ "type": "illegal_model_request", "info": "Fake|not-a-model" }'
        assert refused.violation == "illegal_model_request"
        assert not refused.denial
        refused = await it.refusal(endpoint="Nope")
        assert refused.payload == '{ "type": "endpoint_models_not_loaded", "info": "Nope" }'
        assert refused.violation == ""
        assert (await it.refusal(endpoint="agents")).payload.startswith("{")
        odd = await it.refusal(endpoint='a"b')
        assert json.loads(odd.payload)["info"] == 'a"b'
        refused = await it.refusal(endpoint="anthropic", model="claude-opus-5")
        assert "No installed plugin" in refused.payload
        names: list[Any] = [None, 5, {"$gt": ""}, []]
        for wrong in names:
            assert (await it.refusal(endpoint=wrong)).denial
        assert "missing_model" in (await it.refusal(model={"$gt": ""})).payload


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": "hot"}, {"temperature": True}, {"max_tokens": "many"}, {"stop": "x"},
        {"stop": [1]}, {"resendFiles": "yes"}, {"reasoning_effort": "huge"}, {"promptPrefix": 5},
        {"imageDetail": ["low"]}, {"modelLabel": {"a": 1}},
    ],
)  # fmt: skip
async def test_one_wrong_type_drops_all_parameters(serve: Serve, body: Any) -> None:
    async with catalogue(serve, {"custom": [custom()]}) as it:
        prepared = await it.prepare(top_p=0.5, **body)
        assert prepared.settings == {"model": "m-1", "resendFiles": True}


async def test_foreign_members_are_dropped(serve: Serve) -> None:
    async with catalogue(serve, {"custom": [custom()]}) as it:
        prepared = await it.prepare(
            iconURL="http://evil",
            user="x",
            topK=5,
            conversationId="c",
            key="never",
            text="t",
            messages=[],
            apiKey="x",
            promptPrefix="be brief",
            resendFiles=False,
        )
        assert prepared.settings == {
            "model": "m-1",
            "promptPrefix": "be brief",
            "resendFiles": False,
        }
        assert prepared.icon_url is None


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        ("m-1", {}, "Fake label"),
        ("m-1", {"modelLabel": "Mine"}, "Mine"),
        ("m-1", {"chatGptLabel": "Old"}, "Fake label"),
    ],
)
async def test_sender(serve: Serve, model: str, settings: Any, expected: str) -> None:
    async with catalogue(serve, {"custom": [custom()]}) as it:
        assert (await it.prepare(model=model, **settings)).sender == expected


def test_sender_from_the_models_name() -> None:
    from locutory_endpoints.labels import sender

    def named(model: str, endpoint: str = "openAI", **settings: Any) -> str:
        return sender(endpoint, model, settings, None, None)

    assert named("gpt-4o-mini") == "GPT-4o"
    assert named("gpt-5.4") == "GPT-5.4"
    assert named("o3-mini") == "o3"
    assert named("mistral-large") == "Mistral"
    assert named("deepseek-chat") == "Deepseek"
    assert named("chat-latest") == "OpenAI"
    assert named("x", chatGptLabel="Old") == "Old"
    assert named("x", "Fake") == "AI"
    assert named("claude-opus-5", "anthropic") == "Claude"
    assert named("gemma-3", "google") == "Gemma"
    assert named("gemini-3", "google") == "Gemini"
    assert sender("Fake", "m", {}, "Spec", "Label") == "Spec"


@pytest.mark.parametrize(
    ("model", "settings", "told", "expected"),
    [
        ("m-1", {}, None, 32000),
        ("m-1", {"maxContextTokens": 5000}, None, 5000),
        ("m-1", {"maxContextTokens": "6000"}, None, 6000),
        ("m-1", {"maxContextTokens": -1}, None, 32000),
        ("m-1", {}, {"m-1": {"prompt": 1, "completion": 1, "context": 777}}, 777),
        ("gpt-4o-2024", {}, None, 127500),
        ("vendor/claude-sonnet-5:beta", {}, None, 1000000),
        ("gpt-5.4-mini-2026", {}, None, 400000),
    ],
)
async def test_context_window(
    serve: Serve, model: str, settings: Any, told: Any, expected: int
) -> None:
    item = custom(models={"default": [model]}, **({"tokenConfig": told} if told else {}))
    async with catalogue(serve, {"custom": [item]}) as it:
        assert (await it.prepare(model=model, **settings)).context_tokens == expected


async def test_prices_are_there_when_they_are_shown_or_charged(serve: Serve) -> None:
    item = custom(models={"default": ["gpt-4o", "x"]})
    for yaml in ({"interface": {"contextCost": True}}, {"balance": {"enabled": True}}):
        async with catalogue(serve, {"custom": [item]}, **yaml) as it:
            assert (await it.prepare(model="gpt-4o")).prices == {
                "prompt": 2.5,
                "completion": 10,
                "cacheWrite": 2.5,
                "cacheRead": 1.25,
            }
            assert (await it.prepare(model="x")).prices == {"prompt": 6, "completion": 6}


async def test_titles_and_stream_rate(serve: Serve) -> None:
    item = custom(
        titleModel="m-2", titleMethod="structured", titlePrompt="own", titleMessageRole="user",
        streamRate=20, titleTiming="final", titlePromptTemplate="x {convo}",
    )  # fmt: skip
    async with catalogue(serve, {"custom": [item]}) as it:
        prepared = await it.prepare()
        assert prepared.stream_rate_ms == 20
        assert prepared.title == TitleSettings(
            model="m-2", method="structured", prompt="own", message_role="user", timing="final",
            prompt_template="x {convo}",
        )  # fmt: skip
    everyone = {
        "titleModel": "current_model",
        "titlePrompt": "all",
        "streamRate": 0,
        "titleConvo": False,
    }
    async with catalogue(serve, {"custom": [item], "all": everyone}) as it:
        prepared = await it.prepare()
        assert prepared.stream_rate_ms == 0
        assert (prepared.title.model, prepared.title.prompt, prepared.title.enabled) == (
            None,
            "all",
            False,
        )
    async with catalogue(serve, {"custom": [custom()]}, {"TITLE_CONVO": "false"}) as it:
        assert not (await it.prepare()).title.enabled


async def test_models_for_titles_need_not_be_listed(serve: Serve) -> None:
    items = [
        custom(titleModel="tiny"),
        custom(name="Other", titleModel="small", titleEndpoint="Fake"),
        custom(name="Third", titleModel="current_model"),
    ]
    async with catalogue(serve, {"custom": items}) as it:
        assert (await it.prepare(model="tiny")).model == "tiny"
        assert (await it.prepare(model="small")).model == "small"
        for endpoint, model in (("Other", "small"), ("Other", "tiny"), ("Third", "tiny")):
            assert "illegal" in (await it.refusal(endpoint=endpoint, model=model)).payload
    async with catalogue(serve, {"custom": [custom()], "all": {"titleModel": "tiny"}}) as it:
        assert (await it.prepare(model="tiny")).model == "tiny"


SPECS = [
    {
        "name": "poet", "label": "Poet", "iconURL": "https://x/icon.png", "webSearch": True,
        "mcpServers": ["m"], "skills": ["secret"], "subagents": {"enabled": True, "agent_ids": ["a"]},
        "preset": {"endpoint": "Fake", "model": "m-1", "promptPrefix": "Rhyme.", "temperature": 0.9},
    },
    {"name": "hidden", "label": "H", "showInMenu": False, "preset": {"endpoint": "Fake", "model": "m-1"}},
    {"name": "agent", "label": "A", "preset": {"agent_id": "agent_1"}},
    {"name": "nowhere", "label": "N", "preset": {"endpoint": "Gone"}},
    {"name": "bare", "label": "B", "preset": {"model": "x"}},
]  # fmt: skip


async def test_specs_offer(serve: Serve) -> None:
    async with catalogue(serve, {"custom": [custom()]}, modelSpecs={"list": SPECS}) as it:
        prepared = await it.prepare(spec="poet", temperature=0.1)
        assert prepared.settings == {
            "model": "m-1", "temperature": 0.1, "promptPrefix": "Rhyme.", "spec": "poet",
            "iconURL": "https://x/icon.png", "resendFiles": True,
        }  # fmt: skip
        assert prepared.icon_url == "https://x/icon.png"
        assert prepared.sender == "Poet"
        assert prepared.spec == "poet"
        assert prepared.spec_tools == {
            "webSearch": True, "mcpServers": ["m"], "skills": ["secret"],
            "subagents": {"enabled": True, "agent_ids": ["a"]},
        }  # fmt: skip
        assert (await it.prepare(spec="poet", promptPrefix="Mine")).settings[
            "promptPrefix"
        ] == "Mine"
        assert (await it.prepare(spec="poet", model=None)).model == "m-1"
        assert (await it.prepare(spec="unknown")).spec is None
        assert (await it.prepare()).spec is None
        assert (await it.prepare(spec="hidden")).spec == "hidden"
        refused = await it.refusal(spec="agent")
        assert (refused.payload, refused.denial) == ("Model spec mismatch", True)


async def test_specs_enforced(serve: Serve) -> None:
    specs = {"enforce": True, "list": SPECS}
    async with catalogue(serve, {"custom": [custom()]}, modelSpecs=specs) as it:
        for spec, text in (
            (None, "No model spec selected"),
            ("x", "Invalid model spec"),
            ("agent", "Model spec mismatch"),
        ):
            refused = await it.refusal(spec=spec)
            assert (refused.payload, refused.denial) == (text, True)
        prepared = await it.prepare(
            spec="poet", temperature=0.1, top_p=0.2, model="fake-20-0", chatProjectId="p"
        )
        assert prepared.settings["temperature"] == 0.9
        assert prepared.settings["chatProjectId"] == "p"
        assert "top_p" not in prepared.settings
        assert prepared.model == "m-1"
        # A wrong type elsewhere does not hide the spec.
        assert (await it.prepare(spec="poet", top_p="x")).spec == "poet"


async def test_startup_members(serve: Serve) -> None:
    specs = {"list": SPECS, "addedEndpoints": ["openAI"]}
    timing = {"all": {"titleTiming": "final"}, "custom": [custom()]}
    async with catalogue(serve, timing, modelSpecs=specs) as it:
        entry = it.server.kernel.services.named(STARTUP_CONFIG, "endpoints")
        assert entry.everyone() == {}
        members = entry.signed_in(ME)
        assert members["titleGenerationTiming"] == "final"
        shown = members["modelSpecs"]
        assert (shown["enforce"], shown["prioritize"], shown["addedEndpoints"]) == (
            False,
            True,
            ["openAI"],
        )
        assert [spec["name"] for spec in shown["list"]] == ["poet", "agent"]
        assert shown["list"][0] == {
            "name": "poet", "label": "Poet", "iconURL": "https://x/icon.png", "webSearch": True,
            "mcpServers": ["m"], "subagents": {"enabled": True},
            "preset": {"endpoint": "Fake", "model": "m-1", "temperature": 0.9},
        }  # fmt: skip
        assert shown["list"][1]["preset"]["endpoint"] == "agents"
    async with catalogue(serve) as it:
        entry = it.server.kernel.services.named(STARTUP_CONFIG, "endpoints")
        assert entry.signed_in(ME) == {"titleGenerationTiming": "immediate"}


async def test_user_keys(serve: Serve, provider: Any) -> None:
    item = custom(provider.url, apiKey="user_provided")
    async with catalogue(serve, {"custom": [item]}) as it:
        assert (await it.refusal()).payload == NO_KEY
        await it.store("Fake", {"apiKey": "sk-mine", "baseURL": "http://10.0.0.1/"})
        await events(await it.prepare(key="never"))
        assert provider.seen[-1].headers["authorization"] == "Bearer sk-mine"
        assert (await it.refusal(OTHER)).payload == NO_KEY
        expired = json.loads((await it.refusal(key="2020-01-02T03:04:05.000Z")).payload)
        assert (expired["type"], expired["endpoint"]) == ("expired_user_key", "Fake")
        assert "2020" in expired["expiredAt"]
        await it.prepare(key="2099-01-01T00:00:00Z")
        await it.prepare(key="nonsense")
        # What LibreChat v0.8.9 writes, and the form between.
        for form in ("v3", "v2"):
            await it.rewrite("Fake", form, {"apiKey": f"sk-{form}"})
            await events(await it.prepare())
            assert provider.seen[-1].headers["authorization"] == f"Bearer sk-{form}"
        for damaged in ("v3:00:00", "00"):
            await it.set("Fake", damaged)
            assert (await it.refusal()).payload == '{"type":"invalid_user_key"}'
        await it.store("Fake", "not json")
        assert (await it.refusal()).payload == '{"type":"invalid_user_key"}'
        await it.store("Fake", {"apiKey": ""})
        assert (await it.refusal()).payload == NO_KEY


async def test_user_addresses_are_guarded(serve: Serve, provider: Any) -> None:
    """CVE-2026-54033: a user's base URL never leads into the server's network."""
    item = custom("user_provided", apiKey="user_provided", headers={"X-Secret": "${GATEWAY}"})
    environment = {"GATEWAY": "gateway-secret"}
    async with catalogue(serve, {"custom": [item]}, environment) as it:
        await it.store("Fake", {"apiKey": "k"})
        assert (await it.refusal()).payload == '{"type":"no_base_url"}'
        for url in (provider.url, "http://169.254.169.254/v1", "http://localhost:1/v1", "http://2130706433/v1",
                    "file:///etc/passwd", "http://[::ffff:7f00:1]/v1"):  # fmt: skip
            await it.store("Fake", {"apiKey": "k", "baseURL": url})
            assert (await it.refusal()).payload == '{"type":"invalid_base_url"}'
        assert provider.seen == []
    allowed = {"custom": [item], "allowedAddresses": [f"127.0.0.1:{provider.port}"]}
    async with catalogue(serve, allowed, environment) as it:
        await it.store(
            "Fake", {"apiKey": "k-${GATEWAY}", "baseURL": f"{provider.url}/${{GATEWAY}}"}
        )
        await events(await it.prepare())
        [request] = provider.seen
        assert "x-secret" not in request.headers
        assert request.headers["authorization"] == "Bearer k-${GATEWAY}"
        assert "gateway-secret" not in json.dumps([request.path, request.headers, request.body])


async def test_openai(serve: Serve, provider: Any) -> None:
    body = {"endpoint": "openAI", "model": "gpt-4o"}
    environment = {
        "OPENAI_API_KEY": "sk-env", "OPENAI_REVERSE_PROXY": provider.url, "OPENAI_MODELS": "gpt-4o",
        "OPENAI_ORGANIZATION": "org",
    }  # fmt: skip
    async with catalogue(
        serve,
        {"openAI": {"headers": {"X-A": "{{LIBRECHAT_USER_EMAIL}}"}, "streamRate": 3}},
        environment,
    ) as it:
        prepared = await it.prepare(**body)
        assert (prepared.endpoint_type, prepared.provider, prepared.sender) == (
            None,
            "openAI",
            "GPT-4o",
        )
        assert prepared.stream_rate_ms == 3
        await events(prepared)
        headers = provider.seen[-1].headers
        assert (headers["authorization"], headers["x-a"]) == ("Bearer sk-env", "ann@example.com")
        assert "openai-organization" not in headers
    async with catalogue(serve, environment={"OPENAI_API_KEY": "user_provided"}) as it:
        assert (await it.refusal(**body)).payload == NO_KEY
    async with catalogue(serve) as it:
        assert "API Key not provided" in (await it.refusal(**body)).payload
    both = {"OPENAI_API_KEY": "user_provided", "OPENAI_REVERSE_PROXY": "user_provided"}
    async with catalogue(serve, environment=both) as it:
        await it.store("openAI", {"apiKey": "k"})
        assert (await it.refusal(**body)).payload == '{"type":"no_base_url"}'
        await it.store("openAI", {"apiKey": "k", "baseURL": provider.url})
        assert (await it.refusal(**body)).payload == '{"type":"invalid_base_url"}'


async def test_azure_groups(serve: Serve, provider: Any) -> None:
    groups = [
        {
            "group": "one", "apiKey": "${AZ}", "instanceName": "inst", "version": "2024-01",
            "baseURL": f"{provider.url}/${{INSTANCE_NAME}}/${{DEPLOYMENT_NAME}}",
            "additionalHeaders": {"X-G": "${AZ}"}, "addParams": {"seed": 1}, "dropParams": ["user"],
            "models": {"gpt-4o": {"deploymentName": "dep", "version": "2025-02"}, "gpt-5": True},
        },
        {
            "group": "two", "apiKey": "k2", "serverless": True, "baseURL": f"{provider.url}/serverless",
            "models": {"llama-3.3": True}, "assistants": True,
        },
    ]  # fmt: skip
    async with catalogue(serve, {"azureOpenAI": {"groups": groups}}, {"AZ": "k1"}) as it:
        models = await it.catalogue.models(ME)
        assert models["azureOpenAI"] == ["gpt-4o", "gpt-5", "llama-3.3"]
        assert models["azureAssistants"] == ["llama-3.3"]
        assert (await it.catalogue.entries(ME))["azureOpenAI"] == {"userProvide": False, "order": 4}
        prepared = await it.prepare(endpoint="azureOpenAI", model="gpt-4o")
        await events(prepared)
        request = provider.seen[-1]
        assert request.path == "/v1/inst/dep/chat/completions?api-version=2025-02"
        assert (request.headers["api-key"], request.headers["x-g"]) == ("k1", "k1")
        assert "authorization" not in request.headers
        assert (request.body["model"], request.body["seed"]) == ("dep", 1)
        assert "user" not in request.body
        await events(
            await it.prepare(endpoint="azureOpenAI", model="gpt-5", max_tokens=5, temperature=1)
        )
        request = provider.seen[-1]
        assert request.path == "/v1/inst/gpt-5/chat/completions?api-version=2024-01"
        assert request.body["max_completion_tokens"] == 5
        assert "temperature" not in request.body
        await events(await it.prepare(endpoint="azureOpenAI", model="llama-3.3"))
        assert provider.seen[-1].path == "/v1/serverless/chat/completions"
        assert provider.seen[-1].headers["api-key"] == "k2"


async def test_azure_environment(serve: Serve, provider: Any) -> None:
    environment = {
        "AZURE_API_KEY": "ek", "AZURE_OPENAI_API_INSTANCE_NAME": "inst", "AZURE_OPENAI_API_VERSION": "v",
        "AZURE_OPENAI_API_DEPLOYMENT_NAME": "dep", "AZURE_OPENAI_BASEURL": f"{provider.url}/${{INSTANCE_NAME}}/${{DEPLOYMENT_NAME}}",
        "AZURE_OPENAI_DEFAULT_MODEL": "gpt-4o",
    }  # fmt: skip
    body = {"endpoint": "azureOpenAI", "model": "gpt-5.4"}
    async with catalogue(serve, environment=environment) as it:
        assert (await it.catalogue.entries(ME))["azureOpenAI"] == {
            "userProvide": False,
            "userProvideURL": False,
            "order": 4,
        }
        await events(await it.prepare(**body))
        assert provider.seen[-1].path == "/v1/inst/dep/chat/completions?api-version=v"
        assert provider.seen[-1].body["model"] == "gpt-4o"
    named = {**environment, "AZURE_USE_MODEL_AS_DEPLOYMENT_NAME": "true"}
    async with catalogue(serve, environment=named) as it:
        await events(await it.prepare(**body))
        assert provider.seen[-1].path == "/v1/inst/gpt-54/chat/completions?api-version=v"
    async with catalogue(serve, environment={"AZURE_API_KEY": "ek"}) as it:
        assert "not provided" in (await it.refusal(**body)).payload
    async with catalogue(serve, environment={"AZURE_API_KEY": "user_provided"}) as it:
        assert (await it.refusal(**body)).payload == NO_KEY
        await it.store("azureOpenAI", {"apiKey": "bare"})
        assert (await it.refusal(**body)).payload == '{"type":"invalid_user_key"}'
        sly = {
            "azureOpenAIApiKey": "k",
            "azureOpenAIApiInstanceName": "localhost/#",
            "azureOpenAIApiVersion": "v",
        }
        await it.store("azureOpenAI", {"apiKey": json.dumps(sly)})
        assert (await it.refusal(**body)).payload == '{"type":"invalid_base_url"}'


async def test_every_option_of_a_custom_endpoint(serve: Serve, provider: Any) -> None:
    item = custom(
        f"{provider.url}/exact?x=1", directEndpoint=True, headers={"Authorization": "Token ${T}", "X-C": "{{LIBRECHAT_BODY_CONVERSATIONID}}"},
        addParams={"temperature": 1, "safe": True, "streamUsage": True}, dropParams=["user"],
        customParams={"reasoningKey": "reasoning", "reasoningFormat": "reasoning_object",
                      "paramDefinitions": [{"key": "top_p", "default": 0.4}, {"key": "temperature", "range": {"min": 0, "max": 1, "step": 0.1}}]},
    )  # fmt: skip
    async with catalogue(serve, {"custom": [item]}, {"T": "tok"}) as it:
        prepared = await it.prepare(temperature=0.1, reasoning_effort="low")
        await events(prepared, ModelCall(ASK.messages, headers_context={"conversationId": "c-9"}))
        request = provider.seen[-1]
        assert request.path == "/v1/exact?x=1"
        assert (request.headers["authorization"], request.headers["x-c"]) == ("Token tok", "c-9")
        assert request.body == {
            "model": "m-1", "stream": True, "stream_options": {"include_usage": True},
            "temperature": 1, "safe": True, "top_p": 0.4, "reasoning": {"effort": "low"},
            "messages": [{"role": "user", "content": "hi"}],
        }  # fmt: skip


async def test_failures_hold_no_key_and_no_address(serve: Serve, provider: Any, kit: Any) -> None:
    item = custom(
        provider.url,
        apiKey="secret-key-1234",
        headers={"X-Gate": "gate-secret-1", "X-Flag": "true"},
    )
    message = f"true: {provider.url}/chat with secret-key-1234 and gate-secret-1 at 127.0.0.1:{provider.port}"
    provider.replies = [kit.answer(400, {"error": {"message": message}})]
    async with catalogue(serve, {"custom": [item]}) as it:
        prepared = await it.prepare()
        with pytest.raises(ModelFailure) as caught:
            await events(prepared)
        assert str(caught.value) == "400 true: ***/chat with *** and *** at ***"
        assert "secret" not in repr(prepared)


async def test_problems_are_told(serve: Serve) -> None:
    endpoints = {"custom": [custom(provider="anthropic"), custom(name="Unset", apiKey="${NOPE}")]}
    async with catalogue(serve, endpoints) as it:
        assert "provider: anthropic" in (await it.refusal()).payload
        refused = await it.refusal(endpoint="Unset")
        assert "NOPE" in refused.payload
        assert "fake-key" not in refused.payload


async def test_a_broken_provider_is_left_out(serve: Serve) -> None:
    from locutory import Plugin, Provide, hook
    from locutory_contracts.models import LLM_PROVIDERS

    class Broken:
        async def entries(self, principal: Any) -> Any:
            raise RuntimeError("broken")

        models = entries

        def describe(self, endpoint: str) -> Any:
            return {}

    class BrokenPlugin(Plugin):
        name = "broken"
        summary = "Always fails"
        provides = (LLM_PROVIDERS,)

        @hook
        def services(self) -> Any:
            return [Provide(LLM_PROVIDERS, Broken(), "broken")]

    async with serve(
        "endpoints", BrokenPlugin(), environment=QUIET, yaml={"endpoints": {"custom": [custom()]}}
    ) as server:
        it = Catalogued(server)
        assert "Fake" in await it.catalogue.entries(ME)
        assert (await it.prepare()).model == "m-1"
