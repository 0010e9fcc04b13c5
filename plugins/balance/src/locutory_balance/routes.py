"""``GET /api/balance`` (contract balance §1)."""

from typing import Any

from bson import ObjectId
from starlette.responses import Response

from locutory import JSON, ConfigRef, Empty, Request, Route, SignedIn
from locutory_balance.rows import plain
from locutory_balance.service import Balances, RulesAndPrices

_REFILL = ("refillIntervalValue", "refillIntervalUnit", "refillAmount", "lastRefill")
_SHOWN = ("user", "tokenCredits", "autoRefillEnabled", *_REFILL, "tenantId", "__v")


class BalanceRoutes:
    """The one route."""

    def __init__(self, balances: Balances, config_ref: ConfigRef[RulesAndPrices]) -> None:
        self._balances = balances
        self._config_ref = config_ref

    def all(self) -> list[Route]:
        return [
            Route(
                path="/api/balance",
                endpoint=self.show,
                access=SignedIn(),
                summary="The caller's credits",
                contract="balance §1",
                responses={
                    200: {
                        "user": "64f0c2a1e4b0a1b2c3d4e5f6",
                        "tokenCredits": 20000,
                        "autoRefillEnabled": False,
                        "__v": 0,
                    },
                    204: "No balances are kept",
                    404: {"error": "Balance not found"},
                },
                failure="An unknown error occurred.",
            )
        ]

    async def show(self, request: Request) -> Response:
        """The balance record, made or brought up to date first."""
        if not self._config_ref.current.rules.enabled:
            return Empty(204)
        caller = request.caller
        user = ObjectId(caller.id)
        async with self._balances.alone(user):
            record = await self._balances.synchronised(user, caller.tenant)
        if record is None:
            return JSON({"error": "Balance not found"}, 404)
        hidden = () if record.get("autoRefillEnabled") else _REFILL
        shown: dict[str, Any] = {
            key: plain(record[key]) for key in _SHOWN if key in record and key not in hidden
        }
        return JSON(shown)
