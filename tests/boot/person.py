"""A server with every plugin, and a signed-in person who has used it."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2

ENVIRONMENT = {"ALLOW_REGISTRATION": "true", "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true"}
ROOT_MESSAGE = "00000000-0000-0000-0000-000000000000"


def custom_endpoint(base_url: str) -> dict[str, Any]:
    """Configuration with one OpenAI-compatible endpoint named Fake."""
    endpoint = {
        "name": "Fake",
        "apiKey": "key",
        "baseURL": base_url,
        "models": {"default": ["fake"], "fetch": False},
        "titleConvo": False,
    }
    return {"endpoints": {"custom": [endpoint]}}


class Person:
    """Uses the HTTP API as the web client does."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.id = ""

    async def join(self, email: str, password: str = "password123") -> "Person":
        """Register, log in, and carry the access token from here on."""
        fields = {"name": "Person", "username": "", "email": email, "password": password}
        await self.client.post("/api/auth/register", json={**fields, "confirm_password": password})
        return await self.log_in(email, password)

    async def log_in(self, email: str, password: str = "password123") -> "Person":
        answer = await self.client.post(
            "/api/auth/login", json={"email": email, "password": password}
        )
        assert answer.status_code == 200, answer.text
        self.client.headers["authorization"] = f"Bearer {answer.json()['token']}"
        self.id = answer.json()["user"]["_id"]
        return self

    async def say(self, text: str, **fields: Any) -> Mapping[str, Any]:
        """One turn; returns its final event."""
        body = {
            "text": text,
            "parentMessageId": ROOT_MESSAGE,
            "messageId": "m",
            "endpoint": "Fake",
            "endpointType": "custom",
            "model": "fake",
            "isContinued": False,
            "generationProtocolVersion": 2,
            **fields,
        }
        started = await self.client.post("/api/agents/chat/Fake", json=body)
        assert started.status_code == 200, started.text
        stream = await self.client.get(f"/api/agents/chat/stream/{started.json()['streamId']}")
        events = [
            json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: ")
        ]
        assert events[-1].get("final"), events[-1]
        final: Mapping[str, Any] = events[-1]
        return final
