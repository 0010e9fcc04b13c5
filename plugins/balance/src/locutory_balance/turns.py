"""Handlers for turns: a check before, a charge after (contract balance §4, §5)."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from bson import ObjectId

from locutory import ConfigRef, Services
from locutory_balance.admission import Admission
from locutory_balance.rows import rows_of
from locutory_balance.service import Balances, RulesAndPrices
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.chat import ModelUsed, Turn, TurnStarting, UsageReported

MAX_OPEN = 10_000

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _OpenTurn:
    """A turn that began here. ``admission`` sets credits aside; ``None`` while nobody pays."""

    hold_id: str = field(default_factory=lambda: uuid4().hex)
    admission: "asyncio.Task[None] | None" = None


def _key(turn: Turn) -> _Key:
    return turn.principal.id, turn.conversation_id, turn.response_message_id


class Turns:
    """Handlers of `TurnStarting` and `UsageReported`."""

    def __init__(
        self,
        balances: Balances,
        admission: Admission,
        config_ref: ConfigRef[RulesAndPrices],
        services: Services,
    ) -> None:
        self._balances = balances
        self._admission = admission
        self._config_ref = config_ref
        self._services = services
        # Several under one key: a turn may replace another that has its message's id.
        self._open: OrderedDict[_Key, list[_OpenTurn]] = OrderedDict()
        self._gone: set[ObjectId] = set()

    async def starting(self, step: TurnStarting) -> None:
        """Veto a turn that its user cannot pay for."""
        turn, rules = step.turn, self._config_ref.current.rules
        if not rules.recording or not ObjectId.is_valid(turn.principal.id):
            return
        opened = _OpenTurn()
        self._open.setdefault(_key(turn), []).append(opened)
        if len(self._open) > MAX_OPEN:  # an end that was never told
            self._open.popitem(last=False)
        if not rules.enabled:
            return
        rates = self._config_ref.current.prices.rates(
            turn.model, turn.endpoint, step.prompt_tokens, step.prices
        )
        opened.admission = task = asyncio.create_task(
            self._admission.admit(
                ObjectId(turn.principal.id),
                turn.principal.tenant,
                opened.hold_id,
                step.prompt_tokens,
                rates.prompt,
            )
        )
        task.add_done_callback(_retrieve)
        # A turn that is stopped here leaves the work to end: `used` waits for it, so that
        # nothing stays set aside.
        await asyncio.shield(task)

    async def used(self, fact: UsageReported) -> None:
        """Charge the usage of a turn; its first report releases its hold."""
        turn = fact.turn
        if not ObjectId.is_valid(turn.principal.id):
            return
        user = ObjectId(turn.principal.id)
        opened = self._close(_key(turn)) if fact.settles else None
        if opened is not None and opened.admission is not None:
            await asyncio.wait({opened.admission})
        async with self._balances.alone(user):
            try:
                await self._charge(user, turn, fact.usage)
            finally:
                if opened is not None and opened.admission is not None:
                    await self._balances.holds.release(user, opened.hold_id)

    def _close(self, key: _Key) -> _OpenTurn | None:
        waiting = self._open.get(key)
        if not waiting:
            return None
        opened = waiting.pop(0)
        if not waiting:
            del self._open[key]
        return opened

    async def _charge(self, user: ObjectId, turn: Turn, usage: Sequence[ModelUsed]) -> None:
        if not self._config_ref.current.rules.recording:
            return
        rows = [row for used in usage for row in rows_of(used, self._config_ref.current.prices)]
        if rows and await self._is_there(user):
            tenant = turn.principal.tenant
            message = turn.response_message_id
            await self._balances.charge(rows, user, tenant, (turn.conversation_id, message))

    async def _is_there(self, user: ObjectId) -> bool:
        """Nothing is written for an account that was deleted in the meantime."""
        accounts = self._services.find(ACCOUNTS)
        if user in self._gone:
            return False
        return accounts is None or await accounts.find(str(user)) is not None

    async def forget(self, user: ObjectId) -> None:
        """Delete the data stored for a deleted account, and write no more of it."""
        async with self._balances.alone(user):
            self._gone.add(user)
            await self._balances.erase(user)


def _retrieve(task: "asyncio.Task[None]") -> None:
    """Keeps asyncio from complaining about a refusal that nobody waited for."""
    if not task.cancelled():
        task.exception()
