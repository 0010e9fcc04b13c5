"""Admission of turns: checking the balance and holding the price of the prompt (contract balance
§4)."""

import asyncio
import random
from datetime import timedelta

import structlog
from bson import ObjectId

from locutory import Events, LimitExceeded, encode, iso, now
from locutory_balance.refill import due
from locutory_balance.rows import plain
from locutory_balance.service import ATTEMPTS, Balances, credits_of
from locutory_contracts.chat import TurnRefused

VIOLATION = "token_balance"
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 2.0


class Admission:
    """Lets turns begin, or refuses them."""

    def __init__(
        self,
        balances: Balances,
        events: Events,
        hold_seconds: float,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._balances = balances
        self._events = events
        self._hold = timedelta(seconds=hold_seconds)
        self._log = log

    async def admit(
        self, user: ObjectId, tenant: str | None, hold_id: str, tokens: int, rate: float
    ) -> None:
        """Set ``tokens × rate`` credits aside for a turn. `TurnRefused` when they are not
        there, after a refill if one is due."""
        cost = tokens * rate
        async with self._balances.alone(user):
            free = await self._reserve(user, tenant, hold_id, cost)
        if free is not None:
            await self._refuse(user, free, cost, tokens)

    async def _reserve(
        self, user: ObjectId, tenant: str | None, hold_id: str, cost: float
    ) -> float | None:
        """``None`` when the cost is set aside, else the credits that are free."""
        balances, delay = self._balances, _FIRST_DELAY
        for _ in range(ATTEMPTS):
            moment = now()
            # Holds first: what another server charges and releases in between then counts
            # twice for a moment, never not at all.
            held = await balances.holds.read(user, moment)
            record = await balances.synchronised(user, tenant)
            if record is None:
                return 0
            free = credits_of(record) - held.total
            if free - cost <= 0 and due(record, moment):
                record = await balances.refill(record, tenant)
                free = credits_of(record) - held.total
            if free < cost:
                return free
            if cost <= 0:
                return None
            until = moment + self._hold
            if await balances.holds.add(user, held, hold_id, cost, until):
                return None
            await asyncio.sleep(delay + random.uniform(0, delay / 2))  # noqa: S311
            delay = min(delay * 2, _LONGEST_DELAY)
        # Another server changes them all the time. There are credits enough, so go on: the
        # charge after the turn does not take more than there is.
        self._log.warning("balance.holds_busy", user=str(user))
        return None

    async def _refuse(self, user: ObjectId, free: float, cost: float, tokens: int) -> None:
        """The error that the client has words for. The violation scores nothing."""
        await self._events.publish(LimitExceeded(VIOLATION, VIOLATION, 0, str(user), ""))
        body = {
            "type": VIOLATION,
            "balance": plain(max(0, free)),
            "tokenCost": plain(cost),
            "promptTokens": tokens,
            "prev_count": 0,
            "violation_count": 0,
            "date": iso(now()),
        }
        raise TurnRefused(encode(body).decode())
