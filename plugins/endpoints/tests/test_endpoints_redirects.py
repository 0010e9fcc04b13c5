"""Model servers that send requests on to another address."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from locutory import Principal
from locutory_contracts.models import CATALOGUE, ModelCall, ModelFailure, TextDelta
from locutory_endpoints.wire.redirects import MAX_REDIRECTS, same_host
from locutory_testing import Serve

QUIET = {"LOCUTORY_OLLAMA": "false"}
ANN = Principal("a" * 24)


@pytest.fixture
async def other(provider: Any) -> AsyncIterator[Any]:
    """A second server."""
    fake = type(provider)("")
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    fake.replies = list(provider.replies)
    yield fake
    server.close()
    for task in list(fake.handlers):
        task.cancel()
    await asyncio.gather(*fake.handlers, return_exceptions=True)


def configured(provider: Any, **changes: Any) -> dict[str, Any]:
    endpoint = {
        "name": "Moved",
        "apiKey": "sk-secret-key",
        "baseURL": provider.url,
        "headers": {"X-Secret": "configured", "X-Conversation": "c"},
        "models": {"default": ["m"], "fetch": False},
        **changes,
    }
    return {"custom": [endpoint]}


async def said(serve: Serve, endpoints: dict[str, Any]) -> str:
    """What a model of the configuration answers."""
    async with serve("endpoints", environment=QUIET, yaml={"endpoints": endpoints}) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        prepared = await catalogue.prepare({"endpoint": "Moved", "model": "m"}, ANN)
        stream = prepared.chat.stream(ModelCall([{"role": "user", "content": "hi"}]))
        return "".join([event.text async for event in stream if isinstance(event, TextDelta)])


@pytest.mark.parametrize("status", [307, 308])
async def test_within_the_server_everything_is_sent_again(
    serve: Serve, provider: Any, kit: Any, status: int
) -> None:
    moved = kit.answer(status, headers={"location": "/v2/chat?x=1"})
    provider.replies = [moved, *provider.replies]
    assert await said(serve, configured(provider)) == "Hello world"
    first, second = provider.seen
    assert (second.method, second.path) == ("POST", "/v2/chat?x=1")
    assert second.body == first.body
    assert second.headers["authorization"] == "Bearer sk-secret-key"
    assert second.headers["x-secret"] == "configured"


async def test_another_server_gets_no_credentials(
    serve: Serve, provider: Any, other: Any, kit: Any
) -> None:
    provider.replies = [kit.answer(307, headers={"location": f"{other.url}/chat/completions"})]
    allowed = {"allowedAddresses": [f"127.0.0.1:{other.port}"]}
    assert await said(serve, configured(provider) | allowed) == "Hello world"
    (request,) = other.seen
    assert request.body == provider.seen[0].body
    assert not {"authorization", "x-secret", "x-conversation"} & set(request.headers)


async def test_a_private_address_is_not_reached(
    serve: Serve, provider: Any, other: Any, kit: Any
) -> None:
    """The operator named one server; where it sends us is only its own word."""
    provider.replies = [kit.answer(308, headers={"location": f"{other.url}/chat/completions"})]
    retries = {"plugins": {"endpoints": {"retries": 0}}}
    async with serve(
        "endpoints", environment=QUIET, yaml={"endpoints": configured(provider), **retries}
    ) as server:
        catalogue = server.kernel.services.get(CATALOGUE)
        prepared = await catalogue.prepare({"endpoint": "Moved", "model": "m"}, ANN)
        stream = prepared.chat.stream(ModelCall([{"role": "user", "content": "hi"}]))
        with pytest.raises(ModelFailure, match="Connection error"):
            await anext(stream)
    assert other.seen == []


@pytest.mark.parametrize(
    ("status", "location", "shown", "requests"),
    [
        (307, "/again", "307 status code (no body)", MAX_REDIRECTS + 1),
        (307, "file:///etc/passwd", "307 status code (no body)", 1),
        (308, "http://user:word@127.0.0.1/", "308 status code (no body)", 1),
        (301, "/again", "301 status code (no body)", 1),
        (303, "/again", "303 status code (no body)", 1),
    ],
)
async def test_what_is_not_followed(
    serve: Serve, provider: Any, kit: Any, status: int, location: str, shown: str, requests: int
) -> None:
    provider.replies = [kit.answer(status, headers={"location": location})]
    with pytest.raises(ModelFailure) as caught:
        await said(serve, configured(provider))
    assert str(caught.value) == shown
    assert len(provider.seen) == requests


async def test_model_lists_are_followed_too(serve: Serve, provider: Any, other: Any) -> None:
    """A list is asked for by GET, which every redirect keeps."""
    locations = {"/v1/models": f"{other.url}/models"}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = locations[head.split(" ")[1]]
        writer.write(f"HTTP/1.1 302 X\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        models = {"default": ["m"], "fetch": True}
        endpoints = configured(provider, baseURL=f"http://127.0.0.1:{port}/v1", models=models)
        for allowed, expected in (([f"127.0.0.1:{other.port}"], ["m-1", "m-2"]), ([], ["m"])):
            yaml = {"endpoints": endpoints | {"allowedAddresses": allowed}}
            async with serve("endpoints", environment=QUIET, yaml=yaml) as running:
                catalogue = running.kernel.services.get(CATALOGUE)
                assert (await catalogue.models(ANN))["Moved"] == expected
    assert "authorization" not in other.seen[0].headers


@pytest.mark.parametrize(
    ("url", "target", "same"),
    [
        ("http://a/x", "http://a/y", True),
        ("http://a:80/x", "http://a/y", True),
        ("http://a/x", "https://a/y", True),
        ("https://a/x", "http://a/y", False),
        ("http://a:8080/x", "https://a/y", False),
        ("http://a/x", "http://a:8080/y", False),
        ("https://a/x", "https://b.a/y", False),
        ("https://A/x", "https://a/y", True),
    ],
)
def test_what_is_the_same_server(url: str, target: str, *, same: bool) -> None:
    assert same_host(url, target) is same
