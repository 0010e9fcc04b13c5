"""The price of a model call: the operator's prices, the provider's, the list's (contract
balance §6)."""

import math
from collections.abc import Mapping
from typing import Any

from locutory_contracts.prices import UNKNOWN, Rates, listed_rates

LISTED = frozenset(
    {
        "openAI",
        "azureOpenAI",
        "anthropic",
        "google",
        "bedrock",
        "assistants",
        "azureAssistants",
        "agents",
    }
)
"""Endpoints whose models the table knows."""


def _price(prices: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = prices.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return value
    return None


def rates_from(prices: Mapping[str, Any]) -> Rates:
    """The prices of a configuration for one model; missing ones are `UNKNOWN`, for the cache the
    price of the prompt."""
    prompt, completion = _price(prices, "prompt"), _price(prices, "completion")
    prompt = UNKNOWN if prompt is None else prompt
    write, read = _price(prices, "cacheWrite", "write"), _price(prices, "cacheRead", "read")
    return Rates(
        prompt,
        UNKNOWN if completion is None else completion,
        prompt if write is None else write,
        prompt if read is None else read,
    )


class PriceList:
    """Prices of one configuration."""

    def __init__(self, endpoints: Any) -> None:
        """``endpoints``: that section of ``librechat.yaml``, which another plugin checks."""
        self._configured: dict[str, Mapping[str, Any]] = {}
        self._by_table = set(LISTED)
        custom = endpoints.get("custom") if isinstance(endpoints, Mapping) else None
        for item in custom if isinstance(custom, list) else ():
            if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
                continue
            name = "ollama" if item["name"].lower() == "ollama" else item["name"]
            if isinstance(item.get("tokenConfig"), Mapping):
                self._configured[name] = item["tokenConfig"]
            if "openrouter" not in f"{item['name']} {item.get('baseURL')}".lower():
                self._by_table.add(name)

    def rates(
        self, model: str, endpoint: str, prompt_tokens: int, prices: Mapping[str, Any]
    ) -> Rates:
        """Credits per token for a call with a prompt of ``prompt_tokens``.

        ``tokenConfig`` of the endpoint has the first word. ``prices`` are those that the
        model was opened with. They count where the provider lists its own (OpenRouter) and at
        endpoints that the table was not made for; elsewhere they come from a shorter table.
        """
        configured = self._configured.get(endpoint, {}).get(model)
        if isinstance(configured, Mapping):
            return rates_from(configured)
        if endpoint not in self._by_table and _price(prices, "prompt") is not None:
            return rates_from(prices)
        return listed_rates(model, prompt_tokens)
