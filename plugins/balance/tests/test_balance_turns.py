"""The check before a turn and the charge after it (contract balance §4, §5)."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import On, Plugin, hook
from locutory_balance import admission as admission_module
from locutory_balance import turns as turns_module
from locutory_balance.documents import Hold
from locutory_balance.holds import Holds
from locutory_contracts.chat import TurnRefused, TurnStarting
from locutory_testing import Serve, SignIn

ON = {"balance": {"enabled": True, "startBalance": 1000}}
WITHOUT_START = {"balance": {"enabled": True}}


# -- before ------------------------------------------------------------------------------


async def test_a_turn_that_can_be_paid_begins(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        books = kit.books(server)
        assert await chat.start(chat.turn(user), 400) is None  # all there is
        assert await books.credits(user) == 1000
        assert await books.held(user) == 1000


async def test_a_turn_that_cannot_be_paid_is_refused(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        turn = chat.turn(user)
        error = await chat.start(turn, 401)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", error.pop("date"))
        assert error == {
            "type": "token_balance",
            "balance": 1000,
            "tokenCost": 1002.5,
            "promptTokens": 401,
            "prev_count": 0,
            "violation_count": 0,
        }
        (violation,) = chat.violations
        assert (violation.violation, violation.score, violation.user) == ("token_balance", 0, user)
        await chat.end(turn)
        assert await kit.books(server).held(user) == 0
        assert await kit.books(server).credits(user) == 1000
        assert await kit.books(server).transactions(user) == []


async def test_the_error_is_one_line_of_json(serve: Serve, user: str, chat: Any) -> None:
    async with serve("balance", chat, yaml=WITHOUT_START) as server:
        with pytest.raises(TurnRefused) as refused:
            await server.kernel.events.check(TurnStarting(chat.turn(user), 10, {}))
        assert refused.value.payload.startswith(
            '{"type":"token_balance","balance":0,"tokenCost":25,"promptTokens":10,'
            '"prev_count":0,"violation_count":0,"date":"'
        )


async def test_without_a_record_nothing_can_be_spent(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat, yaml=WITHOUT_START) as server:
        assert (await chat.start(chat.turn(user), 0))["balance"] == 0
        assert await kit.books(server).balance(user) is None


@pytest.mark.parametrize(
    ("model", "endpoint", "tokens", "allowed"),
    [
        ("gpt-4o-mini", "openAI", 6666, True),  # 0.15
        ("gpt-4o-mini", "openAI", 6667, False),
        ("nobody-knows", "openAI", 166, True),  # 6
        ("nobody-knows", "openAI", 167, False),
        ("gpt-4o", "Free", 10**9, True),
    ],
)
async def test_the_price_of_the_prompt_decides(
    serve: Serve, user: str, chat: Any, model: str, endpoint: str, tokens: int, allowed: bool
) -> None:
    free = {
        "name": "Free",
        "apiKey": "k",
        "baseURL": "https://free.example",
        "models": {"default": ["gpt-4o"]},
        "tokenConfig": {"gpt-4o": {"prompt": 0, "completion": 0, "context": 1}},
    }
    yaml = {**ON, "endpoints": {"custom": [free]}}
    async with serve("balance", "endpoints", chat, yaml=yaml):
        turn = chat.turn(user, model=model, endpoint=endpoint)
        assert (await chat.start(turn, tokens) is None) is allowed


async def test_records_of_librechat_are_used(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        books = kit.books(server)
        first = await books.insert(user, tokenCredits=300.5)
        await books.insert(user, tokenCredits=9)
        turn = chat.turn(user)
        assert await chat.whole(turn, 100, kit.used(100, 5)) is None
        stored = await books.rows("balances").find({}).sort([("_id", 1)]).to_list()
        assert [row["tokenCredits"] for row in stored] == [0.5, 9]
        assert stored[0]["_id"] == first


# -- after -------------------------------------------------------------------------------


async def test_a_turn_is_charged(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        books = kit.books(server)
        turn = chat.turn(user, tenant="t1")
        await chat.whole(
            turn,
            100,
            kit.used(100, 20),
            kit.used(10, 2, context="title", model="gpt-4o-mini"),
            kit.used(200, 10, read=100),
        )
        rows = await books.transactions(user)
        assert [(row["tokenType"], row["context"], row["tokenValue"]) for row in rows] == [
            ("prompt", "message", -250),
            ("completion", "message", -200),
            ("prompt", "title", -1.5),
            ("completion", "title", -1.2),
            ("prompt", "message", -(100 * 2.5 + 100 * 1.25)),
            ("completion", "message", -100),
        ]
        for row in rows:
            assert row["user"] == ObjectId(user)
            assert row["conversationId"] == turn.conversation_id
            assert row["messageId"] == turn.response_message_id
            assert row["tenantId"] == "t1"
            assert row["__v"] == 0
        assert rows[2]["model"] == "gpt-4o-mini"
        assert await books.credits(user) == pytest.approx(1000 - 927.7)
        assert (await books.balance(user))["tenantId"] == "t1"
        assert await books.held(user) == 0


async def test_the_balance_stops_at_nothing(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        await chat.whole(chat.turn(user), 100, kit.used(100, 1000))
        stored = await kit.books(server).balance(user)
        assert stored["tokenCredits"] == 0
        values = [row["tokenValue"] for row in await kit.books(server).transactions(user)]
        assert values == [-250, -10000]
        error = await chat.start(chat.turn(user), 1)
        assert error["balance"] == 0


async def test_what_comes_later_is_charged_and_sets_nothing_free(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    """A title is told after its answer; another turn may have begun under the same ids."""
    async with serve("balance", chat, yaml=ON) as server:
        books, turn = kit.books(server), chat.turn(user)
        await chat.start(turn, 50)
        await chat.end(turn, kit.used(10, 1))
        await chat.start(turn, 20)
        await chat.end(turn, kit.used(1, 0, context="title"), settles=False)
        assert await books.held(user) == 50
        assert await books.credits(user) == 1000 - 25 - 10 - 2.5
        await chat.end(turn)
        assert await books.held(user) == 0


async def test_calls_that_were_cut_off_cost_more(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        turn = chat.turn(user)
        await chat.start(turn, 50)
        await chat.end(turn, kit.used(50, 7, context="incomplete"))
        rows = await kit.books(server).transactions(user)
        assert [row["tokenValue"] for row in rows] == [-125, -80]  # ceil(-80.5)
        assert {row["context"] for row in rows} == {"incomplete"}


async def test_no_answer_costs_nothing(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        turn = chat.turn(user)
        await chat.start(turn, 50)
        await chat.end(turn)
        assert await kit.books(server).transactions(user) == []
        assert await kit.books(server).credits(user) == 1000


async def test_turns_that_were_not_checked_are_charged(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    """The agents API deducts only. A user without a record owes nothing."""
    async with serve("balance", chat, yaml=ON) as server:
        books = kit.books(server)
        await chat.end(chat.turn(user), kit.used(10, 1))
        assert await books.balance(user) is None
        await books.insert(user, tokenCredits=100)
        await chat.end(chat.turn(user), kit.used(10, 1))
        assert await books.credits(user) == 65
        assert len(await books.transactions(user)) == 4


async def test_without_the_feature_usage_is_only_written_down(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat) as server:
        books = kit.books(server)
        await books.insert(user, tokenCredits=5)
        turn = chat.turn(user)
        assert await chat.start(turn, 10**9) is None
        await chat.end(turn, kit.used(100, 20))
        assert [row["tokenValue"] for row in await books.transactions(user)] == [-250, -200]
        assert await books.credits(user) == 5
        assert await books.rows("locutory_balance_holds").count_documents({}) == 0


@pytest.mark.parametrize(("enabled", "rows"), [(False, 0), (True, 2)])
async def test_transactions_can_be_switched_off_while_balances_are(
    serve: Serve, user: str, chat: Any, kit: Any, enabled: bool, rows: int
) -> None:
    yaml = {
        "transactions": {"enabled": False},
        "balance": {"enabled": enabled, "startBalance": 1000},
    }
    async with serve("balance", chat, yaml=yaml) as server:
        await chat.whole(chat.turn(user), 10, kit.used())
        assert len(await kit.books(server).transactions(user)) == rows


async def test_what_a_row_costs_is_what_is_taken(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    """Fractions of credits, over many turns."""
    async with serve("balance", chat, yaml=ON) as server:
        books = kit.books(server)
        for tokens in range(1, 30):
            await chat.whole(chat.turn(user), tokens, kit.used(tokens, 3, model="gpt-5-nano"))
        rows = await books.transactions(user)
        spent = sum(row["tokenValue"] for row in rows)
        assert await books.credits(user) == pytest.approx(1000 + spent)
        assert {row["rate"] for row in rows} == {0.05, 0.4}


async def test_a_foreign_principal_is_left_alone(serve: Serve, chat: Any, kit: Any) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        turn = chat.turn("system")
        assert await chat.whole(turn, 10**9, kit.used()) is None
        assert await kit.books(server).rows("transactions").count_documents({}) == 0


async def test_nothing_is_written_for_a_lost_account(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    people = kit.people()
    async with serve("balance", chat, people, yaml=ON) as server:
        await chat.whole(chat.turn(user), 10, kit.used())
        assert await kit.books(server).transactions(user) == []
        assert await kit.books(server).held(user) == 0


# -- side by side ------------------------------------------------------------------------


async def test_fifty_turns_at_once_spend_each_credit_once(
    serve: Serve, user: str, kit: Any
) -> None:
    """Each sets 100 credits aside and costs 120 in the end: 10 can begin, the last ones pay
    what is left."""
    chat = kit.chat(seconds=0.3)
    async with serve("balance", SignIn(), chat, yaml=ON) as server:
        books = kit.books(server)
        async with server.connect(user) as client:
            body = {"prompt": 40, "completion": 2}
            answers = await asyncio.gather(
                *(client.post("/test/turn", json=body) for _ in range(50))
            )
        errors = [answer.json()["error"] for answer in answers]
        assert sum(error is None for error in errors) == 10
        assert {error["type"] for error in errors if error} == {"token_balance"}
        assert all(error["balance"] < 100 for error in errors if error)
        assert await books.credits(user) == 0
        assert len(await books.transactions(user)) == 20
        assert await books.held(user) == 0


async def test_fifty_turns_at_once_are_all_charged(serve: Serve, user: str, kit: Any) -> None:
    yaml = {"balance": {"enabled": True, "startBalance": 100_000}}
    one, two = kit.chat(seconds=0.05), kit.chat(seconds=0.05)
    async with serve("balance", one, yaml=yaml) as server:
        books, name = kit.books(server), server.database
        async with serve("balance", two, yaml=yaml, database=name):
            errors = await asyncio.gather(
                *(chat.whole(chat.turn(user), 10, kit.used(10, 1)) for chat in [one, two] * 25)
            )
        assert errors == [None] * 50
        assert await books.credits(user) == 100_000 - 50 * 35
        assert await books.held(user) == 0
        assert await books.rows("balances").count_documents({}) == 1
        assert len(await books.transactions(user)) == 100


async def test_two_servers_never_spend_a_credit_twice(serve: Serve, user: str, kit: Any) -> None:
    one, two = kit.chat(), kit.chat()
    async with serve("balance", one, yaml=ON) as server:
        books, name = kit.books(server), server.database
        async with serve("balance", two, yaml=ON, database=name):
            turns = [(chat, chat.turn(user)) for chat in [one, two] * 10]
            errors = await asyncio.gather(*(chat.start(turn, 80) for chat, turn in turns))
            assert sum(error is None for error in errors) == 5  # of 200 credits each
            assert await books.held(user) == 1000
            await asyncio.gather(*(chat.end(turn) for chat, turn in turns))
        assert await books.held(user) == 0


async def test_a_veto_of_another_plugin_gives_back_what_was_set_aside(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    class Stern(Plugin):
        name = "stern"
        summary = "Refuses"

        @hook
        def subscriptions(self) -> list[On]:
            async def refuse(_: TurnStarting) -> None:
                raise TurnRefused('{"type":"no"}')

            return [On(TurnStarting, refuse)]

    async with serve("balance", chat, Stern(), yaml=ON) as server:
        turn = chat.turn(user)
        assert (await chat.start(turn, 10))["type"] == "no"
        await chat.end(turn)
        assert await kit.books(server).held(user) == 0


async def test_a_turn_stopped_during_the_check_sets_nothing_aside(
    serve: Serve, user: str, chat: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        reached, original = asyncio.Event(), Holds.add

        async def slow(*arguments: Any) -> bool:
            reached.set()
            await asyncio.sleep(0.1)
            return await original(*arguments)

        monkeypatch.setattr(Holds, "add", slow)
        turn = chat.turn(user)
        task = asyncio.create_task(chat.start(turn, 10))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await chat.end(turn)
        assert await kit.books(server).held(user) == 0


async def test_turns_of_one_message_end_one_by_one(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        turn = chat.turn(user)
        await chat.start(turn, 10)
        await chat.start(turn, 20)
        await chat.end(turn)
        assert await kit.books(server).held(user) == 50
        await chat.end(turn)
        assert await kit.books(server).held(user) == 0


async def test_a_hold_that_nobody_ended_runs_out(
    serve: Serve, user: str, chat: Any, kit: Any
) -> None:
    async with serve("balance", chat, yaml=ON) as server:
        assert await chat.start(chat.turn(user), 400) is None
        assert (await chat.start(chat.turn(user), 400))["balance"] == 0
        holds = server.kernel.database[Hold]
        (row,) = await holds.find({}).to_list()
        over = [{**hold, "until": datetime.now(UTC)} for hold in row["holds"]]
        await holds.update_one({"_id": row["_id"]}, {"$set": {"holds": over}})
        assert await chat.start(chat.turn(user), 400) is None
        assert await kit.books(server).held(user) == 1000


async def test_a_busy_database_does_not_refuse_anybody(
    serve: Serve, user: str, chat: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve("balance", chat, yaml=ON) as server:

        async def lose(*_: Any) -> bool:
            return False

        monkeypatch.setattr(Holds, "add", lose)
        monkeypatch.setattr(admission_module, "_FIRST_DELAY", 0)
        assert await chat.start(chat.turn(user), 10) is None
        assert await kit.books(server).held(user) == 0


async def test_ends_that_are_never_told_are_forgotten(
    serve: Serve, user: str, chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "MAX_OPEN", 3)
    async with serve("balance", chat) as server:
        for _ in range(9):
            await chat.start(chat.turn(user), 10)
        plugin: Any = next(found for found in server.kernel.plugins if found.name == "balance")
        assert len(plugin._turns._open) == 3


async def test_a_charge_that_fails_is_not_felt(
    serve: Serve, user: str, chat: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from locutory_balance.service import Balances

    async with serve("balance", chat, yaml=ON) as server:

        async def fail(*_: Any) -> None:
            raise RuntimeError("full")

        turn = chat.turn(user)
        await chat.start(turn, 10)
        monkeypatch.setattr(Balances, "charge", fail)
        await chat.end(turn, kit.used())
        assert server.kernel.events.failures["balance"] == 1
        assert await kit.books(server).held(user) == 0
