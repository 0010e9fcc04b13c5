"""The member ``rum`` of ``GET /api/config`` (contract user §2)."""

import pytest

from locutory_testing import Serve, SignIn

USER = {"Authorization": f"Bearer {'a' * 24}"}
RUM = {
    "RUM_ENABLED": "true",
    "RUM_URL": "https://Collector.example/v1/",
    "RUM_PUBLIC_TOKEN": "public",
}


async def test_telemetry(serve: Serve) -> None:
    environment = {
        **RUM,
        "RUM_TRACE_PROPAGATION_TARGETS": "https://api.example, http://x.example, https://*.y",
        "RUM_SAMPLE_RATE": "0.25",
        "RUM_ENVIRONMENT": "staging",
    }
    async with serve("webclient", SignIn(), environment=environment) as server:
        expected = {
            "provider": "hyperdx",
            "enabled": True,
            "url": "https://Collector.example/v1",
            "serviceName": "librechat-web",
            "authMode": "publicToken",
            "publicToken": "public",
            "tracePropagationTargets": ["https://api.example"],
            "consoleCapture": False,
            "disableReplay": True,
            "advancedNetworkCapture": False,
            "sampleRate": 0.25,
            "environment": "staging",
        }
        assert (await server.client.get("/api/config")).json()["rum"] == expected
        assert (await server.client.get("/api/config", headers=USER)).json()["rum"] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"RUM_ENABLED": "false"},
        {"RUM_PROVIDER": "other"},
        {"RUM_AUTH_MODE": "proxy"},
        {"RUM_URL": "http://collector.example"},
        {"RUM_URL": "https://user:secret@collector.example"},
        {"RUM_URL": "nonsense"},
        {"RUM_URL": "https://x:port"},
        {"RUM_PUBLIC_TOKEN": ""},
    ],
)
async def test_telemetry_stays_off(serve: Serve, wrong: dict[str, str]) -> None:
    async with serve("webclient", environment={**RUM, **wrong}) as server:
        assert "rum" not in (await server.client.get("/api/config")).json()
