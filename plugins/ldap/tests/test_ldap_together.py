"""A directory together with the bundled plugin for accounts (contract oauth §7)."""

from typing import Any

import httpx2

from locutory_testing import Serve, Server


async def login(server: Server, name: str, password: str) -> httpx2.Response:
    body = {"email": name, "password": password}
    return await server.client.post("/api/auth/login", json=body)


async def people(server: Server) -> list[dict[str, Any]]:
    return [row async for row in server.kernel.database.collection("users").find({})]


async def test_accounts_follow_the_directory(serve: Serve, slapd: Any) -> None:
    async with serve("auth", "ldap", environment=slapd.settings()) as server:
        answer = await login(server, "ada", "ada-password")
        assert answer.status_code == 200
        assert answer.json()["user"]["role"] == "ADMIN"  # the first one
        (ada,) = await people(server)
        assert (ada["provider"], ada["ldapId"], ada["email"]) == ("ldap", "ada", "ada@example.com")
        assert "password" not in ada

        changed = {"name": "X", "username": "x", "email": "x@example.com"}
        users = server.kernel.database.collection("users")
        await users.update_one({"_id": ada["_id"]}, {"$set": changed})
        assert (await login(server, "ada", "ada-password")).status_code == 200
        (again,) = await people(server)
        for name in ("_id", "name", "username", "email", "role"):
            assert again[name] == ada[name]

        assert (await login(server, "bob", "bob-password")).json()["user"]["role"] == "USER"
        # Another person with the same address.
        twin = await login(server, "bobby", "bob-password")
        assert twin.status_code == 409
        assert "email" in twin.json()["fields"]
        assert len(await people(server)) == 2


async def test_stored_passwords_and_registration_are_closed(serve: Serve, slapd: Any) -> None:
    environment = slapd.settings(ALLOW_REGISTRATION="true")
    async with serve("auth", "ldap", "webclient", environment=environment) as server:
        config = (await server.client.get("/api/config")).json()
        assert config["registrationEnabled"] is False
        assert config["ldap"] == {"enabled": True}
        form = {
            "name": "Eve",
            "email": "eve@example.com",
            "password": "password123",
            "confirm_password": "password123",
        }
        assert (await server.client.post("/api/auth/register", json=form)).status_code == 403
        wrong = await login(server, "ada", "wrong-password")
        assert (wrong.status_code, wrong.json()) == (404, {"message": "Invalid username/password"})
        assert await people(server) == []


async def test_not_for_those_who_are_banned(serve: Serve, slapd: Any) -> None:
    environment = slapd.settings(BAN_VIOLATIONS="true")
    async with serve("auth", "ldap", environment=environment) as server:
        user = (await login(server, "ada", "ada-password")).json()["user"]["id"]
        auth = next(p for p in server.kernel.plugins if p.name == "auth").container  # type: ignore[attr-defined]
        await auth.bans.put("general", 20, 60, user=user)
        assert (await login(server, "ada", "ada-password")).status_code == 403
        await auth.bans.lift(user)
        assert (await login(server, "ada", "ada-password")).status_code == 200
