"""Configuration (contract balance §2, config-yaml §6)."""

from typing import Any

import pytest
from bson import ObjectId

from locutory import Principal, StartupError
from locutory.config.configuration import Sources
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_testing import Serve, SignIn
from locutory_testing.server import SECRETS

REFILL = {
    "autoRefillEnabled": True,
    "refillIntervalValue": 30,
    "refillIntervalUnit": "days",
    "refillAmount": 10000,
}


def shown(server: Any) -> Any:
    (entry,) = server.kernel.services.all(STARTUP_CONFIG).values()
    assert entry.everyone() == {}
    return entry.signed_in(Principal(str(ObjectId())))["balance"]


@pytest.mark.parametrize(
    ("environment", "section", "expected"),
    [
        ({}, None, {"enabled": False}),
        ({}, {}, {"enabled": False}),
        ({}, {"enabled": True}, {"enabled": True}),
        ({"CHECK_BALANCE": " TRUE "}, None, {"enabled": True}),
        ({"CHECK_BALANCE": "1"}, None, {"enabled": False}),
        ({"CHECK_BALANCE": "true"}, {"enabled": False}, {"enabled": False}),
        (
            {"CHECK_BALANCE": "true", "START_BALANCE": "500"},
            {"refillAmount": 7},
            {"enabled": True, "startBalance": 500, "refillAmount": 7},
        ),
        ({"START_BALANCE": "500"}, {"startBalance": 0}, {"enabled": False, "startBalance": 0}),
        ({"START_BALANCE": ""}, None, {"enabled": False}),
        ({}, {"enabled": True, **REFILL}, {"enabled": True, **REFILL}),
    ],
)
async def test_the_file_lies_over_the_environment(
    serve: Serve, environment: dict[str, str], section: Any, expected: dict[str, Any]
) -> None:
    """No default is filled in."""
    yaml = {} if section is None else {"balance": section}
    async with serve("balance", environment=environment, yaml=yaml) as server:
        assert shown(server) == expected


async def test_the_client_is_told(serve: Serve, user: str) -> None:
    yaml = {"balance": {"enabled": True, "startBalance": 3}}
    async with serve("balance", "webclient", SignIn(), yaml=yaml) as server:
        async with server.connect(user) as client:
            config = (await client.get("/api/config")).json()
            assert config["balance"] == {"enabled": True, "startBalance": 3}
            assert (await client.get("/api/balance")).json()["tokenCredits"] == 3
        assert "balance" not in (await server.client.get("/api/config")).json()


async def test_the_client_is_told_that_it_is_off(serve: Serve, user: str) -> None:
    async with serve("balance", "webclient", SignIn()) as server, server.connect(user) as client:
        assert (await client.get("/api/config")).json()["balance"] == {"enabled": False}
        assert (await client.get("/api/balance")).status_code == 204


@pytest.mark.parametrize(
    ("section", "where"),
    [
        (None, "balance"),
        ([], "balance"),
        ({"enabled": "true"}, "balance.enabled"),
        ({"startBalance": "5"}, "balance.startBalance"),
        ({"startBalance": -1}, "balance.startBalance"),
        ({"startBalance": float("inf")}, "balance.startBalance"),
        ({"startBalance": None}, "balance.startBalance"),
        ({"refillIntervalUnit": "years"}, "balance.refillIntervalUnit"),
        ({"refillAmount": True}, "balance.refillAmount"),
    ],
)
async def test_a_wrong_section_stops_the_start(serve: Serve, section: Any, where: str) -> None:
    with pytest.raises(StartupError) as stopped:
        async with serve("balance", yaml={"balance": section}):
            pass
    assert where in str(stopped.value)


async def test_a_wrong_variable_stops_the_start(serve: Serve) -> None:
    with pytest.raises(StartupError, match="START_BALANCE"):
        async with serve("balance", environment={"START_BALANCE": "much"}):
            pass


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ({}, None),
        ({"balance": {"enabled": True, "startBalance": 1}}, None),
        ({"balance": {"enabled": True, "startBalance": 1, **REFILL}}, None),
        ({"balance": {"enabled": True}}, "without balance.startBalance"),
        (
            {"balance": {"enabled": True, "startBalance": 1, "autoRefillEnabled": True}},
            "balance.autoRefillEnabled has no effect",
        ),
        (
            {
                "balance": {"enabled": True, "startBalance": 1},
                "transactions": {"enabled": False},
            },
            "transactions.enabled: false has no effect",
        ),
    ],
)
async def test_settings_that_do_nothing_are_pointed_out(
    serve: Serve, yaml: dict[str, Any], expected: str | None
) -> None:
    async with serve("balance", yaml=yaml) as server:
        ((_, check),) = server.kernel.contributions.checks
        found = await check.run()
        assert found is None if expected is None else expected in str(found)


async def test_settings_are_read_again(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", SignIn(), chat) as server, server.connect(user) as client:
        assert (await client.get("/api/balance")).status_code == 204
        # A turn that began while nobody paid is charged by the rules at its end.
        turn = chat.turn(user)
        assert await chat.start(turn, 10**9) is None
        server.kernel.reload(Sources(SECRETS, {"balance": {"enabled": True, "startBalance": 1000}}))
        assert shown(server) == {"enabled": True, "startBalance": 1000}
        assert (await client.get("/api/balance")).json()["tokenCredits"] == 1000
        await chat.end(turn, kit.used(100, 20))
        assert (await client.get("/api/balance")).json()["tokenCredits"] == 550
        late = chat.turn(user)
        assert await chat.start(late, 100) is None
        server.kernel.reload(Sources(SECRETS, {}))
        await chat.end(late, kit.used(100, 20))
        assert await kit.books(server).held(user) == 0
        assert await kit.books(server).credits(user) == 550
