"""Profile, terms, preferences (contract user §3–§5)."""

from typing import Any

import pytest
from pymongo import monitoring

from locutory import Plugin
from locutory_testing import SignIn
from locutory_testing.database import Databases


class Asked(monitoring.CommandListener):
    """Commands that the database received."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Sections(Plugin):
    """Owns a section of another plugin."""

    name = "sections"
    summary = "Owns a section; for tests only"
    sections = {"endpoints": None}  # noqa: RUF012


class TestProfile:
    async def test_shows_these_members_and_no_other(self, ann: Any) -> None:
        users = ann.server.kernel.database.collection("users")
        more = {"totpSecret": "s", "idOnTheSource": "x", "openidId": "x", "federatedTokens": "x"}
        await users.update_one({}, {"$set": more})
        answer = await ann.client.get("/api/user")
        body = answer.json()
        assert answer.status_code == 200
        assert list(body) == [
            "_id",
            "id",
            "name",
            "username",
            "email",
            "emailVerified",
            "avatar",
            "provider",
            "role",
            "plugins",
            "twoFactorEnabled",
            "termsAccepted",
            "personalization",
            "favorites",
            "skillStates",
            "createdAt",
            "updatedAt",
        ]
        assert body["_id"] == body["id"] == ann.id
        assert body["avatar"] is None
        assert body["createdAt"].endswith("Z")

    async def test_leaves_out_what_is_not_stored(self, caller: Any) -> None:
        async with caller(fields={"tenantId": "t"}) as ann:
            users = ann.server.kernel.database.collection("users")
            await users.update_one({}, {"$unset": {"avatar": "", "username": "", "favorites": ""}})
            body = (await ann.client.get("/api/user")).json()
            assert {"avatar", "username", "favorites"}.isdisjoint(body)
            assert body["tenantId"] == "t"

    async def test_reads_nothing_itself(self, caller: Any, databases: Databases) -> None:
        """What authentication read a moment ago is enough."""
        if databases.are_files:
            pytest.skip("no commands are sent to a file")
        asked = Asked()
        monitoring.register(asked)
        try:
            yaml = {"plugins": {"auth": {"account_cache_seconds": 3600}}}
            async with caller(yaml=yaml) as ann:
                await ann.client.get("/api/user")
                asked.names.clear()
                for path in ("/api/user", "/api/user/terms", "/api/user/settings/favorites"):
                    assert (await ann.client.get(path)).status_code == 200
                assert "find" not in asked.names
        finally:
            monitoring._LISTENERS.command_listeners.remove(asked)

    async def test_works_without_accounts(self, serve: Any) -> None:
        async with serve("users", SignIn()) as server, server.connect("0" * 24) as client:
            assert (await client.get("/api/user")).json()["id"] == "0" * 24
            for method, path, body in (
                ("POST", "/api/user/terms/accept", {}),
                ("PATCH", "/api/user/preferences", {"statefulCodeEnvironment": "user"}),
                ("POST", "/api/user/settings/favorites", {"favorites": []}),
                ("POST", "/api/user/plugins", {"pluginKey": "x", "action": "install"}),
                ("DELETE", "/api/user/delete", {}),
            ):
                answer = await client.request(method, path, json=body)
                assert answer.status_code == 503, path
                assert answer.json()["code"] == "FEATURE_OFF"


class TestTerms:
    async def test_are_accepted_once(self, ann: Any) -> None:
        before = await ann.client.get("/api/user/terms")
        assert before.json() == {"termsAccepted": False, "termsAcceptedAt": None}
        answer = await ann.client.post("/api/user/terms/accept")
        assert answer.status_code == 200
        accepted = answer.json()["termsAcceptedAt"]
        assert answer.json() == {
            "message": "Terms accepted successfully",
            "termsAcceptedAt": accepted,
        }
        again = await ann.client.post("/api/user/terms/accept", json={})
        assert again.json()["termsAcceptedAt"] == accepted
        after = await ann.client.get("/api/user/terms")
        assert after.json() == {"termsAccepted": True, "termsAcceptedAt": accepted}

    async def test_of_a_gone_account(self, ann: Any) -> None:
        await ann.client.get("/api/user")
        await ann.server.kernel.database.collection("users").delete_many({})
        # Still signed in for a moment, by what this process remembers.
        answer = await ann.client.patch(
            "/api/user/preferences", json={"statefulCodeEnvironment": "user"}
        )
        assert (answer.status_code, answer.json()) == (404, {"message": "User not found"})


class TestPreferences:
    URL = "/api/user/preferences"

    @pytest.mark.parametrize("value", ["user", "agent-user", "conversation"])
    async def test_are_kept(self, ann: Any, value: str) -> None:
        answer = await ann.client.patch(self.URL, json={"statefulCodeEnvironment": value})
        assert answer.status_code == 200
        assert answer.json() == {
            "updated": True,
            "preferences": {"statefulCodeEnvironment": value},
        }
        stored = (await ann.account())["personalization"]
        assert stored == {"memories": True, "statefulCodeEnvironment": value}

    async def test_others_are_refused(self, ann: Any) -> None:
        message = "statefulCodeEnvironment must be one of: user, agent-user, conversation"
        bodies: list[Any] = [{}, {"memories": True}]
        bodies += [
            {"statefulCodeEnvironment": value}
            for value in ("", "other", None, 7, ["user"], {"$gt": ""}, {"x": 1})
        ]
        for body in bodies:
            answer = await ann.client.patch(self.URL, json=body)
            assert (answer.status_code, answer.json()) == (400, {"message": message})
        assert (await ann.client.patch(self.URL, json=["user"])).status_code == 400

    async def test_a_deployment_may_exclude_some(self, caller: Any) -> None:
        allowed = {"statefulCodeSessions": {"allowedEnvironments": ["user"]}}
        yaml = {"endpoints": {"agents": allowed}}
        async with caller(Sections(), yaml=yaml) as ann:
            answer = await ann.client.patch(
                self.URL, json={"statefulCodeEnvironment": "conversation"}
            )
            assert (answer.status_code, answer.json()) == (
                403,
                {
                    "message": "statefulCodeEnvironment is not allowed by this deployment: "
                    "conversation"
                },
            )
            fine = await ann.client.patch(self.URL, json={"statefulCodeEnvironment": "user"})
            assert fine.status_code == 200
