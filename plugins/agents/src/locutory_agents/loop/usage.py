"""Tokens and cost of the model calls of a turn (chat-stream §6.4, §13)."""

from collections.abc import Mapping
from typing import Any

from locutory_agents.stream.recorder import TurnRecorder
from locutory_contracts.chat import ModelUsed
from locutory_contracts.models import PreparedModel, Usage


def cost_of(used: ModelUsed) -> float | None:
    """USD of one call; ``None`` when the model has no prices."""
    prices = used.prices
    if "prompt" not in prices or "completion" not in prices:
        return None
    plain = max(0, used.input_tokens - used.cache_read - used.cache_creation)
    total = (
        plain * prices["prompt"]
        + used.cache_read * prices.get("cacheRead", prices["prompt"])
        + used.cache_creation * prices.get("cacheWrite", prices["prompt"])
        + used.output_tokens * prices["completion"]
    )
    return total / 1_000_000


def _used(model: PreparedModel, usage: Usage, context: str) -> ModelUsed:
    return ModelUsed(
        model=model.model,
        provider=model.provider,
        endpoint=model.endpoint,
        context=context,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read=usage.cache_read,
        cache_creation=usage.cache_creation,
        prices=model.prices,
    )


class UsageLedger:
    """Tokens and cost of the model calls of one turn."""

    def __init__(self, show_cost: bool) -> None:
        self.calls: list[ModelUsed] = []
        self._estimates: list[ModelUsed] = []
        self._show_cost = show_cost
        self._reported = 0
        self._paid: set[int] = set()

    def add(
        self, model: PreparedModel, usage: Usage, context: str, recorder: TurnRecorder | None = None
    ) -> None:
        """Note a call; with a recorder it is announced to the client too."""
        used = _used(model, usage, context)
        self.calls.append(used)
        if recorder is None:
            return
        self._reported += 1
        data: dict[str, Any] = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens or usage.input_tokens + usage.output_tokens,
            "model": model.model,
            "provider": model.provider,
            "runId": recorder.run_id,
            "seq": self._reported,
        }
        if usage.cache_read or usage.cache_creation:
            data["input_token_details"] = {
                "cache_creation": usage.cache_creation,
                "cache_read": usage.cache_read,
            }
        cost = cost_of(used) if self._show_cost else None
        if cost is not None:
            data["cost"] = cost
        recorder.usage(data)

    def estimate(self, model: PreparedModel, counted: Usage, context: str) -> None:
        """Note a call whose provider reported no usage, as it was counted here: to be paid, not
        shown."""
        self._estimates.append(_used(model, counted, context))

    @property
    def all(self) -> list[ModelUsed]:
        """Every call: as its provider reported it, else as it was counted here."""
        return [*self.calls, *self._estimates]

    def unpaid(self) -> list[ModelUsed]:
        """The calls that an earlier call of this did not return."""
        fresh = [used for used in self.all if id(used) not in self._paid]
        self._paid.update(map(id, fresh))
        return fresh

    def _answers(self) -> list[ModelUsed]:
        return [used for used in self.calls if used.context == "message"]

    @property
    def output_tokens(self) -> int | None:
        """The tokens of the answer as providers reported them; ``None`` when none did."""
        answers = self._answers()
        return sum(used.output_tokens for used in answers) if answers else None

    @property
    def input_tokens(self) -> int | None:
        """The tokens of the first prompt as its provider reported them."""
        answers = self._answers()
        return answers[0].input_tokens if answers else None

    def metadata(self, context: Mapping[str, Any] | None) -> dict[str, Any]:
        """``metadata`` of the answer; empty when no provider reported anything."""
        answers = self._answers()
        if not answers:
            return {}
        usage: dict[str, Any] = {
            "input": sum(used.input_tokens for used in answers),
            "output": sum(used.output_tokens for used in answers),
            "cacheWrite": sum(used.cache_creation for used in answers),
            "cacheRead": sum(used.cache_read for used in answers),
        }
        costs = [cost_of(used) for used in answers] if self._show_cost else [None]
        if all(cost is not None for cost in costs):
            usage["cost"] = sum(cost for cost in costs if cost is not None)
        found: dict[str, Any] = {"usage": usage}
        if context is not None:
            found["contextUsage"] = {**context, "completedOutputTokens": usage["output"]}
        return found
