"""Prices of models (contract balance §6)."""

from typing import Any

import pytest

from locutory_balance.prices import PriceList
from locutory_contracts.prices import (
    CACHE,
    LONG_CACHE,
    LONG_PRICES,
    LONG_PROMPT,
    PRICES,
    Rates,
    listed_name,
    listed_rates,
)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("my-gpt-4o-mini-proxy", "gpt-4o-mini"),
        ("openrouter/openai/gpt-4o", "gpt-4o"),
        ("moonshotai/kimi-k2", "kimi-k2"),  # not "moonshot", which is longer
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "claude-3-5-haiku"),
        ("claude-next", "claude-"),
        ("mistral/unknown", None),
        ("gemini-2.5-pro/unknown", "gemini-2.5-pro"),
        ("gpt-3.5-turbo", "4k"),
        ("gpt-3.5-turbo-16k-0613", "16k"),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106"),
        ("gpt-4", "8k"),
        ("gpt-4-0613", "8k"),
        ("gpt-4-32k", "32k"),
        ("gpt-4-turbo-preview", "gpt-4-1106"),
        ("gpt-4-vision-preview", "gpt-4-1106"),
        ("gpt-4-0125-preview", "gpt-4-1106"),
        ("some-model", None),
        ("", None),
    ],
)
def test_the_longest_name_counts(model: str, key: str | None) -> None:
    assert listed_name(model) == key


def test_a_later_line_wins_a_tie() -> None:
    order = list(PRICES)
    first, second = "gemma-2", "qwen2.5"
    assert len(first) == len(second)
    assert order.index(first) < order.index(second)
    assert listed_name("gemma-2-qwen2.5") == second
    assert listed_name("qwen2.5-gemma-2") == second


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("gpt-4o", Rates(2.5, 10, 2.5, 1.25)),
        ("claude-opus-4-5", Rates(5, 25, 6.25, 0.5)),
        ("claude-2.1", Rates(8, 24, 8, 8)),
        ("deepseek-chat", Rates(0.28, 0.42, 0.28, 0.028)),
        ("llama3.3:70b", Rates(2.65, 3.5, 2.65, 2.65)),
        ("nobody-knows", Rates(6, 6, 6, 6)),
    ],
)
def test_the_table(model: str, rates: Rates) -> None:
    assert listed_rates(model, 100) == rates


def test_every_line_of_the_table_finds_itself() -> None:
    assert len(PRICES) == 290
    assert len(CACHE) == 69
    for name, (prompt, completion) in PRICES.items():
        assert listed_name(name) == name
        found = listed_rates(name, 0)
        assert (found.prompt, found.completion) == (prompt, completion)
        assert (found.write, found.read) == CACHE.get(name, (prompt, prompt))
    assert set(CACHE) | set(LONG_PRICES) | set(LONG_CACHE) <= set(PRICES)
    assert set(LONG_PRICES) == set(LONG_PROMPT)


@pytest.mark.parametrize(
    ("model", "limit", "rates"),
    [
        ("gpt-5.4", 272_000, Rates(5, 22.5, 5, 0.5)),
        ("gpt-5.5-pro", 272_000, Rates(60, 270, 60, 60)),
        ("gpt-5.6-luna", 272_000, Rates(0.4, 1.8, 0.5, 0.04)),
        # No long price for its cache: the ordinary one.
        ("gemini-3.1-pro-preview", 200_000, Rates(4, 18, 2, 0.2)),
        ("grok-4-6-fast", 200_000, Rates(4, 12, 4, 4)),
    ],
)
def test_long_prompts_cost_more_from_above_the_limit(model: str, limit: int, rates: Rates) -> None:
    assert listed_rates(model, limit + 1) == rates
    assert listed_rates(model, limit) == listed_rates(model, 0) != rates


def test_a_small_model_has_no_long_prices() -> None:
    assert listed_rates("gpt-5.4-mini", 10**6) == Rates(0.75, 4.5, 0.75, 0.075)


CUSTOM = {
    "custom": [
        {
            "name": "Mine",
            "baseURL": "https://mine.example/v1",
            "tokenConfig": {
                "gpt-4o": {"prompt": 1, "completion": 2, "context": 1000},
                "half": {"prompt": 0, "context": 1000},
                "cached": {"prompt": 3, "completion": 4, "cacheWrite": 5, "cacheRead": 0.5},
                "old": {"completion": 4, "write": 5, "read": 0.5},
                "broken": {"prompt": "1", "completion": -2, "cacheRead": True},
            },
        },
        {
            "name": "Ollama",
            "baseURL": "x",
            "tokenConfig": {"qwen3": {"prompt": 0, "completion": 0}},
        },
        {"name": "Router", "baseURL": "https://openrouter.ai/api/v1"},
        {"name": "Plain", "baseURL": "https://plain.example/v1"},
        {"name": 5},
        "nothing",
    ]
}
TOLD = {"prompt": 7.0, "completion": 8.0, "cacheRead": 0.7}


@pytest.mark.parametrize(
    ("endpoint", "model", "rates"),
    [
        ("Mine", "gpt-4o", Rates(1, 2, 1, 1)),
        ("Mine", "half", Rates(0, 6, 0, 0)),
        ("Mine", "cached", Rates(3, 4, 5, 0.5)),
        ("Mine", "old", Rates(6, 4, 5, 0.5)),
        ("Mine", "broken", Rates(6, 6, 6, 6)),
        ("Mine", "GPT-4o", Rates(2.5, 10, 2.5, 1.25)),  # only the exact name
        ("Mine", "gpt-4o-mini", Rates(0.15, 0.6, 0.15, 0.075)),
        ("ollama", "qwen3", Rates(0, 0, 0, 0)),
        ("Router", "gpt-4o", Rates(7, 8, 7, 0.7)),
        ("Elsewhere", "gpt-4o", Rates(7, 8, 7, 0.7)),
        ("Plain", "gpt-4o", Rates(2.5, 10, 2.5, 1.25)),
        ("openAI", "gpt-4o", Rates(2.5, 10, 2.5, 1.25)),
    ],
)
def test_whose_prices_count(endpoint: str, model: str, rates: Rates) -> None:
    assert PriceList(CUSTOM).rates(model, endpoint, 100, TOLD) == rates


@pytest.mark.parametrize("prices", [{}, {"prompt": -1e6, "completion": -1e6}])
def test_an_endpoint_without_prices_has_those_of_the_table(prices: dict[str, float]) -> None:
    """OpenRouter's "auto" has negative ones: they vary."""
    assert PriceList(CUSTOM).rates("gpt-4o", "Router", 1, prices) == listed_rates("gpt-4o", 1)


@pytest.mark.parametrize("section", [None, {}, [], {"custom": None}, {"custom": {"name": "x"}}])
def test_any_section_will_do(section: Any) -> None:
    assert PriceList(section).rates("gpt-4o", "openAI", 1, {}) == listed_rates("gpt-4o", 1)
