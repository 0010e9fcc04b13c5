"""``GET /api/balance`` (contract balance §1, §3)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from locutory import On, Plugin, hook
from locutory_balance.service import Balances
from locutory_contracts.accounts import AccountCreated, AccountDeleted
from locutory_contracts.sign_in import AccountSignedIn
from locutory_testing import Serve, Server, SignIn

REFILL = {
    "autoRefillEnabled": True,
    "refillIntervalValue": 2,
    "refillIntervalUnit": "hours",
    "refillAmount": 500,
}
ON = {"balance": {"enabled": True, "startBalance": 20000}}
REFILLING = {"balance": {**ON["balance"], **REFILL}}
OLD = datetime(2024, 1, 31, 12, tzinfo=UTC)


async def show(server: Server, user: str) -> Any:
    async with server.connect(user) as client:
        return await client.get("/api/balance")


@pytest.mark.parametrize(
    "yaml", [{}, {"balance": {"startBalance": 5}}, {"balance": {"enabled": False}}]
)
async def test_it_is_off_by_default(serve: Serve, user: str, kit: Any, yaml: Any) -> None:
    async with serve("balance", SignIn(), yaml=yaml) as server:
        answer = await show(server, user)
        assert answer.status_code == 204
        assert answer.content == b""
        assert answer.headers["x-robots-tag"] == "noindex"
        assert await kit.books(server).balance(user) is None


async def test_strangers_are_refused(serve: Serve) -> None:
    async with serve("balance", SignIn(), yaml=ON) as server:
        answer = await server.client.get("/api/balance")
        assert answer.status_code == 401
        assert set(answer.json()) == {"message"}


async def test_the_first_look_makes_the_record(serve: Serve, user: str, kit: Any) -> None:
    async with serve("balance", SignIn(), yaml=ON) as server:
        for _ in range(2):
            answer = await show(server, user)
            assert answer.status_code == 200
            assert answer.json() == {
                "user": user,
                "tokenCredits": 20000,
                "autoRefillEnabled": False,
                "__v": 0,
            }
            assert '"tokenCredits":20000,' in answer.text
        stored = await kit.books(server).balance(user)
        assert stored["user"] == ObjectId(user)
        assert (stored["refillIntervalValue"], stored["refillIntervalUnit"]) == (30, "days")
        assert stored["refillAmount"] == 0
        assert isinstance(stored["lastRefill"], datetime)
        assert stored["__v"] == 0
        assert "tenantId" not in stored
        assert await kit.books(server).transactions(user) == []


async def test_many_first_looks_make_one_record(serve: Serve, user: str, kit: Any) -> None:
    async with serve("balance", SignIn(), yaml=ON) as one:
        name = one.database
        async with serve("balance", SignIn(), yaml=ON, database=name) as two:
            answers = await asyncio.gather(*(show(server, user) for server in [one, two] * 15))
            assert {answer.json()["tokenCredits"] for answer in answers} == {20000}
            assert await kit.books(one).rows("balances").count_documents({}) == 1


async def test_without_start_balance_there_is_no_record(serve: Serve, user: str, kit: Any) -> None:
    """Schema defaults are not filled in (config-yaml trap 1)."""
    async with serve("balance", SignIn(), yaml={"balance": {"enabled": True}}) as server:
        answer = await show(server, user)
        assert answer.status_code == 404
        assert answer.json() == {"error": "Balance not found"}
        assert await kit.books(server).balance(user) is None
        await kit.books(server).insert(user, tokenCredits=12.5)
        assert (await show(server, user)).json() == {"user": user, "tokenCredits": 12.5, "__v": 0}


async def test_a_start_balance_of_nothing_is_a_record(serve: Serve, user: str) -> None:
    async with serve(
        "balance", SignIn(), yaml={"balance": {"enabled": True, "startBalance": 0}}
    ) as server:
        assert (await show(server, user)).json()["tokenCredits"] == 0


async def test_refill_settings_are_shown_while_refilling(serve: Serve, user: str) -> None:
    async with serve("balance", SignIn(), yaml=REFILLING) as server:
        shown = (await show(server, user)).json()
        assert shown.pop("lastRefill").endswith("Z")
        assert shown == {"user": user, "tokenCredits": 20000, **REFILL, "__v": 0}


async def test_refill_settings_follow_the_configuration(serve: Serve, user: str, kit: Any) -> None:
    async with serve("balance", SignIn(), yaml=REFILLING) as server:
        await kit.books(server).insert(
            user, tokenCredits=7, autoRefillEnabled=False, refillAmount=1, lastRefill=OLD
        )
        shown = (await show(server, user)).json()
        assert shown == {
            "user": user,
            "tokenCredits": 7,
            **REFILL,
            "lastRefill": "2024-01-31T12:00:00.000Z",
            "__v": 0,
        }


async def test_a_record_keeps_refilling_when_the_configuration_stops(
    serve: Serve, user: str, kit: Any
) -> None:
    async with serve("balance", SignIn(), yaml=ON) as server:
        await kit.books(server).insert(user, tokenCredits=7, **REFILL, lastRefill=OLD)
        assert (await show(server, user)).json()["refillAmount"] == 500


@pytest.mark.parametrize("missing", list(REFILL))
async def test_refill_needs_all_four_settings(serve: Serve, user: str, missing: str) -> None:
    section = {key: value for key, value in REFILLING["balance"].items() if key != missing}
    async with serve("balance", SignIn(), yaml={"balance": section}) as server:
        assert (await show(server, user)).json()["autoRefillEnabled"] is False


async def test_missing_members_are_filled_in(serve: Serve, user: str, kit: Any) -> None:
    async with serve("balance", SignIn(), yaml=REFILLING) as server:
        await kit.books(server).insert(user, tokenCredits=None)
        shown = (await show(server, user)).json()
        assert shown["tokenCredits"] == 20000
        assert shown["lastRefill"]


async def test_of_two_records_the_first_counts(serve: Serve, user: str, kit: Any) -> None:
    async with serve("balance", SignIn(), yaml=ON) as server:
        await kit.books(server).insert(user, tokenCredits=1)
        await kit.books(server).insert(user, tokenCredits=2)
        assert (await show(server, user)).json()["tokenCredits"] == 1


async def test_private_fields_stay_private(serve: Serve, user: str, kit: Any) -> None:
    async with serve("balance", SignIn(), yaml=ON) as server:
        await kit.books(server).insert(user, tokenCredits=1.0, note="x", tenantId="t")
        answer = await show(server, user)
        assert answer.json() == {"user": user, "tokenCredits": 1, "tenantId": "t", "__v": 0}
        assert '"tokenCredits":1,' in answer.text


async def test_accounts_get_their_record_when_created(serve: Serve, user: str, kit: Any) -> None:
    other = str(ObjectId())
    async with serve("balance", SignIn(), yaml=REFILLING) as server:
        events = server.kernel.events
        await asyncio.gather(*(events.publish(AccountCreated(user)) for _ in range(5)))
        await events.publish(AccountSignedIn(other, "google"))
        await events.publish(AccountSignedIn("no id", "google"))
        for account in (user, other):
            record = await kit.books(server).balance(account)
            assert record["tokenCredits"] == 20000
            assert record["refillAmount"] == 500
        assert await kit.books(server).rows("balances").count_documents({}) == 2


@pytest.mark.parametrize("section", [{}, {"enabled": True}, {"enabled": True, "startBalance": 0}])
async def test_accounts_get_nothing_where_nothing_is_given(
    serve: Serve, user: str, kit: Any, section: dict[str, Any]
) -> None:
    async with serve("balance", SignIn(), yaml={"balance": section}) as server:
        await server.kernel.events.publish(AccountCreated(user))
        assert await kit.books(server).balance(user) is None


async def test_the_tenant_of_an_account_is_written(serve: Serve, user: str, kit: Any) -> None:
    people = kit.people({"_id": ObjectId(user), "email": "a@b.c", "tenantId": "t1"})
    async with serve("balance", SignIn(), people, yaml=ON) as server:
        await server.kernel.events.publish(AccountCreated(user))
        assert (await kit.books(server).balance(user))["tenantId"] == "t1"


async def test_deleted_accounts_leave_nothing(serve: Serve, user: str, chat: Any, kit: Any) -> None:
    other = str(ObjectId())
    async with serve("balance", SignIn(), chat, yaml=ON) as server:
        books = kit.books(server)
        for account in (user, other):
            await chat.whole(chat.turn(account), 10, kit.used())
        await books.insert(user, tokenCredits=1)
        await server.kernel.events.publish(AccountDeleted(user))
        # A turn that ends later leaves nothing either.
        await chat.end(chat.turn(user), kit.used())
        for name in ("balances", "transactions", "locutory_balance_holds"):
            left = await books.rows(name).find({}).to_list()
            assert left
            assert ObjectId(user) not in {row.get("user", row["_id"]) for row in left}


async def test_a_deletion_is_caught_up_with(serve: Serve, user: str, kit: Any) -> None:
    """The plugin was off when the account was deleted."""

    async def nothing(_fact: AccountDeleted) -> None: ...

    class Other(Plugin):
        name = "other"
        summary = "Knows deletions"

        @hook
        def subscriptions(self) -> list[On]:
            return [On(AccountDeleted, nothing)]

    database = f"test_{ObjectId()}"
    async with serve("balance", SignIn(), yaml=ON, database=database) as server:
        await show(server, user)
    async with serve(Other(), database=database) as server:
        await server.kernel.events.publish(AccountDeleted(user))
    async with serve("balance", SignIn(), yaml=ON, database=database) as server:
        assert await kit.books(server).balance(user) is None
        await server.kernel.database.client.drop_database(database)


async def test_indexes_are_those_of_librechat(serve: Serve, kit: Any) -> None:
    async with serve("balance") as server:
        found = {
            name: set(await kit.books(server).rows(name).index_information())
            for name in ("balances", "transactions")
        }
        assert found["balances"] == {"_id_", "user_1", "tenantId_1"}
        assert found["transactions"] == {
            "_id_",
            "user_1",
            "conversationId_1",
            "model_1",
            "tenantId_1",
        }


async def test_a_failure_is_the_text_of_the_contract(
    serve: Serve, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve("balance", SignIn(), yaml=ON) as server:

        async def fail(*_: Any) -> None:
            raise RuntimeError("no database")

        monkeypatch.setattr(Balances, "read", fail)
        answer = await show(server, user)
        assert (answer.status_code, answer.text) == (500, "An unknown error occurred.")
