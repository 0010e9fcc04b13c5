"""A plugin that runs turns as the chat does, and accounts for the command line."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from bson import ObjectId

from locutory import (
    JSON,
    Context,
    Fact,
    LimitExceeded,
    On,
    Plugin,
    Principal,
    Provide,
    Request,
    Route,
    SignedIn,
    Step,
    hook,
)
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.chat import (
    ModelUsed,
    Turn,
    TurnRefused,
    TurnStarting,
    UsageReported,
)
from locutory_contracts.people import PEOPLE
from locutory_testing import Server


def used(
    input_tokens: int = 100,
    output_tokens: int = 50,
    *,
    model: str = "gpt-4o",
    endpoint: str = "openAI",
    context: str = "message",
    read: int = 0,
    write: int = 0,
    prices: Mapping[str, float] | None = None,
) -> ModelUsed:
    """A model call. ``gpt-4o`` costs 2.5 and 10 credits a token."""
    return ModelUsed(
        model=model,
        provider=endpoint,
        endpoint=endpoint,
        context=context,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read=read,
        cache_creation=write,
        prices=prices or {},
    )


class ChatPlugin(Plugin):
    """Publishes the events of turns: by methods, and at ``POST /test/turn``."""

    name = "testchat"
    summary = "Turns without models; for tests only"

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.violations: list[LimitExceeded] = []

    @hook
    def subscriptions(self, ctx: Context) -> list[On]:
        self.ctx = ctx

        async def note(fact: LimitExceeded) -> None:
            self.violations.append(fact)

        return [On(LimitExceeded, note)]

    @hook
    def routes(self) -> list[Route]:
        return [
            Route(
                path="/test/turn",
                endpoint=self._run,
                methods=("POST",),
                access=SignedIn(),
                summary="Run a turn",
            )
        ]

    def turn(
        self,
        user: str,
        *,
        model: str = "gpt-4o",
        endpoint: str = "openAI",
        tenant: str | None = None,
    ) -> Turn:
        return Turn(
            principal=Principal(user, tenant=tenant),
            conversation_id=str(ObjectId()),
            user_message_id=str(ObjectId()),
            response_message_id=str(ObjectId()),
            endpoint=endpoint,
            model=model,
            text="Hi",
            body={},
            options={},
            temporary=False,
        )

    async def start(
        self, turn: Turn, tokens: int = 100, prices: Mapping[str, float] | None = None
    ) -> dict[str, Any] | None:
        """``None`` when the turn may go on, else the error that it ends with."""
        step: Step = TurnStarting(turn, tokens, prices or {})
        try:
            await self.ctx.events.check(step)
        except TurnRefused as refusal:
            body: dict[str, Any] = orjson.loads(refusal.payload)
            return body
        return None

    async def end(
        self,
        turn: Turn,
        *usage: ModelUsed,
        settles: bool = True,
    ) -> None:
        fact: Fact = UsageReported(turn, usage, settles)
        await self.ctx.events.publish(fact)

    async def whole(self, turn: Turn, tokens: int, *usage: ModelUsed) -> dict[str, Any] | None:
        """A turn from start to end."""
        error = await self.start(turn, tokens)
        await asyncio.sleep(self.seconds)
        if error is None:
            await self.end(turn, *usage)
        else:
            await self.end(turn)
        return error

    async def _run(self, request: Request) -> JSON:
        body = request.fields
        turn = self.turn(request.caller.id)
        error = await self.whole(turn, body["prompt"], used(body["prompt"], body["completion"]))
        return JSON({"error": error})


class PeoplePlugin(Plugin):
    """Accounts by id and e-mail address."""

    name = "testpeople"
    summary = "Accounts in memory; for tests only"
    provides = (ACCOUNTS, PEOPLE)

    def __init__(self, *accounts: Mapping[str, Any]) -> None:
        self.accounts = {str(account["_id"]): account for account in accounts}

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNTS, self), Provide(PEOPLE, self)]

    async def find(self, user_id: str) -> Mapping[str, Any] | None:
        return self.accounts.get(user_id)

    async def find_many(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        return {user: self.accounts[user] for user in ids if user in self.accounts}

    async def by_email(self, email: str, *, tenant: str | None = None) -> Mapping[str, Any] | None:
        for account in self.accounts.values():
            if account["email"] == email.lower() and account.get("tenantId") == tenant:
                return account
        return None


class Books:
    """What is stored for the users of a server."""

    def __init__(self, server: Server) -> None:
        self._database = server.kernel.database

    def rows(self, name: str) -> Any:
        return self._database.collection(name)

    async def balance(self, user: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self.rows("balances").find_one(
            {"user": ObjectId(user)}
        )
        return found

    async def credits(self, user: str) -> float:
        record = await self.balance(user)
        assert record is not None
        return float(record["tokenCredits"])

    async def transactions(self, user: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            await self.rows("transactions")
            .find({"user": ObjectId(user)})
            .sort([("_id", 1)])
            .to_list()
        )
        return found

    async def held(self, user: str) -> float:
        found = await self.rows("locutory_balance_holds").find_one({"_id": ObjectId(user)})
        return float(sum(hold["amount"] for hold in found["holds"])) if found else 0.0

    async def insert(self, user: str, **fields: Any) -> ObjectId:
        """A record as LibreChat writes it."""
        identity = ObjectId()
        record = {"_id": identity, "user": ObjectId(user), "__v": 0, **fields}
        await self.rows("balances").insert_one(record)
        return identity


@pytest.fixture
def user() -> str:
    return str(ObjectId())


@pytest.fixture
def chat() -> ChatPlugin:
    return ChatPlugin()


class Kit:
    """What tests build with."""

    used = staticmethod(used)
    books = Books
    chat = ChatPlugin
    people = PeoplePlugin


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
