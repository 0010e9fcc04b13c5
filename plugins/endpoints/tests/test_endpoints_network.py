"""Model servers behind proxies and private authorities."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from locutory import Principal
from locutory_contracts.models import CATALOGUE, ModelCall, ModelEvent, ModelFailure, TextDelta
from locutory_testing import Serve
from locutory_testing.network import Authority, ForwardProxy

QUIET = {"LOCUTORY_OLLAMA": "false"}
ANN = Principal("a" * 24, account={"email": "ann@example.com"})
ASK = ModelCall([{"role": "user", "content": "hi"}])


def custom(url: str, name: str = "Fake", fetch: bool = True) -> dict[str, Any]:
    models = {"default": ["d-1"], "fetch": fetch}
    return {"name": name, "apiKey": "k", "baseURL": url, "models": models}


async def chat(server: Any, endpoint: str = "Fake") -> list[ModelEvent]:
    catalogue = server.kernel.services.get(CATALOGUE)
    model = (await catalogue.models(ANN))[endpoint][0]
    prepared = await catalogue.prepare({"endpoint": endpoint, "model": model}, ANN)
    return [event async for event in prepared.chat.stream(ASK)]


@pytest.fixture
async def proxy() -> AsyncIterator[ForwardProxy]:
    async with ForwardProxy().running() as made:
        yield made


@pytest.mark.parametrize("variable", ["PROXY", "HTTP_PROXY", "http_proxy"])
async def test_lists_and_chats_go_through_the_proxy(
    serve: Serve, provider: Any, proxy: ForwardProxy, variable: str
) -> None:
    yaml = {"endpoints": {"custom": [custom(provider.url)]}}
    environment = {**QUIET, variable: proxy.place}  # no scheme: http
    async with serve("endpoints", environment=environment, yaml=yaml) as server:
        assert TextDelta("Hello ") in await chat(server)
    assert proxy.seen == [f"GET {provider.url}/models", f"POST {provider.url}/chat/completions"]


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
async def test_exceptions_do_not(
    serve: Serve, provider: Any, proxy: ForwardProxy, variable: str
) -> None:
    near = provider.url.replace("127.0.0.1", "localhost")
    yaml = {"endpoints": {"custom": [custom(near)]}}
    environment = {**QUIET, "PROXY": proxy.url, variable: "localhost,.example.org"}
    async with serve("endpoints", environment=environment, yaml=yaml) as server:
        assert TextDelta("Hello ") in await chat(server)
    assert proxy.seen == []


async def test_addresses_of_users_do_not(serve: Serve, provider: Any, proxy: ForwardProxy) -> None:
    """Neither past the guard nor, when the operator allows one, through the proxy."""
    items = [{**custom(provider.url, fetch=False), "baseURL": "user_provided"}]
    allowed = f"127.0.0.1:{provider.port}"
    for addresses in ([], [allowed]):
        yaml = {"endpoints": {"custom": items, "allowedAddresses": addresses}}
        environment = {**QUIET, "PROXY": proxy.url}
        async with serve("endpoints", environment=environment, yaml=yaml) as server:
            from locutory_endpoints.keystore import KeyStore

            keys = KeyStore(server.kernel.database, server.kernel.credentials)
            brought = f'{{"apiKey":"k","baseURL":"{provider.url}"}}'
            await keys.put(ANN.id, "Fake", brought, None)
            if addresses:
                assert TextDelta("Hello ") in await chat(server)
            else:
                with pytest.raises(Exception, match="invalid_base_url"):
                    await chat(server)
    assert proxy.seen == []
    assert len(provider.seen) == 1


async def test_where_a_server_redirects_to_is_checked_and_reached_through_the_proxy(
    serve: Serve, provider: Any, proxy: ForwardProxy, kit: Any
) -> None:
    elsewhere = provider.url.replace("127.0.0.1", "localhost") + "/chat/completions"
    moved = kit.answer(307, headers={"location": elsewhere})
    answer = provider.replies[0]
    endpoints = {"custom": [custom(provider.url, fetch=False)]}
    environment = {**QUIET, "PROXY": proxy.url}
    for allowed in ([], [f"localhost:{provider.port}"]):
        provider.replies = [moved, answer]
        proxy.seen.clear()
        yaml = {
            "endpoints": {**endpoints, "allowedAddresses": allowed},
            "plugins": {"endpoints": {"retries": 0}},
        }
        async with serve("endpoints", environment=environment, yaml=yaml) as server:
            if allowed:
                assert TextDelta("Hello ") in await chat(server)
            else:
                with pytest.raises(ModelFailure, match="Connection error"):
                    await chat(server)
        asked = [f"POST {provider.url}/chat/completions", f"POST {elsewhere}"]
        assert proxy.seen == asked[: 1 + len(allowed)]
    assert "authorization" not in provider.seen[-1].headers


async def test_a_private_authority(serve: Serve, provider: Any, tmp_path: Path) -> None:
    authority = Authority(tmp_path, key_identifiers=False)
    tls = authority.server("localhost")
    server_ = await asyncio.start_server(provider.handle, "127.0.0.1", 0, ssl=tls)
    url = f"https://localhost:{server_.sockets[0].getsockname()[1]}/v1"
    yaml = {"endpoints": {"custom": [custom(url)]}}
    trusting = {**QUIET, "NODE_EXTRA_CA_CERTS": str(authority.file)}
    async with serve("endpoints", environment=trusting, yaml=yaml) as server:
        assert TextDelta("Hello ") in await chat(server)
    async with serve("endpoints", environment=QUIET, yaml=yaml) as server:
        with pytest.raises(ModelFailure, match="certificate of the model's server is not trusted"):
            await chat(server)
    server_.close()


async def test_one_endpoint_takes_nothing_from_the_others(
    serve: Serve, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is none, a list that cannot be asked for: only that one is left out."""
    from locutory_endpoints.providers.custom import CustomProvider

    items = [
        custom(provider.url, "Good"),
        custom("http://[::1/v1", "Brackets"),
        custom("http://localhost:99999/v1", "Port"),
        custom("localhost:11434/v1", "Scheme"),
        custom(provider.url, "Broken"),
    ]
    ask = CustomProvider._list_request

    def request(self: Any, endpoint: Any, *rest: Any) -> Any:
        if endpoint.name == "Broken":
            raise ValueError("cannot be asked")
        return ask(self, endpoint, *rest)

    monkeypatch.setattr(CustomProvider, "_list_request", request)
    yaml = {"endpoints": {"custom": items}}
    async with serve("endpoints", environment=QUIET, yaml=yaml) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        models = await catalogue.models(ANN)
        assert models["Good"] == ["m-1", "m-2"]
        assert models["Broken"] == ["d-1"]
        assert set(await catalogue.entries(ANN)) == {"Good", "Broken", "agents"}
        assert TextDelta("Hello ") in await chat(server, "Good")


@pytest.mark.parametrize(
    "environment",
    [{"PROXY": "ftp://ann:geheim@x"}, {"https_proxy": "http://ann:geheim@x:port"}],
)
async def test_a_proxy_that_is_none_is_named_before_anything_starts(
    serve: Serve, environment: dict[str, str]
) -> None:
    from locutory import StartupError

    with pytest.raises(StartupError) as failure:
        async with serve("endpoints", environment=environment):
            pass
    assert next(iter(environment)).upper() in str(failure.value)
    assert "geheim" not in str(failure.value)
