"""The current rules, from configuration and environment (contract balance §2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_balance.config import BalanceConfig


@dataclass(frozen=True, slots=True)
class Refill:
    """Automatic refill: ``amount`` credits every ``value`` ``unit``."""

    value: float
    unit: str
    amount: float

    def fields(self) -> dict[str, Any]:
        """The settings in the form of a balance record."""
        return {
            "autoRefillEnabled": True,
            "refillIntervalValue": self.value,
            "refillIntervalUnit": self.unit,
            "refillAmount": self.amount,
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules. ``shown`` is the member ``balance`` of the client's start-up configuration;
    ``start`` the credits of a new record, ``None`` when none is created; ``recording``: usage is
    recorded."""

    enabled: bool
    start: float | None
    refill: Refill | None
    recording: bool
    shown: Mapping[str, Any] = field(default_factory=dict)


def read_rules(config: BalanceConfig, balance: Any, transactions: Any) -> Rules:
    """From the environment, the raw section ``balance`` over it, and ``transactions``."""
    shown: dict[str, Any] = {"enabled": config.check_balance}
    if config.start_balance is not None:
        shown["startBalance"] = config.start_balance
    shown.update(_mapping(balance))
    enabled = shown["enabled"] is True
    return Rules(
        enabled=enabled,
        start=shown.get("startBalance"),
        refill=_refill(shown),
        recording=enabled or _mapping(transactions).get("enabled") is not False,
        shown=shown,
    )


def _refill(shown: Mapping[str, Any]) -> Refill | None:
    """Only when all four settings are there and the first is true."""
    value, unit = shown.get("refillIntervalValue"), shown.get("refillIntervalUnit")
    amount = shown.get("refillAmount")
    if shown.get("autoRefillEnabled") is not True or None in (value, unit, amount):
        return None
    return Refill(value, unit, amount)  # type: ignore[arg-type]


def advice(rules: Rules, balance: Any, transactions: Any) -> list[str]:
    """Sentences about settings that probably do not have the intended effect."""
    found: list[str] = []
    if not rules.enabled:
        return found
    if rules.start is None:
        found.append(
            "balance.enabled is true without balance.startBalance: users without a balance "
            "cannot chat; set it, or give them credits with 'locutory balance add'"
        )
    if rules.shown.get("autoRefillEnabled") is True and rules.refill is None:
        found.append(
            "balance.autoRefillEnabled has no effect: set refillIntervalValue, "
            "refillIntervalUnit and refillAmount too"
        )
    if _mapping(transactions).get("enabled") is False:
        found.append("transactions.enabled: false has no effect while balance.enabled is true")
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
