"""The plugin: credits that users spend on models, and a record of their usage."""

from typing import ClassVar

import click
from beanie import Document
from bson import ObjectId
from pydantic import BaseModel

from locutory import Check, Context, On, Plugin, Provide, Route, hook
from locutory_balance.account_data import BalanceData
from locutory_balance.admission import Admission
from locutory_balance.commands import Commands
from locutory_balance.config import BalanceConfig, BalanceSection, TransactionsSection
from locutory_balance.documents import Balance, Hold, Transaction
from locutory_balance.prices import PriceList
from locutory_balance.routes import BalanceRoutes
from locutory_balance.rules import advice, read_rules
from locutory_balance.service import Balances, RulesAndPrices
from locutory_balance.startup import BalanceStartup
from locutory_balance.turns import Turns
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS, AccountCreated
from locutory_contracts.chat import TurnStarting, UsageReported
from locutory_contracts.people import PEOPLE
from locutory_contracts.sign_in import AccountSignedIn
from locutory_contracts.startup import STARTUP_CONFIG


def _read_config(ctx: Context[BalanceConfig]) -> RulesAndPrices:
    rules = read_rules(ctx.config, ctx.section("balance"), ctx.section("transactions"))
    return RulesAndPrices(rules, PriceList(ctx.section("endpoints")))


class BalancePlugin(Plugin):
    """``/api/balance``, the check before a turn and the charge after it."""

    name = "balance"
    summary = "Token balances: credits, prices, automatic refills, a record of usage"
    Config = BalanceConfig
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {
        "balance": BalanceSection,
        "transactions": TransactionsSection,
    }
    reloads = ("balance", "transactions", "check_balance", "start_balance")
    provides = (STARTUP_CONFIG, ACCOUNT_DATA)
    wants = (ACCOUNTS, PEOPLE)

    @hook
    def setup(self, ctx: Context[BalanceConfig]) -> None:
        self._services = ctx.services
        self._config_ref = ctx.config_ref(_read_config)
        self._balances = Balances(ctx.database, self._config_ref)
        admission = Admission(self._balances, ctx.events, ctx.config.hold_seconds, ctx.log)
        self._turns = Turns(self._balances, admission, self._config_ref, ctx.services)
        self._account_data = BalanceData(self._turns)

    @hook
    def documents(self) -> list[type[Document]]:
        return [Balance, Transaction, Hold]

    @hook
    def services(self) -> list[Provide]:
        return [
            Provide(STARTUP_CONFIG, BalanceStartup(self._config_ref), "balance"),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return [
            On(TurnStarting, self._turns.starting),
            On(UsageReported, self._turns.used),
            On(AccountCreated, self._welcome),
            On(AccountSignedIn, self._synchronise),
            *account_events(self._account_data),
        ]

    @hook
    def routes(self) -> list[Route]:
        return BalanceRoutes(self._balances, self._config_ref).all()

    @hook
    def checks(self, ctx: Context) -> list[Check]:
        async def check() -> str | None:
            found = advice(
                self._config_ref.current.rules, ctx.section("balance"), ctx.section("transactions")
            )
            return "; ".join(found) or None

        return [Check("balance settings", check, offline=True)]

    @hook
    def commands(self, ctx: Context) -> list[click.Command]:
        return Commands(ctx, self._balances, self._config_ref).commands()

    async def _welcome(self, fact: AccountCreated) -> None:
        if self._config_ref.current.rules.start:
            await self._ready(fact.user_id)

    async def _synchronise(self, fact: AccountSignedIn) -> None:
        await self._ready(fact.user_id)

    async def _ready(self, user_id: str) -> None:
        """Make or update the record of an account (contract balance §3)."""
        if not self._config_ref.current.rules.enabled or not ObjectId.is_valid(user_id):
            return
        accounts, user = self._services.find(ACCOUNTS), ObjectId(user_id)
        account = None if accounts is None else await accounts.find(user_id)
        async with self._balances.alone(user):
            await self._balances.synchronised(user, (account or {}).get("tenantId"))
