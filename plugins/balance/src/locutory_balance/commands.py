"""``locutory balance add | set | list``: look after balances from the command line (contract
balance §7)."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

import click
from bson import ObjectId
from pymongo import ASCENDING

from locutory import ConfigRef, Context, encode
from locutory.commands import opened
from locutory_balance.documents import Balance
from locutory_balance.rows import credit_row, plain
from locutory_balance.service import Balances, Record, RulesAndPrices, credits_of
from locutory_contracts.accounts import ACCOUNTS, Account
from locutory_contracts.people import PEOPLE

PAGE = 500
MAX_CREDITS = 2**53

OFF = (
    "Balances are switched off on this server. Set 'balance: {enabled: true}' in "
    "librechat.yaml, or CHECK_BALANCE=true."
)


def _credits(text: str) -> float:
    """A finite number of credits."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= MAX_CREDITS:
        raise click.BadParameter(f"{text!r} is not a number of credits")
    return number


@dataclass(frozen=True, slots=True)
class _Owner:
    """The owner of a balance."""

    user: ObjectId
    tenant: str | None = None
    email: str | None = None

    @property
    def label(self) -> str:
        return f"{self.email} ({self.user})" if self.email else str(self.user)

    def fields(self) -> dict[str, Any]:
        return {"user": self.user, **({"email": self.email} if self.email else {})}


class Commands:
    """The commands of one kernel. It is not started: they open the database for themselves."""

    def __init__(
        self, ctx: Context, balances: Balances, config_ref: ConfigRef[RulesAndPrices]
    ) -> None:
        self._ctx = ctx
        self._balances = balances
        self._config_ref = config_ref

    def commands(self) -> list[click.Command]:
        """The commands, as the hook returns them."""
        who = click.Argument(["who"], metavar="USER")
        amount = click.Argument(["amount"], type=_credits)
        tenant = click.Option(["--tenant"], help="Tenant of the account, when USER is an address.")
        sure = click.Option(["--yes", "-y"], is_flag=True, help="Do not ask.")
        as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")
        minus = {"ignore_unknown_options": True}  # -500 is an amount
        return [
            click.Command(
                "add",
                context_settings=minus,
                callback=self._add,
                params=[who, amount, tenant, sure, as_json],
                help="Add AMOUNT credits to a user's balance; a negative amount takes them away, "
                "down to 0. USER is an e-mail address or a user id. 1,000,000 credits are 1 USD.",
                short_help="Add credits to a user's balance.",
            ),
            click.Command(
                "set",
                context_settings=minus,
                callback=self._set,
                params=[who, amount, tenant, sure, as_json],
                help="Set a user's balance to AMOUNT credits. USER is an e-mail address or a "
                "user id. 1,000,000 credits are 1 USD.",
                short_help="Set a user's balance.",
            ),
            click.Command(
                "list",
                callback=self._list,
                params=[as_json],
                help="List every balance: user, e-mail address, credits.",
            ),
        ]

    def _add(self, who: str, amount: float, tenant: str | None, yes: bool, as_json: bool) -> None:
        if amount == 0:
            raise click.BadParameter("it adds nothing", param_hint="AMOUNT")

        async def add(owner: _Owner, record: Record) -> None:
            await self._balances.change(record, amount)
            row = credit_row(amount, "admin")
            await self._balances.record([row], owner.user, owner.tenant)

        question = f"Add {_shown(amount)} credits to"
        self._run(self._change(who, tenant, question, add, yes=yes, as_json=as_json))

    def _set(self, who: str, amount: float, tenant: str | None, yes: bool, as_json: bool) -> None:
        if amount < 0:
            raise click.BadParameter("a balance is never negative", param_hint="AMOUNT")

        async def replace(_owner: _Owner, record: Record) -> None:
            await self._balances.set_credits(record, amount)

        question = f"Set to {_shown(amount)} credits the balance of"
        self._run(self._change(who, tenant, question, replace, yes=yes, as_json=as_json))

    def _list(self, as_json: bool) -> None:
        self._run(self._print_all(as_json))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            if not self._config_ref.current.rules.enabled:
                raise click.ClickException(OFF)
            asyncio.run(work)
        finally:
            work.close()

    async def _change(
        self, who: str, tenant: str | None, question: str, change: Any, *, yes: bool, as_json: bool
    ) -> None:
        async with opened(self._ctx):
            owner = await self._owner(who, tenant)
            before = await self._balances.read(owner.user)
            had = "no balance yet" if before is None else f"{_shown(credits_of(before))} credits"
            if not yes:
                click.confirm(f"{question} {owner.label}, who has {had}?", abort=True, err=True)
            record = await self._balances.synchronised(owner.user, owner.tenant)
            if record is None:
                record = await self._balances.make(owner.user, owner.tenant, 0)
            await change(owner, record)
            after = await self._balances.read(owner.user) or record
        result = {**owner.fields(), "tokenCredits": plain(credits_of(after))}
        if before is not None:
            result["previous"] = plain(credits_of(before))
        if as_json:
            click.echo(encode(result))
        else:
            click.echo(f"{owner.label} has {_shown(credits_of(after))} credits now.")

    async def _owner(self, who: str, tenant: str | None) -> _Owner:
        if "@" in who:
            people = self._ctx.services.find(PEOPLE)
            if people is None:
                raise click.ClickException(
                    "No enabled plugin finds accounts by e-mail address: give the user id."
                )
            account = await people.by_email(who, tenant=tenant)
            if account is None:
                raise click.ClickException(f"No account has the e-mail address {who}.")
            return _owner_of(account)
        if not ObjectId.is_valid(who):
            raise click.BadParameter(
                f"{who!r} is neither an e-mail address nor a user id (24 characters, 0-9 a-f)",
                param_hint="USER",
            )
        accounts = self._ctx.services.find(ACCOUNTS)
        if accounts is None:
            return _Owner(ObjectId(who), tenant)
        account = await accounts.find(who.lower())
        if account is None:
            raise click.ClickException(f"No account has the id {who}.")
        return _owner_of(account)

    async def _print_all(self, as_json: bool) -> None:
        found: list[dict[str, Any]] = []
        async with opened(self._ctx):
            async for page in self._pages():
                accounts = await self._accounts([str(record["user"]) for record in page])
                for record in page:
                    owner = accounts.get(str(record["user"])) or _Owner(record["user"])
                    amount = plain(credits_of(record))
                    found.append({**owner.fields(), "tokenCredits": amount})
        if as_json:
            click.echo(encode(found))
            return
        for entry in found:
            click.echo(f"{_shown(entry['tokenCredits']):>18}  {entry['user']}", nl=False)
            click.echo(f"  {entry['email']}" if "email" in entry else "")
        click.echo(f"{len(found)} balance(s).", err=True)

    async def _pages(self) -> AsyncIterator[list[Record]]:
        """Every balance, oldest first; of several of one user the first."""
        collection, last = self._ctx.database[Balance], ObjectId("0" * 24)
        seen: set[ObjectId] = set()
        while True:
            page = await (
                collection.find({"_id": {"$gt": last}}, {"user": 1, "tokenCredits": 1})
                .sort([("_id", ASCENDING)])
                .limit(PAGE)
                .to_list()
            )
            if not page:
                return
            last = page[-1]["_id"]
            first: dict[ObjectId, Record] = {}
            for record in page:
                if record["user"] not in seen:
                    first.setdefault(record["user"], record)
            seen.update(first)
            yield list(first.values())

    async def _accounts(self, ids: list[str]) -> dict[str, _Owner]:
        people = self._ctx.services.find(PEOPLE)
        found = {} if people is None else await people.find_many(ids)
        return {user: _owner_of(account) for user, account in found.items()}


def _owner_of(account: Account) -> _Owner:
    return _Owner(account["_id"], account.get("tenantId"), account.get("email"))


def _shown(credits: float) -> str:
    return f"{plain(round(credits, 3)):,}"
