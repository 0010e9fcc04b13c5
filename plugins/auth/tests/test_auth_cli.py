"""``locutory user``: looking after accounts from the command line."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from click.testing import CliRunner, Result

from locutory_auth.cli.commands import user
from locutory_testing.database import Databases
from locutory_testing.server import SECRETS

PASSWORD = "password123"


@pytest.fixture
def logs() -> Iterator[None]:
    """Commands set logging up for their own process; put it back for this one."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
async def shop(
    people: Any,
    mailbox: Any,
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    logs: None,
) -> Any:
    """A server, and a command line that works on its database from outside."""
    name = f"test_auth_cli_{tmp_path.name}"[:60]
    environment = {
        **mailbox.settings,
        "ALLOW_PASSWORD_RESET": "true",
        "DOMAIN_CLIENT": "https://chat.example",
    }
    (tmp_path / "librechat.yaml").write_text("plugins: {enabled: [auth, users]}\n")
    monkeypatch.chdir(tmp_path)
    for variable, value in {**SECRETS, **environment, "MONGO_URI": databases.address(name)}.items():
        monkeypatch.setenv(variable, value)
    async with people(environment, database=name) as someone:
        someone.mailbox = mailbox
        someone.run = run
        try:
            yield someone
        finally:
            await someone.server.kernel.database.client.drop_database(name)


async def run(*arguments: str, given: str | None = None) -> Result:
    invoke: Callable[..., Result] = CliRunner().invoke
    return await asyncio.to_thread(invoke, user, list(arguments), input=given)


async def told(*arguments: str, given: str | None = None) -> Any:
    """What a command prints with ``--json``."""
    result = await run(*arguments, "--json", given=given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_create(shop: Any) -> None:
    made = await told("create", "Root@Example.com", "--password-stdin", given=f"{PASSWORD}\n")
    assert made["role"] == "ADMIN"
    assert made["emailVerified"] is True
    assert "password" not in json.dumps(made)
    second = await told(
        "create", "ann@example.com", "--name", "Ann", "--username", "ANN", "--password-stdin",
        given=f"{PASSWORD}\n",
    )  # fmt: skip
    assert (second["role"], second["name"], second["username"]) == ("USER", "Ann", "ann")
    for email in ("root@example.com", "ann@example.com"):
        assert (await shop.login(email)).status_code == 200
    result = await run("create", "eve@example.com", "--role", "ADMIN", given=f"{PASSWORD}\n" * 2)
    assert result.exit_code == 0
    assert "Created eve@example.com (ADMIN)" in result.output
    stored = await shop.account("ann@example.com")
    assert set(stored) == set(await shop.account("root@example.com"))


async def test_create_for_somebody_who_verifies(shop: Any) -> None:
    made = await told(
        "create", "ann@example.com", "--unverified", "--password-stdin", given=f"{PASSWORD}\n"
    )
    assert made["emailVerified"] is False
    link = await shop.mailbox.link()
    body = {"email": link.params["email"], "token": link.params["token"]}
    assert (await shop.post("/api/user/verify", body)).status_code == 200


async def test_create_refuses_what_is_wrong(shop: Any) -> None:
    await shop.add("ann@example.com")
    for arguments, given, text in (
        (("create", "nonsense", "--password-stdin"), "x", "Invalid email"),
        (("create", "a@example.com", "--password-stdin"), "short", "at least 8"),
        (("create", "ANN@example.com", "--password-stdin"), PASSWORD, "has an account already"),
        (("create", "a@example.com", "--role", "$x"), PASSWORD, "a role is a name"),
    ):
        result = await run(*arguments, given=given)
        assert result.exit_code != 0
        assert text in result.output
    assert len(await shop.rows("users")) == 1


async def test_invite(shop: Any) -> None:
    made = await told("invite", "Ann@example.com")
    assert made["sent"] is True
    message = await shop.mailbox.next()
    assert message["Subject"] == "Invite to join Test Chat!"
    link = await shop.mailbox.link()
    assert str(link) == made["link"]
    assert made["link"].startswith("https://chat.example/register?token=")
    form = shop.form("ann@example.com", token=link.params["token"])
    assert (await shop.post("/api/auth/register", form)).status_code == 200
    result = await run("invite", "ann@example.com")
    assert result.exit_code == 1
    assert "has an account already" in result.output
    shop.mailbox.refuse = "550 no"
    result = await run("invite", "bob@example.com")
    assert result.exit_code == 0
    assert "The mail was not sent" in result.output
    assert "https://chat.example/register?token=" in result.output


async def test_list(shop: Any) -> None:
    assert await told("list") == []
    assert "There are no accounts yet." in (await run("list")).output
    await shop.add("ann@example.com", name="Ann \x1b[31m red")
    await shop.add("bob@example.com", role="ADMIN")
    rows = await told("list")
    assert [row["email"] for row in rows] == ["ann@example.com", "bob@example.com"]
    assert "password" not in json.dumps(rows)
    shown = (await run("list")).output
    assert "\x1b" not in shown
    assert "bob@example.com" in shown
    assert [row["email"] for row in await told("list", "--search", "BOB")] == ["bob@example.com"]
    assert len(await told("list", "--limit", "1")) == 1


async def test_ban_and_unban(shop: Any) -> None:
    await shop.add("ann@example.com")
    token = await shop.token("ann@example.com")
    result = await run("ban", "ann@example.com", given="n\n")
    assert result.exit_code == 1
    assert (await shop.me(token)).status_code == 200
    row = await told("ban", "ann@example.com", "--forever", "--yes")
    assert row["bannedUntil"] == "for ever"
    # The running server notices by itself; this is its watch.
    await shop.auth.revocations.watch()
    assert (await shop.me(token)).status_code == 401
    assert (await shop.login("ann@example.com")).status_code == 403
    assert [ban["who"] for ban in await told("bans")] == [row["id"]]
    assert (await told("list"))[0]["bannedUntil"] == "for ever"
    assert await told("unban", row["id"]) == {"who": "ann@example.com", "lifted": True}
    assert (await shop.login("ann@example.com")).status_code == 200
    row = await told("ban", "ann@example.com", "--minutes", "5", "--yes")
    assert row["bannedUntil"].endswith("Z")
    assert (await told("unban", "ann@example.com"))["lifted"] is True
    assert (await told("unban", "ann@example.com"))["lifted"] is False
    await shop.auth.bans.put("logins", 20, 60, user=row["id"], ip="2001:db8::1")
    assert len(await told("bans")) == 2
    assert (await told("unban", "ann@example.com"))["lifted"] is True
    assert await told("bans") == []
    await shop.auth.bans.put("logins", 20, 60, ip="198.51.100.1")
    assert (await told("unban", "198.51.100.1"))["lifted"] is True
    result = await run("ban", "ann@example.com", "--minutes", "5", "--forever", "--yes")
    assert result.exit_code == 2


@pytest.mark.parametrize("minutes", ["nan", "inf", "1e300", "-1", "0"])
async def test_the_length_of_a_ban_is_a_number_of_minutes(shop: Any, minutes: str) -> None:
    await shop.add("ann@example.com")
    result = await run("ban", "ann@example.com", "--minutes", minutes, "--yes")
    assert result.exit_code == 2, result.output
    assert "Error: Invalid value for '--minutes'" in result.output
    assert await shop.rows("logs") == []


async def test_a_list_of_bans_says_who_it_is(shop: Any) -> None:
    await shop.add("ann@example.com")
    await told("ban", "ann@example.com", "--forever", "--yes")
    (entry,) = await told("bans")
    assert (entry["email"], entry["until"]) == ("ann@example.com", "for ever")
    assert "ann@example.com" in (await run("bans")).output


async def test_a_command_stops_nothing_itself(shop: Any, tmp_path: Path) -> None:
    """What runs, runs in servers, which see the note; here turns were never set up."""
    (tmp_path / "librechat.yaml").write_text("plugins: {enabled: [auth, users, agents]}\n")
    await shop.add("ann@example.com")
    result = await run("ban", "ann@example.com", "--forever", "--yes")
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output
    assert result.output == "Banned ann@example.com for ever.\n"


async def test_a_plugin_that_fails_keeps_the_account(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence, no trace; and the account is open again."""

    async def fail(_chat: Any, _user: str) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("locutory_agents.turns.turn_manager.TurnManager.stop_all", fail)
    (tmp_path / "librechat.yaml").write_text("plugins: {enabled: [auth, users, agents]}\n")
    await shop.add("ann@example.com")
    result = await run("delete", "ann@example.com", "--yes")
    assert result.exit_code == 1
    assert result.output == (
        "Error: ann@example.com was not deleted, a plugin failed: RuntimeError: out of order\n"
    )
    assert (await shop.login("ann@example.com")).status_code == 200


async def test_reset_password(shop: Any) -> None:
    await shop.add("ann@example.com")
    token = await shop.token("ann@example.com")
    await told("reset-password", "ann@example.com", "--password-stdin", given="new password 1\n")
    await shop.auth.revocations.watch()
    assert (await shop.me(token)).status_code == 401
    assert (await shop.login("ann@example.com", "new password 1")).status_code == 200
    result = await run("reset-password", "ann@example.com", given="short\nshort\n")
    assert "at least 8" in result.output
    link = httpx2.URL((await told("reset-password", "ann@example.com", "--link"))["link"])
    body = {**dict(link.params), "password": "another password 2"}
    assert (await shop.post("/api/auth/resetPassword", body)).status_code == 200
    assert (await shop.login("ann@example.com", "another password 2")).status_code == 200


async def test_remove_second_factor(shop: Any) -> None:
    await shop.add("ann@example.com", twoFactorEnabled=True, totpSecret="JBSWY3DPEHPK3PXP")
    assert "tempToken" in (await shop.login("ann@example.com")).json()
    await told("remove-2fa", "ann@example.com", "--yes")
    assert "token" in (await shop.login("ann@example.com")).json()


async def test_delete(shop: Any) -> None:
    await shop.add("root@example.com", role="ADMIN")
    await shop.add("ann@example.com")
    await shop.token("ann@example.com")
    result = await run("delete", "ann@example.com", given="\n")
    assert result.exit_code == 1
    assert len(await shop.rows("users")) == 2
    await told("delete", "ann@example.com", "--yes")
    assert [row["email"] for row in await shop.rows("users")] == ["root@example.com"]
    assert await shop.rows("sessions") == []
    (fact,) = await shop.rows("locutory_outbox")
    assert sorted(fact["done"]) == ["auth", "users"]
    result = await run("delete", "root@example.com", "--yes")
    assert result.exit_code == 1
    assert "is the only administrator" in result.output
    for nobody in ("nobody@example.com", "a" * 24):
        result = await run("delete", nobody, "--yes")
        assert result.exit_code == 1
        assert "there is no account" in result.output


async def test_promote(shop: Any) -> None:
    await shop.add("root@example.com", role="ADMIN")
    await shop.add("ann@example.com")
    result = await run("promote", "root@example.com", "--role", "USER", "--yes")
    assert "is the only administrator" in result.output
    assert (await told("promote", "ann@example.com", "--yes"))["role"] == "ADMIN"
    assert (await shop.account("ann@example.com"))["role"] == "ADMIN"
    await told("promote", "root@example.com", "--role", "USER", "--yes")
    assert (await shop.account("root@example.com"))["role"] == "USER"


@pytest.mark.parametrize("role", ["admin", "Admin", "user", " USER"])
async def test_roles_are_written_as_they_are(shop: Any, role: str) -> None:
    """``--role admin`` makes no administrator."""
    await shop.add("ann@example.com")
    result = await run("promote", "ann@example.com", "--role", role, "--yes")
    assert result.exit_code == 2
    assert f"do you mean {role.strip().upper()}?" in result.output
    assert (await shop.account("ann@example.com"))["role"] == "USER"


async def test_a_role_that_nobody_has_is_remarked_upon(shop: Any) -> None:
    await shop.add("ann@example.com")
    result = await run("promote", "ann@example.com", "--role", "AUDITOR", "--yes")
    assert result.exit_code == 0
    assert "Nobody has had the role AUDITOR so far" in result.output
    await shop.add("bob@example.com")
    assert (
        "Nobody"
        not in (await run("promote", "bob@example.com", "--role", "AUDITOR", "--yes")).output
    )


async def test_several_accounts_of_one_address(shop: Any) -> None:
    await shop.add("ann@example.com")
    await shop.add("ann@example.com", tenantId="t1")
    result = await run("promote", "ann@example.com", "--yes")
    assert result.exit_code == 1
    assert "several accounts: use the id" in result.output
