"""Model lists: asking, remembering, falling back; reload; Ollama; speed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from locutory import Principal
from locutory.config.configuration import Sources
from locutory_contracts.models import CATALOGUE, LLM_PROVIDERS, ModelCall, ModelRefused, TextDelta
from locutory_endpoints.keystore import KeyStore
from locutory_endpoints.tables import defaults
from locutory_endpoints.wire.connections import Connections
from locutory_endpoints.wire.lists import (
    FAILED_SECONDS,
    FRESH_SECONDS,
    STALE_SECONDS,
    ListRequest,
    ModelLists,
)
from locutory_http import Outgoing
from locutory_testing import Serve
from locutory_testing.waiting import PATIENCE, until

QUIET = {"LOCUTORY_OLLAMA": "false"}
ANN = Principal("a" * 24, account={"email": "ann@example.com"})
BOB = Principal("b" * 24, account={"email": "bob@example.com"})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    made = Connections(Outgoing(), 1, 1)
    yield made
    await made.close()


def request(provider: Any, connections: Connections, **changes: Any) -> ListRequest:
    options: dict[str, Any] = {
        "name": "x", "base": provider.url, "client": connections.configured(provider.url),
        "headers": {"Authorization": "Bearer k"}, **changes,
    }  # fmt: skip
    return ListRequest(**options)


async def test_a_list_is_remembered_and_refreshed(provider: Any, connections: Connections) -> None:
    clock = Clock()
    lists = ModelLists(5, clock)
    ask = request(provider, connections)
    first = await lists.ask(ask)
    assert first.models == ("m-1", "m-2")
    assert provider.seen[0].path == "/v1/models"
    assert provider.seen[0].headers["authorization"] == "Bearer k"
    clock.now += FRESH_SECONDS - 1
    assert await lists.ask(ask) is first
    assert len(provider.seen) == 1
    provider.models = [{"id": "m-3"}]
    clock.now += 2
    assert await lists.ask(ask) is first  # an older list at once, a new one in the background
    await asyncio.gather(*lists._asking.values())
    assert (await lists.ask(ask)).models == ("m-3",)
    clock.now += STALE_SECONDS + 1
    provider.models = [{"id": "m-4"}]
    assert (await lists.ask(ask)).models == ("m-4",)
    lists.forget()
    await lists.ask(ask)
    assert len(provider.seen) == 4


async def test_askers_share_a_request(provider: Any, connections: Connections) -> None:
    lists = ModelLists(5)
    found = await asyncio.gather(*(lists.ask(request(provider, connections)) for _ in range(10)))
    assert len(provider.seen) == 1
    assert all(listing is found[0] for listing in found)


async def test_credentials_and_owners_do_not_share(provider: Any, connections: Connections) -> None:
    lists = ModelLists(5)
    for changes in (
        {},
        {"headers": {"Authorization": "Bearer other"}},
        {"owner": "ann"},
        {"owner": "bob"},
    ):
        await lists.ask(request(provider, connections, **changes))
    assert len(provider.seen) == 4
    made = request(provider, connections)
    assert "Bearer" not in repr(made)
    assert "k" not in made.key.strip("0123456789abcdef")


@pytest.mark.parametrize("models", [[], [{"no": "id"}], "x", None, [{"id": 5}], [{"id": ""}]])
async def test_no_list_is_empty_and_not_asked_for_again_at_once(
    provider: Any, connections: Connections, models: Any
) -> None:
    clock = Clock()
    lists = ModelLists(5, clock)
    provider.models = models
    ask = request(provider, connections)
    assert (await lists.ask(ask)).models == ()
    assert (await lists.ask(ask)).models == ()
    assert len(provider.seen) == 1
    clock.now += FAILED_SECONDS + 1
    provider.models = [{"id": "back"}]
    assert (await lists.ask(ask)).models == ("back",)


async def test_an_outage_keeps_the_last_list_for_a_while(
    provider: Any, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    lists = ModelLists(5, clock)
    ask = request(provider, connections)
    await lists.ask(ask)
    provider.models = "broken"
    clock.now += FRESH_SECONDS + 1
    await lists.ask(ask)
    await asyncio.gather(*lists._asking.values())
    assert (await lists.ask(ask)).models == ("m-1", "m-2")
    clock.now += STALE_SECONDS
    assert (await lists.ask(ask)).models == ()


async def test_slow_and_unreachable_providers(connections: Connections) -> None:
    class Nobody:
        url = "http://127.0.0.1:9/v1"

    assert (await ModelLists(1).ask(request(Nobody(), connections))).models == ()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)

    class Slow:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"

    async with asyncio.timeout(PATIENCE):
        assert (await ModelLists(0.2).ask(request(Slow(), connections))).models == ()
    server.close()


async def test_official_lists_are_sifted(provider: Any, connections: Connections) -> None:
    names = ["whisper-1", "gpt-3.5-turbo-instruct", "gpt-4o", "gpt-4o-audio-preview", "o3", "dall-e-3",
             "gpt-4o-realtime", "chat-latest", "gpt-4o"]  # fmt: skip
    provider.models = [{"id": name} for name in names]
    found = await ModelLists(5).ask(request(provider, connections, official=True))
    assert found.models == ("gpt-4o", "o3", "chat-latest", "gpt-3.5-turbo-instruct")


async def test_lists_that_tell_prices(provider: Any, connections: Connections) -> None:
    pricing = {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003"}
    provider.models = [{"id": "a/b", "pricing": pricing, "context_length": 200000}]
    found = await ModelLists(5).ask(request(provider, connections))
    assert found.token_config == {
        "a/b": {"prompt": 3, "completion": 15, "context": 200000, "cacheRead": 0.3}
    }
    provider.models.append({"id": "plain"})
    assert (await ModelLists(5).ask(request(provider, connections))).token_config == {}


def custom(provider: Any, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Fake", "apiKey": "k", "baseURL": provider.url,
        "models": {"default": ["d-1", {"name": "d-2", "description": "x"}], "fetch": True}, **changes,
    }  # fmt: skip


async def models_of(server: Any, principal: Principal = ANN) -> Any:
    return await server.kernel.services.get(CATALOGUE).models(principal)


async def test_fetched_and_default_lists(serve: Serve, provider: Any) -> None:
    class Nobody:
        url = "http://127.0.0.1:9/v1"

    items = [
        custom(provider), custom(provider, name="Twin"), custom(Nobody(), name="Down"),
        custom(provider, name="Never", models={"default": ["n"], "fetch": False}),
        custom(provider, name="ollama box"),
        custom(provider, name="Direct", baseURL=f"{provider.url}/chat/completions", directEndpoint=True),
    ]  # fmt: skip
    async with serve(
        "endpoints", environment=QUIET, yaml={"endpoints": {"custom": items}}
    ) as server:
        models = await models_of(server)
        assert models["Fake"] == models["Twin"] == models["Direct"] == ["m-1", "m-2"]
        assert models["Down"] == ["d-1", "d-2"]
        assert models["Never"] == ["n"]
        assert sorted(request.path for request in provider.seen) == ["/api/tags", "/v1/models"]
        assert await models_of(server, BOB) is models


async def test_openai_lists(serve: Serve, provider: Any) -> None:
    provider.models = [{"id": "gpt-x"}, {"id": "whisper"}]
    environment = {
        **QUIET,
        "OPENAI_API_KEY": "k",
        "OPENAI_REVERSE_PROXY": f"{provider.url}/deep/path",
    }
    async with serve("endpoints", environment=environment) as server:
        assert (await models_of(server))["openAI"] == ["gpt-x", "whisper"]
        assert provider.seen[-1].path == "/v1/models"
    provider.models = []
    async with serve("endpoints", environment=environment) as server:
        assert (await models_of(server))["openAI"] == list(defaults.OPENAI)


async def test_lists_of_users(serve: Serve, provider: Any) -> None:
    """What one user's key, headers or id brought is never shown to another."""
    items = [
        custom(provider, apiKey="user_provided"),
        custom(provider, name="Query", models={"default": ["q"], "fetch": True, "userIdQuery": True}),
        custom(provider, name="Header", headers={"X-Mail": "{{LIBRECHAT_USER_EMAIL}}", "X-Gone": "{{LIBRECHAT_OPENID_TOKEN}}"}),
    ]  # fmt: skip
    async with serve(
        "endpoints", environment=QUIET, yaml={"endpoints": {"custom": items}}
    ) as server:
        kernel = server.kernel
        keys = KeyStore(kernel.database, kernel.credentials)
        await keys.put(ANN.id, "Fake", '{"apiKey":"ann-key"}', None)
        provider.models = [{"id": "ann-model"}]
        ann = await models_of(server)
        assert ann["Fake"] == ann["Query"] == ann["Header"] == ["ann-model"]
        seen = {
            request.path + request.headers["authorization"]: request.headers
            for request in provider.seen
        }
        assert "/v1/modelsBearer ann-key" in seen
        assert f"/v1/models?user={ANN.id}Bearer k" in seen
        assert any(
            headers.get("x-mail") == "ann@example.com" and "x-gone" not in headers
            for headers in seen.values()
        )
        provider.models = [{"id": "bob-model"}]
        bob = await models_of(server, BOB)
        assert bob["Fake"] == ["d-1", "d-2"]
        assert bob["Query"] == bob["Header"] == ["bob-model"]
        assert (await models_of(server))["Query"] == ["ann-model"]
        catalogue = kernel.services.get(CATALOGUE)
        with pytest.raises(ModelRefused):
            await catalogue.prepare({"endpoint": "Fake", "model": "ann-model"}, BOB)


async def test_reload_takes_new_endpoints(serve: Serve, provider: Any) -> None:
    one = custom(provider, name="One")
    async with serve(
        "endpoints", environment=QUIET, yaml={"endpoints": {"custom": [one]}}
    ) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        assert "One" in await catalogue.entries(ANN)
        changed = {
            "endpoints": {"custom": [custom(provider, name="Two")]},
            "modelSpecs": {
                "enforce": True,
                "list": [
                    {"name": "s", "label": "S", "preset": {"endpoint": "Two", "model": "m-1"}}
                ],
            },
        }
        server.kernel.reload(Sources(server.kernel.environment, changed))
        assert set(await catalogue.entries(ANN)) == {"agents", "Two"}
        assert (await catalogue.models(ANN))["Two"] == ["m-1", "m-2"]
        assert (
            await catalogue.prepare({"endpoint": "Two", "model": "m-1", "spec": "s"}, ANN)
        ).spec == "s"
        broken = {"endpoints": {"custom": {"name": "Three"}}}
        server.kernel.reload(Sources(server.kernel.environment, broken))
        assert "Two" in await catalogue.entries(ANN)


async def test_a_local_ollama_is_found(serve: Serve, provider: Any) -> None:
    root = provider.url.removesuffix("/v1")
    provider.models = [{"id": "llama3.2:latest"}]
    async with serve("endpoints", environment={"LOCUTORY_OLLAMA_URL": root}) as server:
        catalogue = server.kernel.services.get(CATALOGUE)

        async def found() -> bool:
            return "ollama" in await catalogue.entries(ANN)

        await until(found)
        assert (await catalogue.entries(ANN))["ollama"]["type"] == "custom"
        assert "Guide" not in await catalogue.entries(ANN)
        assert (await catalogue.models(ANN))["ollama"] == ["llama3.2:latest"]
        prepared = await catalogue.prepare({"endpoint": "ollama", "model": "llama3.2:latest"}, ANN)
        assert prepared.sender == "Ollama"
        assert prepared.context_tokens == 127500
        call = ModelCall([{"role": "user", "content": "hi"}])
        assert TextDelta("Hello ") in [event async for event in prepared.chat.stream(call)]
        assert provider.seen[-1].path == "/v1/chat/completions"


async def test_no_ollama_where_one_is_configured_or_none_answers(
    serve: Serve, provider: Any
) -> None:
    environment = {"LOCUTORY_OLLAMA_URL": provider.url.removesuffix("/v1")}
    mine = custom(provider, name="Ollama", models={"default": ["mine"]})
    async with serve(
        "endpoints", environment=environment, yaml={"endpoints": {"custom": [mine]}}
    ) as server:
        assert (await models_of(server))["ollama"] == ["mine"]
        await asyncio.sleep(0.1)
        assert provider.seen == []
    async with serve(
        "endpoints", environment={"LOCUTORY_OLLAMA_URL": "http://127.0.0.1:9"}
    ) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        ollama = server.kernel.services.named(LLM_PROVIDERS, "ollama")
        assert ollama is not None
        await asyncio.sleep(0.1)
        assert set(await catalogue.entries(ANN)) == {"agents", "Guide"}
        assert await ollama.models(ANN) == {}


async def test_ollama_that_starts_or_stops_later(serve: Serve, provider: Any) -> None:
    environment = {"LOCUTORY_OLLAMA_URL": provider.url.removesuffix("/v1")}
    provider.models = []
    async with serve("endpoints", environment=environment) as server:
        ollama: Any = server.kernel.services.named(LLM_PROVIDERS, "ollama")
        await asyncio.sleep(0.1)
        assert await ollama.entries(ANN) == {}
        for models, expected in (([{"id": "x"}], {"ollama": ["x"]}), ("odd", {})):
            provider.models = models
            ollama._looked = None

            async def settled(expected: Any = expected) -> bool:
                return bool(await ollama.models(ANN) == expected)

            await until(settled)


async def test_hot_routes_encode_once(serve: Serve, provider: Any) -> None:
    """Nothing has changed: the same bytes again, whatever is configured."""
    items = [custom(provider, name=f"Endpoint {number}") for number in range(10)]
    environment = {**QUIET, "OPENAI_API_KEY": "k", "OPENAI_REVERSE_PROXY": provider.url}
    async with serve(
        "endpoints", environment=environment, yaml={"endpoints": {"custom": items}}
    ) as server:
        catalogue: Any = server.kernel.services.get(CATALOGUE)
        for body in (catalogue.entries_body, catalogue.models_body):
            first = await body(ANN)
            assert await body(ANN) is first


async def test_a_default_model_that_is_not_listed_can_be_used(serve: Serve, provider: Any) -> None:
    """llama.cpp lists the path of a file, and answers to any name."""
    provider.models = [{"id": "/models/some.gguf"}]
    mine = custom(provider, models={"default": ["some"], "fetch": True})
    async with serve("endpoints", yaml={"endpoints": {"custom": [mine]}}) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        assert (await catalogue.models(ANN))[mine["name"]] == ["/models/some.gguf"]
        body = {"endpoint": mine["name"], "model": "some"}
        assert (await catalogue.prepare(body, ANN)).model == "some"
