"""The service ``accounts``: reading, changing, deleting (contract accounts; user §7)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo import monitoring

from locutory import On, Plugin, Veto, hook
from locutory_contracts.accounts import ACCOUNTS, AccountDeleted, AccountDeleting
from locutory_testing.database import Databases
from locutory_testing.waiting import until


class Witness(Plugin):
    """Takes part in deletions: may veto, may fail, remembers what it saw."""

    name = "witness"
    summary = "Takes part in deletions; for tests only"

    def __init__(self, *, veto: bool = False, fails: int = 0) -> None:
        self.veto = veto
        self.fails = fails
        self.asked: list[str] = []
        self.told: list[str] = []

    @hook
    def subscriptions(self) -> list[On]:
        return [On(AccountDeleting, self.deleting), On(AccountDeleted, self.deleted)]

    async def deleting(self, step: AccountDeleting) -> None:
        self.asked.append(step.user_id)
        if self.veto:
            raise Veto(403, {"message": "not now"})

    async def deleted(self, fact: AccountDeleted) -> None:
        self.told.append(fact.user_id)
        if len(self.told) <= self.fails:
            raise RuntimeError("not yet")


@pytest.fixture
async def ann(someone: Any) -> Any:
    """Somebody signed in, with the service at hand."""
    await someone.add("ann@example.com")
    someone.token = (await someone.login("ann@example.com")).json()["token"]
    someone.id = str((await someone.account("ann@example.com"))["_id"])
    someone.accounts = someone.server.kernel.services.get(ACCOUNTS)
    someone.users = someone.server.kernel.database.collection("users")
    return someone


class TestReading:
    async def test_finds_an_account_without_secrets(self, ann: Any) -> None:
        account = await ann.accounts.find(ann.id)
        assert account["_id"] == ObjectId(ann.id)
        assert account["email"] == "ann@example.com"
        assert {"password", "backupCodes", "__v"}.isdisjoint(account)
        assert await ann.accounts.count() == 1

    @pytest.mark.parametrize("user_id", ["", "x", "0" * 24, "a" * 12])
    async def test_finds_nothing_else(self, ann: Any, user_id: str) -> None:
        assert await ann.accounts.find(user_id) is None
        assert await ann.accounts.update(user_id, {"name": "B"}) is None
        assert await ann.accounts.delete(user_id) is False

    async def test_a_found_account_cannot_be_changed_by_accident(self, ann: Any) -> None:
        account = await ann.accounts.find(ann.id)
        with pytest.raises(TypeError):
            account["role"] = "ADMIN"


class TestChanging:
    async def test_is_seen_at_once(self, ann: Any) -> None:
        before = await ann.account("ann@example.com")
        soon = datetime.now(UTC)
        await ann.users.update_one({}, {"$set": {"expiresAt": soon}})
        account = await ann.accounts.update(
            ann.id, {"name": "Anna", "personalization.memories": False}
        )
        assert account["name"] == "Anna"
        seen = (await ann.me(ann.token)).json()["account"]
        assert seen["name"] == "Anna"
        assert seen["personalization"]["memories"] is False
        assert seen["personalization"]["statefulCodeEnvironment"] == "user"
        stored = await ann.account("ann@example.com")
        assert stored["updatedAt"] >= before["updatedAt"]
        assert "expiresAt" not in stored

    @pytest.mark.parametrize(
        "field",
        [
            "role",
            "email",
            "password",
            "totpSecret",
            "backupCodes",
            "_id",
            "provider",
            "tenantId",
            "emailVerified",
            "twoFactorEnabled",
            "googleId",
            "$set",
            "role.x",
            ".name",
        ],
    )
    async def test_never_of_what_decides_who_somebody_is(self, ann: Any, field: str) -> None:
        with pytest.raises(ValueError, match="cannot be set"):
            await ann.accounts.update(ann.id, {field: "x"})


class Reads(monitoring.CommandListener):
    """Counts what the server asks of a collection."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command.get("find") == self.collection:
            self.count += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class TestMemory:
    async def test_most_requests_read_nothing(self, people: Any, databases: Databases) -> None:
        if databases.are_files:
            pytest.skip("no commands are sent to a file")
        reads = Reads("users")
        monitoring.register(reads)
        yaml = {"plugins": {"auth": {"account_cache_seconds": 3600}}}
        try:
            async with people(yaml=yaml) as someone:
                await someone.add("ann@example.com")
                token = (await someone.login("ann@example.com")).json()["token"]
                await someone.me(token)
                before = reads.count
                for _ in range(20):
                    assert (await someone.me(token)).status_code == 200
                assert reads.count == before
        finally:
            monitoring._LISTENERS.command_listeners.remove(reads)

    async def test_does_not_last(self, people: Any) -> None:
        yaml = {"plugins": {"auth": {"account_cache_seconds": 0.2}}}
        async with people(yaml=yaml) as someone:
            await someone.add("ann@example.com")
            token = (await someone.login("ann@example.com")).json()["token"]
            assert (await someone.me(token)).json()["account"]["name"] == "Alice Example"
            users = someone.server.kernel.database.collection("users")
            await users.update_one({}, {"$set": {"name": "Changed Elsewhere"}})

            async def seen() -> bool:
                account = (await someone.me(token)).json()["account"]
                return bool(account["name"] == "Changed Elsewhere")

            await until(seen)

    async def test_is_bounded(self, people: Any) -> None:
        yaml = {"plugins": {"auth": {"account_cache_size": 2}}}
        async with people(yaml=yaml) as someone:
            accounts = someone.server.kernel.services.get(ACCOUNTS)
            users = someone.server.kernel.database.collection("users")
            rows = [{"email": f"p{n}@example.com", "role": "USER"} for n in range(5)]
            ids = (await users.insert_many(rows)).inserted_ids
            for user in ids:
                await accounts.find(str(user))
            assert len(accounts._cache._entries) == 2

    async def test_keeps_nothing_that_was_read_before_a_change(self, ann: Any) -> None:
        """A read that a change overtakes must not bring the old account back."""
        cache = ann.accounts._cache
        known = await ann.accounts.load(ann.id)
        seen = cache.changes
        await ann.accounts.update(ann.id, {"name": "Anna"})
        cache.forget(ann.id)
        cache.put(known.principal, False, 0, known.revoked, seen)
        assert cache.get(ann.id) is None


async def test_workers_tell_each_other_of_changes(people: Any, redis_uri: str) -> None:
    name = "test_auth_two_workers"
    shared = {"USE_REDIS": "true", "REDIS_URI": redis_uri, "REDIS_KEY_PREFIX": "t"}
    yaml = {"plugins": {"auth": {"account_cache_seconds": 3600}}}
    options: dict[str, Any] = {"database": name, "yaml": yaml}
    async with people(shared, **options) as one, people(shared, **options) as two:
        try:
            await one.add("ann@example.com")
            token = (await one.login("ann@example.com")).json()["token"]
            user = str((await one.account("ann@example.com"))["_id"])
            for server in (one, two):
                assert (await server.me(token)).json()["account"]["name"] == "Alice Example"
            await one.server.kernel.services.get(ACCOUNTS).update(user, {"name": "Anna"})

            async def told() -> bool:
                account = (await two.me(token)).json()["account"]
                return bool(account["name"] == "Anna")

            await until(told)
        finally:
            await one.server.kernel.database.client.drop_database(name)


class TestDeleting:
    async def test_leaves_nothing(self, ann: Any) -> None:
        await ann.add("bob@example.com")
        await ann.login("bob@example.com")
        await ann.login("ann@example.com")
        await ann.server.client.post("/api/auth/refresh")
        tokens = ann.server.kernel.database.collection("tokens")
        for user in (ObjectId(ann.id), ObjectId()):
            await tokens.insert_one(
                {"userId": user, "token": "x", "expiresAt": datetime.now(UTC) + timedelta(days=1)}
            )
        assert await ann.accounts.delete(ann.id) is True
        assert (await ann.me(ann.token)).json() == {"message": "Unauthorized"}
        assert [row["email"] for row in await ann.rows("users")] == ["bob@example.com"]
        assert all(str(row["user"]) != ann.id for row in await ann.rows("sessions"))
        assert all(str(row["user"]) != ann.id for row in await ann.rows("locutory_refresh"))
        assert [str(row["userId"]) != ann.id for row in await ann.rows("tokens")] == [True]
        assert await ann.accounts.find(ann.id) is None
        assert await ann.accounts.delete(ann.id) is False

    async def test_asks_then_tells_then_removes(self, serve: Any) -> None:
        witness = Witness()
        async with serve("auth", witness) as server:
            users = server.kernel.database.collection("users")
            user = (await users.insert_one({"email": "a@example.com"})).inserted_id
            await server.kernel.services.get(ACCOUNTS).delete(str(user))
            assert witness.asked == witness.told == [str(user)]
            assert await users.find_one({}) is None

    async def test_a_veto_opens_the_account_again(self, serve: Any) -> None:
        witness = Witness(veto=True)
        async with serve("auth", witness) as server:
            users = server.kernel.database.collection("users")
            user = (await users.insert_one({"email": "a@example.com"})).inserted_id
            accounts = server.kernel.services.get(ACCOUNTS)
            with pytest.raises(Veto):
                await accounts.delete(str(user))
            assert witness.told == []
            assert "agentTriggerDeletionStartedAt" not in await users.find_one({})
            witness.veto = False
            assert await accounts.delete(str(user)) is True

    async def test_a_plugin_that_fails_is_asked_again(self, serve: Any) -> None:
        witness = Witness(fails=1)
        async with serve("auth", witness) as server:
            users = server.kernel.database.collection("users")
            user = (await users.insert_one({"email": "a@example.com"})).inserted_id
            await server.kernel.services.get(ACCOUNTS).delete(str(user))
            assert await users.find_one({}) is None
            await server.kernel.events.outbox.deliver_pending()
            await server.kernel.events.outbox.deliver_pending()
            assert witness.told == [str(user)] * 2

    async def test_repeating_does_no_harm(self, ann: Any) -> None:
        await ann.add("bob@example.com")
        for _ in range(3):
            await ann.server.kernel.events.publish(AccountDeleted(str(ObjectId())))
            await ann.server.kernel.events.publish(AccountDeleted("nonsense"))
        assert len(await ann.rows("users")) == 2
        assert len(await ann.rows("sessions")) == 1

    async def test_meanwhile_nothing_works(self, ann: Any) -> None:
        flag = {"agentTriggerDeletionStartedAt": datetime.now(UTC)}
        await ann.users.update_one({}, {"$set": flag})
        ann.accounts._cache.clear()
        expected = {
            "message": "Account deletion is in progress",
            "code": "ACCOUNT_DELETION_IN_PROGRESS",
        }
        for answer in (
            await ann.me(ann.token),
            await ann.login("ann@example.com"),
            await ann.server.client.post("/api/auth/refresh"),
        ):
            assert (answer.status_code, answer.json()) == (401, expected)
        with pytest.raises(Exception, match=ann.id):
            await ann.accounts.delete(ann.id)
        assert len(await ann.rows("users")) == 1

    async def test_one_a_dying_server_left_is_finished(self, ann: Any) -> None:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        flag = "agentTriggerDeletionStartedAt"
        await ann.users.update_one({}, {"$set": {flag: long_ago}})
        await ann.add("bob@example.com")
        now = datetime.now(UTC)
        await ann.users.update_one({"email": "bob@example.com"}, {"$set": {flag: now}})
        await ann.accounts.finish_deletions()
        assert [row["email"] for row in await ann.rows("users")] == ["bob@example.com"]


async def test_data_survives_a_restart(people: Any) -> None:
    name = "test_auth_restart"
    async with people(database=name) as someone:
        await someone.add("ann@example.com")
        answer = await someone.login("ann@example.com")
    async with people(database=name) as someone:
        try:
            assert (await someone.me(answer.json()["token"])).status_code == 200
            headers = {"cookie": answer.headers.get_list("set-cookie")[0].partition(";")[0]}
            refreshed = await someone.server.client.post("/api/auth/refresh", headers=headers)
            assert refreshed.status_code == 200
            assert (await someone.login("ann@example.com")).status_code == 200
        finally:
            await someone.server.kernel.database.client.drop_database(name)


async def test_indexes_are_those_of_librechat(someone: Any) -> None:
    database = someone.server.kernel.database
    users = await database.collection("users").index_information()
    expected = {
        "_id_",
        "email_1",
        "expiresAt_1",
        "idOnTheSource_1",
        "email_1_tenantId_1",
        "role_1_tenantId_1",
        "idOnTheSource_1_openidIssuer_1_tenantId_1",
        "openidId_1_openidIssuer_1_tenantId_1",
        "tenantId_1",
        "agentTriggerDeletionStartedAt_1",
        *(
            f"{provider}Id_1_tenantId_1"
            for provider in ["google", "facebook", "saml", "ldap", "github", "discord", "apple"]
        ),
    }
    assert set(users) == expected
    assert users["expiresAt_1"]["expireAfterSeconds"] == 604_800
    assert users["email_1_tenantId_1"]["unique"]
    sessions = await database.collection("sessions").index_information()
    assert sessions["expiration_1"]["expireAfterSeconds"] == 0
    tokens = await database.collection("tokens").index_information()
    assert tokens["expiresAt_1"]["expireAfterSeconds"] == 0
    assert "userId_1_type_1_identifier_1_tenantId_1" in tokens
