"""Rows of the collection ``transactions``, and their prices (contract balance §5)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from locutory import now
from locutory_balance.prices import PriceList
from locutory_contracts.chat import ModelUsed
from locutory_contracts.prices import Rates

ABORTED = "incomplete"
ABORTED_FACTOR = 1.15
"""The surcharge for the answer of an aborted call, since the provider continues for a while."""

_CACHE_BESIDE_INPUT = frozenset({"bedrock"})
"""Providers whose input tokens do not include the cached ones."""

Row = dict[str, Any]


def plain(value: Any) -> Any:
    """A number as JavaScript shows it: without a fraction when it has none. Other values are
    unchanged."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _count(tokens: Any) -> int:
    """A token count; a missing or negative one is 0."""
    if not isinstance(tokens, int | float) or not math.isfinite(tokens):
        return 0
    return max(0, int(tokens))


def _prompt(own: int, write: int, read: int, rates: Rates) -> Row:
    if not write and not read:
        rate = rates.prompt
        return {"rawAmount": -own, "tokenValue": -own * rate, "rate": rate}
    total = own + write + read
    value = own * rates.prompt + write * rates.write + read * rates.read
    return {
        "rawAmount": -total,
        "tokenValue": -value,
        "rate": value / total,
        "inputTokens": -own,
        "writeTokens": -write,
        "readTokens": -read,
    }


def _completion(used: ModelUsed, rates: Rates) -> Row:
    count, rate = _count(used.output_tokens), rates.completion
    if used.context != ABORTED:
        return {"rawAmount": -count, "tokenValue": -count * rate, "rate": rate}
    # LibreChat rounds here, and toward zero.
    value = math.ceil(-count * rate * ABORTED_FACTOR)
    return {"rawAmount": -count, "tokenValue": value, "rate": rate * ABORTED_FACTOR}


def rows_of(used: ModelUsed, prices: PriceList) -> list[Row]:
    """The prompt row and the completion row of a model call, without whose they are."""
    write, read = _count(used.cache_creation), _count(used.cache_read)
    own = _count(used.input_tokens)
    if _CACHE_BESIDE_INPUT.isdisjoint({used.provider, used.endpoint}):
        own = max(0, own - write - read)
    rates = prices.rates(used.model, used.endpoint, own + write + read, used.prices)
    about = {"model": used.model, "context": used.context}
    return [
        {**about, "tokenType": "prompt", **_prompt(own, write, read, rates)},
        {**about, "tokenType": "completion", **_completion(used, rates)},
    ]


def credit_row(amount: float, context: str) -> Row:
    """The row of an addition: ``autoRefill`` or ``admin``."""
    return {
        "tokenType": "credits",
        "context": context,
        "rawAmount": amount,
        "tokenValue": amount,
        "rate": 1,
    }


def total_value(rows: Iterable[Mapping[str, Any]]) -> float:
    """Credits that rows add, or take when negative."""
    return math.fsum(row["tokenValue"] for row in rows)


def stored(
    rows: Sequence[Row],
    user: ObjectId,
    tenant: str | None,
    conversation: str | None = None,
    message: str | None = None,
) -> list[Row]:
    """Rows as they are inserted."""
    moment = now()
    owner: Row = {"user": user}
    if conversation:
        owner["conversationId"] = conversation
    if message:
        owner["messageId"] = message
    if tenant:
        owner["tenantId"] = tenant
    end = {"createdAt": moment, "updatedAt": moment, "__v": 0}
    return [{**owner, **{key: plain(row[key]) for key in row}, **end} for row in rows]
