"""Members of the client's start-up configuration (contract user §2.5)."""

from collections.abc import Mapping
from typing import Any

from locutory import ConfigRef, Principal
from locutory_balance.service import RulesAndPrices


class BalanceStartup:
    """Implements `locutory_contracts.startup.StartupConfig`."""

    def __init__(self, config_ref: ConfigRef[RulesAndPrices]) -> None:
        self._config_ref = config_ref

    def everyone(self) -> Mapping[str, Any]:
        return {}

    def signed_in(self, principal: Principal) -> Mapping[str, Any]:
        return {"balance": self._config_ref.current.rules.shown}
