"""Rights on what plugins of third parties declare: by HTTP, by the file, from the command line."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner, Result

from locutory import JSON, Action, Can, PermissionGroup, Plugin, Request, Route, hook
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_roles.plugin import RolesPlugin
from locutory_testing import Serve, SignIn
from locutory_testing.server import SECRETS

USER = {"authorization": f"Bearer {'a' * 24}"}
ADMIN = {"authorization": f"Bearer {'b' * 24}:ADMIN"}
REFUSED = {"message": "Forbidden: Insufficient permissions"}
POLLS = {"CREATE": Action(user=False), "VOTE_TWICE": Action(user=False), "VOTE": Action(user=True)}


class Polls(Plugin):
    """What the package of a third party brings."""

    name = "polls"
    summary = "Polls"

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [
            PermissionGroup("POLLS", POLLS, "Polls"),
            PermissionGroup("DAILY_NOTES", {"USE": Action(user=False)}, "Notes"),
        ]

    @hook
    def routes(self) -> list[Route]:
        async def done(_request: Request) -> JSON:
            return JSON({"done": True})

        return [
            Route(path="/api/polls", endpoint=done, access=Can("POLLS", "CREATE"), summary="Make"),
            Route(path="/api/notes", endpoint=done, access=Can("DAILY_NOTES", "USE"), summary="Do"),
        ]


async def test_any_declared_type_can_be_changed(serve: Serve) -> None:
    async with serve("roles", Polls(), SignIn()) as server:
        client = server.client

        async def may(path: str = "/api/polls") -> bool:
            return (await client.get(path, headers=USER)).status_code == 200

        assert not await may()
        answer = await client.put("/api/roles/USER/polls", json={"CREATE": True}, headers=ADMIN)
        assert answer.status_code == 200
        changed = {"CREATE": True, "VOTE_TWICE": False, "VOTE": True}
        assert answer.json()["permissions"]["POLLS"] == changed
        assert await may()
        for spelt in ("daily-notes", "daily_notes", "DAILY_NOTES"):
            for value in (True, False):
                answer = await client.put(
                    f"/api/roles/USER/{spelt}", json={"USE": value}, headers=ADMIN
                )
                assert answer.status_code == 200
                assert await may("/api/notes") is value
        answer = await client.put("/api/roles/USER/POLLS", json={"CREATE": False}, headers=ADMIN)
        assert answer.status_code == 200
        assert not await may()
        # And of LibreChat's types those for which it has no route.
        answer = await client.put("/api/roles/USER/bookmarks", json={"USE": False}, headers=ADMIN)
        assert answer.json()["permissions"]["BOOKMARKS"] == {"USE": False}
        answer = await client.put("/api/roles/USER/polls", json={}, headers=ADMIN)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("USER/poll", {"CREATE": True}, 404, "Permission type not found"),
        ("USER/__proto__", {}, 404, "Permission type not found"),
        ("NOBODY/polls", {"CREATE": True}, 404, "Role not found"),
        ("USER/polls", {"CREAT": True}, 400, "Invalid POLLS permissions."),
        ("USER/polls", {"CREATE": "true"}, 400, "Invalid POLLS permissions."),
        ("USER/polls", {"CREATE": None}, 400, "Invalid POLLS permissions."),
        ("USER/polls", [], 400, "Invalid POLLS permissions."),
        ("USER/polls", {"VOTE": True, "EXTRA": True}, 400, "Invalid POLLS permissions."),
    ],
)
async def test_wrong_changes(serve: Serve, path: str, body: Any, status: int, message: str) -> None:
    async with serve("roles", Polls(), SignIn()) as server:
        url = f"/api/roles/{path}"
        roles = server.kernel.database.collection("roles")
        before = await roles.find({}).to_list()
        refused = await server.client.put(url, json=body, headers=USER)
        assert (refused.status_code, refused.json()) == (403, {"message": "Forbidden"})
        answer = await server.client.put(url, json=body, headers=ADMIN)
        assert (answer.status_code, answer.json()["message"]) == (status, message)
        assert await roles.find({}).to_list() == before


async def test_a_misspelt_permission_is_named(serve: Serve) -> None:
    async with serve("roles", Polls(), SignIn()) as server:
        answer = await server.client.put(
            "/api/roles/USER/polls", json={"CREAT": True}, headers=ADMIN
        )
        (error,) = answer.json()["error"]
        assert error["keys"] == ["CREAT"]
        assert error["message"] == "POLLS has no CREAT; it has CREATE, VOTE_TWICE, VOTE"


async def test_the_file_grants(serve: Serve) -> None:
    """And wins at every start; what nobody declares is named."""
    name = f"test_{uuid4().hex}"
    wanted = {
        "USER": {"polls": {"create": True, "CREAT": True}, "POLL": {"CREATE": True}},
        "GUEST": {"POLLS": {"VOTE": True}},
        "NOBODY": {"POLLS": {"VOTE": True}},
    }
    yaml = {"plugins": {"roles": {"permissions": wanted}}}
    async with serve("roles", Polls(), SignIn(), database=name) as server:
        roles = server.kernel.database.collection("roles")
        await roles.insert_one({"name": "GUEST", "permissions": {}})
    async with serve("roles", Polls(), SignIn(), yaml=yaml, database=name) as server:
        assert (await server.client.get("/api/polls", headers=USER)).status_code == 200
        roles = server.kernel.database.collection("roles")
        guest = await roles.find_one({"name": "GUEST"})
        assert guest is not None
        assert guest["permissions"] == {"POLLS": {"VOTE": True}}
        assert await roles.count_documents({}) == 3
        (check,) = (
            check
            for _, check in server.kernel.contributions.checks
            if check.name == "permissions of the configuration"
        )
        advice = await check.run()
        assert advice is not None
        assert "plugins.roles.permissions.USER: there is no permission 'polls.CREAT'" in advice
        assert "no enabled plugin declares 'POLL'" in advice
        assert "plugins.roles.permissions.NOBODY: there is no such role" in advice
        await server.kernel.database.client.drop_database(name)


class Console:
    """Runs ``locutory role`` beside a server."""

    def __init__(self, uri: str, data_dir: Path, yaml: dict[str, Any]) -> None:
        self._uri = uri
        self._data_dir = data_dir
        self._yaml = yaml

    async def run(self, *words: str) -> Result:
        sources = Sources({**SECRETS, "MONGO_URI": self._uri}, self._yaml)
        kernel = Kernel(sources, [RolesPlugin(), Polls()], data_dir=self._data_dir)
        found = {command.name: command for command in kernel.contributions.commands["roles"]}
        group = click.Group("locutory", found)
        return await asyncio.to_thread(CliRunner().invoke, group, ["role", *words])


async def test_the_command_grants(serve: Serve, tmp_path: Path) -> None:
    settings = {"cache_seconds": 0, "permissions": {"USER": {"POLLS": {"VOTE_TWICE": False}}}}
    yaml = {"plugins": {"roles": settings}, "interface": {"bookmarks": True}}
    async with serve("roles", Polls(), SignIn(), yaml=yaml) as server:
        uri = str(server.kernel.config.mongo_uri)
        console = Console(uri, tmp_path, yaml)

        async def may() -> bool:
            return (await server.client.get("/api/polls", headers=USER)).status_code == 200

        assert not await may()
        for _ in range(2):
            done = await console.run("grant", "USER", "POLLS.CREATE", "daily-notes.use")
            assert (done.exit_code, done.stderr) == (0, "")
            assert done.stdout.splitlines() == [
                "USER may now POLLS.CREATE.",
                "USER may now DAILY_NOTES.USE.",
                "A running server knows within 0 seconds.",
            ]
        assert await may()
        done = await console.run("revoke", "USER", "polls.create")
        assert "USER may no longer POLLS.CREATE." in done.stdout
        assert not await may()
        listed = (await console.run("list")).stdout.splitlines()
        assert listed[0].split() == ["ADMIN", "USER"]
        rows = {line.split()[0]: line.split()[1:] for line in listed[1:]}
        assert rows["POLLS.CREATE"] == ["yes", "-"]
        assert rows["DAILY_NOTES.USE"] == rows["POLLS.VOTE"] == ["yes", "yes"]
        only = (await console.run("list", "USER")).stdout.splitlines()
        assert only[0].split() == ["USER"]
        undone = await console.run("grant", "USER", "POLLS.VOTE_TWICE", "BOOKMARKS.USE")
        assert "plugins.roles.permissions decides about it at every start." in undone.stdout
        assert "librechat.yaml names this permission and decides" in undone.stdout
        for wrong, words in (
            (("USER", "POLLS"), "there is no permission 'POLLS'; there are POLLS.CREATE"),
            (("USER", "POLL.CREATE"), "no enabled plugin declares 'POLL'"),
            (("NOBODY", "POLLS.CREATE"), "there is no role 'NOBODY'; there are ADMIN, USER"),
        ):
            done = await console.run("grant", *wrong)
            assert done.exit_code == 2
            assert words in done.stderr
        assert (await console.run("list", "NOBODY")).exit_code == 2
