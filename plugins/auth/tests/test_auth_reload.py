"""Who may register, changed while the server runs (SIGHUP)."""

from typing import Any

import structlog

from locutory.config.sources import Sources
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_testing import Serve

OPEN = {"ALLOW_REGISTRATION": "true"}


async def registers(server: Any, address: str) -> int:
    answer = await server.client.post(
        "/api/auth/register",
        json={
            "name": "Somebody",
            "email": address,
            "password": "correct horse",
            "confirm_password": "correct horse",
        },
    )
    status: int = answer.status_code
    return status


async def test_allowed_domains_are_taken_at_once(serve: Serve) -> None:
    environment = {**OPEN, "REGISTER_MAX": "100"}
    async with serve("auth", environment=environment) as server:
        kernel = server.kernel
        base = dict(kernel.environment)
        assert await registers(server, "ann@example.com") == 200
        assert await registers(server, "eve@evil.test") == 200
        with structlog.testing.capture_logs() as lines:
            kernel.reload(Sources(base, {"registration": {"allowedDomains": ["example.com"]}}))
        assert [line["event"] for line in lines] == ["config.reloaded"]
        assert await registers(server, "eva@evil.test") != 200
        assert await registers(server, "bob@example.com") == 200
        # A misspelt key lets everybody in, as in LibreChat, and is told.
        with structlog.testing.capture_logs() as lines:
            kernel.reload(Sources(base, {"registration": {"allowedDomain": ["example.com"]}}))
        assert any("did you mean 'allowedDomains'?" in line.get("text", "") for line in lines)
        # What is wrong changes nothing.
        kernel.reload(Sources(base, {"registration": {"allowedDomains": ["example.com"]}}))
        kernel.reload(Sources(base, {"registration": {"allowedDomains": "example.com"}}))
        assert await registers(server, "mal@evil.test") != 200


async def test_registration_is_closed_and_opened(serve: Serve) -> None:
    async with serve("auth", environment={**OPEN, "REGISTER_MAX": "100"}) as server:
        base = dict(server.kernel.environment)

        async def change(value: str) -> tuple[int, bool]:
            server.kernel.reload(Sources({**base, "ALLOW_REGISTRATION": value}, {}))
            status = await registers(server, f"x{value}@example.com")
            (startup,) = server.kernel.services.all(STARTUP_CONFIG).values()
            return status, startup.everyone()["registrationEnabled"]

        assert await change("true") == (200, True)
        assert await change("flase") == (403, False)
        assert await change("true") == (200, True)
        assert await change("") == (403, False)  # there is an account


async def test_other_settings_need_a_restart(serve: Serve) -> None:
    async with serve("auth", environment=OPEN) as server:
        base = dict(server.kernel.environment)
        with structlog.testing.capture_logs() as lines:
            server.kernel.reload(Sources({**base, "LOGIN_MAX": "9", "EMAIL_HOST": "h"}, {}))
        named = [line["settings"] for line in lines if line["event"] == "config.needs_restart"]
        assert sorted(named[0].split(", ")) == ["EMAIL_HOST", "LOGIN_MAX"]
