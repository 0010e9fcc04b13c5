"""Automatic refills (contract balance §3, §4)."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from locutory import now
from locutory_balance.refill import due, next_refill
from locutory_testing import Serve

LAST = datetime(2024, 1, 31, 12, tzinfo=UTC)
OFF = {"balance": {"enabled": True}}


@pytest.fixture(params=["UTC", "Europe/Berlin"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "unit", "when"),
    [
        (90, "seconds", datetime(2024, 1, 31, 12, 1, 30, tzinfo=UTC)),
        (90, "minutes", datetime(2024, 1, 31, 13, 30, tzinfo=UTC)),
        (36, "hours", datetime(2024, 2, 2, 0, tzinfo=UTC)),
        (30, "days", datetime(2024, 3, 1, 12, tzinfo=UTC)),
        (2, "weeks", datetime(2024, 2, 14, 12, tzinfo=UTC)),
        (1, "months", datetime(2024, 3, 2, 12, tzinfo=UTC)),  # 31 February
        (13, "months", datetime(2025, 3, 3, 12, tzinfo=UTC)),
        (-1, "months", datetime(2023, 12, 31, 12, tzinfo=UTC)),
        (1.9, "days", datetime(2024, 2, 1, 12, tzinfo=UTC)),
        (0, "days", LAST),
        (5, "fortnights", LAST),
    ],
)
@pytest.mark.usefixtures("zone")
def test_the_next_refill(value: float, unit: str, when: datetime) -> None:
    assert next_refill(LAST, value, unit) == when


def test_days_are_of_the_calendar(zone: str) -> None:
    """A day in which the clocks change has 23 hours in Berlin, none of which is missing in
    24 hours."""
    before = datetime(2024, 3, 30, 12, tzinfo=UTC)
    hours = 23 if zone == "Europe/Berlin" else 24
    assert next_refill(before, 1, "days") == before + timedelta(hours=hours)
    assert next_refill(before, 24, "hours") == before + timedelta(hours=24)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (10**9, "days"),
        (10**9, "months"),
        (10**20, "seconds"),
        (float("nan"), "days"),
        (-(10**6), "months"),
    ],
)
def test_what_cannot_be_reckoned_is_never_due(value: float, unit: str) -> None:
    assert next_refill(LAST, value, unit) is None
    record = {
        "autoRefillEnabled": True,
        "refillAmount": 5,
        "refillIntervalValue": value,
        "refillIntervalUnit": unit,
        "lastRefill": LAST,
    }
    assert not due(record, now())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"autoRefillEnabled": False}, False),
        ({"refillAmount": 0}, False),
        ({"refillAmount": None}, False),
        ({"refillAmount": "500"}, False),
        ({"lastRefill": None}, True),
        ({"lastRefill": "long ago"}, True),
        ({"refillIntervalValue": None}, True),
        ({"refillIntervalUnit": None}, False),  # days
        ({"lastRefill": LAST - timedelta(seconds=1)}, True),
        ({"lastRefill": LAST + timedelta(milliseconds=1)}, False),
    ],
)
def test_when_a_record_is_due(change: dict[str, Any], expected: bool) -> None:
    record = {
        "autoRefillEnabled": True,
        "refillAmount": 500,
        "refillIntervalValue": 1,
        "refillIntervalUnit": "hours",
        "lastRefill": LAST,
        **change,
    }
    assert due(record, LAST + timedelta(hours=1)) is expected


def record(ago: timedelta, **change: Any) -> dict[str, Any]:
    return {
        "tokenCredits": 10,
        "autoRefillEnabled": True,
        "refillIntervalValue": 1,
        "refillIntervalUnit": "hours",
        "refillAmount": 500,
        "lastRefill": now() - ago,
        **change,
    }


async def test_a_refill_is_made_when_credits_run_out(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat, yaml=OFF) as server:
        books = kit.books(server)
        await books.insert(user, **record(timedelta(days=9)))
        began = now()
        assert await chat.start(chat.turn(user), 100) is None  # costs 250
        stored = await books.balance(user)
        assert stored["tokenCredits"] == 510  # once, however long the pause
        assert stored["lastRefill"] >= began
        (row,) = await books.transactions(user)
        assert row["tokenType"] == "credits"
        assert row["context"] == "autoRefill"
        assert (row["rawAmount"], row["tokenValue"], row["rate"]) == (500, 500, 1)
        assert row["createdAt"] >= began
        # What is left does not suffice now, and the next refill is an hour away.
        error = await chat.start(chat.turn(user), 200)
        assert error is not None
        assert error["balance"] == 510 - 250


@pytest.mark.parametrize(
    ("credits", "tokens", "refilled"),
    [(250, 100, True), (251, 100, False), (10, 0, False), (0, 0, True)],
)
async def test_the_refill_waits_until_nothing_would_be_left(
    serve: Serve, user: str, chat: Any, kit: Any, credits: int, tokens: int, refilled: bool
) -> None:
    async with serve("balance", chat, yaml=OFF) as server:
        await kit.books(server).insert(user, **record(timedelta(hours=2), tokenCredits=credits))
        assert await chat.start(chat.turn(user), tokens) is None
        assert await kit.books(server).credits(user) == credits + 500 * refilled


async def test_it_is_not_time_yet(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=OFF) as server:
        await kit.books(server).insert(user, **record(timedelta(minutes=59)))
        assert (await chat.start(chat.turn(user), 100))["balance"] == 10


async def test_a_refill_may_not_suffice(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=OFF) as server:
        await kit.books(server).insert(user, **record(timedelta(hours=2)))
        assert (await chat.start(chat.turn(user), 1000))["balance"] == 510
        assert await kit.books(server).credits(user) == 510


@pytest.mark.parametrize("change", [{"lastRefill": None}, {"tokenCredits": None}])
async def test_incomplete_records_are_refilled(
    serve: Serve, user: str, chat: Any, kit: Any, change: dict[str, Any]
) -> None:
    async with serve("balance", chat, yaml=OFF) as server:
        await kit.books(server).insert(user, **record(timedelta(hours=2), **change))
        assert await chat.start(chat.turn(user), 100) is None
        assert await kit.books(server).credits(user) in (500, 510)


async def test_turns_that_begin_together_are_refilled_once(
    serve: Serve, user: str, kit: Any
) -> None:
    one, two = kit.chat(), kit.chat()
    async with serve("balance", one, yaml=OFF) as server:
        name = server.database
        books = kit.books(server)
        await books.insert(user, **record(timedelta(hours=2)))
        async with serve("balance", two, yaml=OFF, database=name):
            errors = await asyncio.gather(
                *(chat.start(chat.turn(user), 20) for chat in [one, two] * 10)
            )
        assert sum(error is None for error in errors) == 10  # of 50 credits each
        assert await books.credits(user) == 510
        assert len(await books.transactions(user)) == 1
