"""Rows of ``transactions`` (contract balance §5)."""

import math
from typing import Any

import pytest
from bson import ObjectId

from locutory_balance.prices import PriceList
from locutory_balance.rows import credit_row, plain, rows_of, stored, total_value
from locutory_contracts.chat import ModelUsed

PRICES = PriceList(None)


def call(model: str = "claude-sonnet-4-5", **fields: Any) -> ModelUsed:
    given = {
        "provider": "anthropic",
        "endpoint": "anthropic",
        "context": "message",
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read": 0,
        "cache_creation": 0,
    }
    return ModelUsed(model=model, **{**given, **fields})


def test_a_plain_call() -> None:
    prompt, completion = rows_of(call(input_tokens=1000, output_tokens=200), PRICES)
    about = {"model": "claude-sonnet-4-5", "context": "message"}
    assert prompt == {
        **about,
        "tokenType": "prompt",
        "rawAmount": -1000,
        "tokenValue": -3000,
        "rate": 3,
    }
    assert completion == {
        **about,
        "tokenType": "completion",
        "rawAmount": -200,
        "tokenValue": -3000,
        "rate": 15,
    }


def test_a_call_with_cache_detail() -> None:
    """Cached tokens are part of the input; the rate is the weighted mean."""
    prompt, _ = rows_of(
        call(input_tokens=1000, cache_creation=200, cache_read=300, output_tokens=1), PRICES
    )
    value = 500 * 3 + 200 * 3.75 + 300 * 0.3
    assert prompt["rawAmount"] == -1000
    assert prompt["tokenValue"] == pytest.approx(-value)
    assert prompt["rate"] == pytest.approx(value / 1000)
    assert (prompt["inputTokens"], prompt["writeTokens"], prompt["readTokens"]) == (
        -500,
        -200,
        -300,
    )


@pytest.mark.parametrize("where", [{"provider": "bedrock"}, {"endpoint": "bedrock"}])
def test_bedrock_counts_cached_tokens_beside_the_input(where: dict[str, str]) -> None:
    prompt, _ = rows_of(call(input_tokens=1000, cache_read=300, **where), PRICES)
    assert prompt["rawAmount"] == -1300
    assert prompt["tokenValue"] == pytest.approx(-(1000 * 3 + 300 * 0.3))


def test_a_model_without_cache_prices_pays_the_prompt_price() -> None:
    prompt, _ = rows_of(call("claude-2", input_tokens=100, cache_read=40), PRICES)
    assert prompt["tokenValue"] == -800
    assert prompt["rate"] == 8
    assert prompt["readTokens"] == -40


def test_more_cached_than_input_is_no_negative_input() -> None:
    prompt, _ = rows_of(call(input_tokens=10, cache_read=40), PRICES)
    assert prompt["inputTokens"] == 0
    assert prompt["rawAmount"] == -40


def test_the_limit_of_long_prompts_includes_cached_tokens() -> None:
    used = {"provider": "openAI", "endpoint": "openAI", "output_tokens": 10}
    at = rows_of(call("gpt-5.4", input_tokens=272_000, cache_read=200_000, **used), PRICES)
    above = rows_of(call("gpt-5.4", input_tokens=272_001, cache_read=200_000, **used), PRICES)
    assert at[1]["rate"] == 15
    assert above[1]["rate"] == 22.5
    assert above[0]["tokenValue"] == pytest.approx(-(72_001 * 5 + 200_000 * 0.5))


@pytest.mark.parametrize(
    ("tokens", "value"),
    [(100, math.ceil(-100 * 15 * 1.15)), (1, -17), (0, 0)],
)
def test_an_aborted_answer_costs_more_rounded_toward_zero(tokens: int, value: int) -> None:
    prompt, completion = rows_of(
        call(input_tokens=100, output_tokens=tokens, context="incomplete"), PRICES
    )
    assert completion["tokenValue"] == value
    assert isinstance(completion["tokenValue"], int)
    assert completion["rate"] == pytest.approx(17.25)
    assert completion["rawAmount"] == -tokens
    assert (prompt["tokenValue"], prompt["rate"]) == (-300, 3)


@pytest.mark.parametrize("tokens", [-5, None, math.nan, math.inf])
def test_what_is_no_count_is_nothing(tokens: Any) -> None:
    rows = rows_of(
        call(input_tokens=tokens, output_tokens=tokens, cache_read=tokens, cache_creation=tokens),
        PRICES,
    )
    assert [row["rawAmount"] for row in rows] == [0, 0]
    assert total_value(rows) == 0


def test_stored_rows_read_as_librechat_wrote_them() -> None:
    user = ObjectId()
    rows = rows_of(call("gpt-4o", input_tokens=3, output_tokens=2), PRICES)
    first, second = stored(rows, user, "t1", "conversation", "message")
    assert first["user"] is user
    assert (first["conversationId"], first["messageId"]) == ("conversation", "message")
    assert first["tenantId"] == "t1"
    assert first["tokenValue"] == -7.5
    assert type(second["tokenValue"]) is int  # -20.0 is stored as an integer
    assert first["createdAt"] == first["updatedAt"] == second["createdAt"]
    assert first["__v"] == 0
    assert "tenantId" not in stored(rows, user, None)[0]
    assert "conversationId" not in stored(rows, user, None)[0]


def test_an_addition_is_a_row() -> None:
    assert credit_row(500, "admin") == {
        "tokenType": "credits",
        "context": "admin",
        "rawAmount": 500,
        "tokenValue": 500,
        "rate": 1,
    }


@pytest.mark.parametrize(
    ("value", "shown"), [(3.0, "3"), (-0.0, "0"), (2.5, "2.5"), (7, "7"), (1e300, "1e+300")]
)
def test_numbers_have_a_fraction_only_when_they_need_one(value: float, shown: str) -> None:
    assert str(plain(value)) == shown
