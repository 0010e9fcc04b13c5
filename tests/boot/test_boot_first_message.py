"""The first thing that a newcomer types is answered."""

import json
from typing import Any

import httpx2
import pytest

from locutory.plugins import discovery
from locutory_testing import Serve
from tests.boot.person import ENVIRONMENT, ROOT_MESSAGE, Person, custom_endpoint

ALONE = {**ENVIRONMENT, "LOCUTORY_OLLAMA": "false"}


async def answered(client: httpx2.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    """The final event of a turn."""
    started = await client.post(f"/api/agents/chat{path}", json={"text": "hello", **body})
    assert started.status_code == 200, started.text
    stream = await client.get(f"/api/agents/chat/stream/{started.json()['streamId']}")
    lines = [line[6:] for line in stream.text.splitlines() if line.startswith("data: ")]
    final: dict[str, Any] = json.loads(lines[-1])
    assert final.get("final"), final
    return final


async def as_the_client_does(client: httpx2.AsyncClient) -> dict[str, Any]:
    """The client opens a first chat with the endpoint of the lowest order, and its first model."""
    picker = (await client.get("/api/endpoints")).json()
    endpoint = min(picker, key=lambda name: picker[name]["order"])
    model = (await client.get("/api/models")).json()[endpoint][0]
    body = {
        "endpoint": endpoint,
        "endpointType": picker[endpoint].get("type"),
        "model": model,
        "parentMessageId": ROOT_MESSAGE,
        "conversationId": None,
        "generationProtocolVersion": 2,
    }
    return await answered(client, f"/{endpoint}", **body)


@pytest.mark.parametrize("configured", [False, True])
async def test_a_first_hello_is_answered(
    serve: Serve, fake_model: str, *, configured: bool
) -> None:
    """On a server without any model, and on one with a custom endpoint alone."""
    names = sorted(discovery.available())
    yaml = custom_endpoint(fake_model) if configured else {}
    endpoint, words = ("Fake", "hello") if configured else ("Guide", "I am the **guide**")
    async with serve(*names, environment=ALONE, yaml=yaml) as server:
        await Person(server.client).join("first@example.com")
        final = await as_the_client_does(server.client)
        assert final["responseMessage"]["content"][0]["text"].startswith(words)
        # By hand, and by a client that remembers to have talked to agents.
        for path, body in (
            (f"/{endpoint}", {}),
            ("", {}),
            ("/agents", {}),
            ("/agents", {"endpoint": "agents", "model": "gpt-5", "agent_id": ""}),
        ):
            final = await answered(server.client, path, **body)
            assert final["conversation"]["endpoint"] == endpoint
            assert final["responseMessage"]["content"][0]["text"].startswith(words)


async def test_where_there_is_a_choice_it_is_asked_for(serve: Serve, fake_model: str) -> None:
    yaml = custom_endpoint(fake_model)
    yaml["endpoints"]["custom"].append({**yaml["endpoints"]["custom"][0], "name": "Second"})
    async with serve(*sorted(discovery.available()), environment=ALONE, yaml=yaml) as server:
        await Person(server.client).join("first@example.com")
        body = {"text": "hello", "endpoint": "agents", "generationProtocolVersion": 2}
        refused = await server.client.post("/api/agents/chat/agents", json=body)
        assert (refused.status_code, refused.json()) == (
            400,
            {"error": "Bad Request", "message": "agent_id is required in request body"},
        )
        refused = await server.client.post("/api/agents/chat", json={"text": "hello"})
        assert "Error parsing conversation" in refused.text
