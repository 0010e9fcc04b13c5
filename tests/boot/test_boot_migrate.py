"""Agents and prompts from before access entries: named at start, given to their authors."""

import os
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from structlog.testing import capture_logs

from locutory.plugins import discovery
from locutory.plugins.plugin import Check
from locutory_testing import Serve, Server
from locutory_testing.database import Databases
from tests.boot.person import ENVIRONMENT, Person
from tests.boot.test_boot_commands import Shell

NAMES = ("mine", "open", "common")
ADVICE = "3 of type agent (2 open to everybody)"
PROMPT_ADVICE = "2 of type promptGroup (1 open to everybody)"


async def fill(database: Any, author: ObjectId, **more: Any) -> None:
    """What LibreChat v0.7 wrote."""
    agents = [
        {
            "id": f"agent_{name}",
            "name": name,
            "provider": "openAI",
            "model": "gpt-4o",
            "author": author,
            "projectIds": [],
            "isCollaborative": name == "common",
            "createdAt": author.generation_time,
            "updatedAt": author.generation_time,
            **more,
        }
        for name in NAMES
    ]
    groups = [
        {
            "_id": ObjectId(),
            "name": name,
            "author": author,
            "authorName": "Ann",
            "productionId": ObjectId(),
            "oneliner": "",
            "category": "",
            "numberOfGenerations": 0,
            "createdAt": author.generation_time,
            "updatedAt": author.generation_time,
            **more,
        }
        for name in NAMES[:2]
    ]
    await database["agents"].insert_many(agents)
    await database["promptgroups"].insert_many(groups)
    await database["prompts"].insert_many(
        [
            {
                "_id": group["productionId"],
                "groupId": group["_id"],
                "author": author,
                "prompt": "Be brief",
                "type": "text",
                "createdAt": author.generation_time,
                "updatedAt": author.generation_time,
            }
            for group in groups
        ]
    )
    instance = {"agentIds": ["agent_open", "agent_common"], "promptGroupIds": [groups[1]["_id"]]}
    await database["projects"].insert_one({"name": "instance", **instance})


async def seen(person: Person) -> dict[str, set[str]]:
    """The names of what somebody has in their lists, and may edit."""
    found = {}
    for name, path in (("agents", "/api/agents"), ("prompts", "/api/prompts/groups?limit=50")):
        answer = (await person.client.get(path)).json()
        found[name] = {row["name"] for row in answer.get("data", answer.get("promptGroups"))}
    answer = (await person.client.get("/api/agents?requiredPermission=2")).json()
    return {**found, "editable": {row["name"] for row in answer["data"]}}


def checks(server: Server) -> Check:
    return next(
        check for _, check in server.kernel.contributions.checks if check.name == "access entries"
    )


ALL = {"agents": set(NAMES), "prompts": set(NAMES[:2]), "editable": set(NAMES)}
NOTHING: dict[str, set[str]] = {"agents": set(), "prompts": set(), "editable": set()}
SHARED = {"agents": {"open", "common"}, "prompts": {"open"}, "editable": {"common"}}


async def test_authors_get_what_they_wrote(serve: Serve) -> None:
    names = discovery.available()
    async with serve(*names, environment=ENVIRONMENT) as server, server.connect() as other:
        author = await Person(server.client).join("ann@example.com")
        reader = await Person(other).join("bob@example.com")
        check = checks(server)
        assert check.migrate is not None
        assert await check.run() is None
        database = server.kernel.database.client[server.kernel.database.name]
        await fill(database, ObjectId(author.id))
        made = {"name": "new", "provider": "openAI", "model": "gpt-4o"}
        answer = await author.client.post("/api/agents", json=made)
        assert answer.status_code == 201
        advice = await check.run()
        assert advice is not None
        assert advice.startswith(f"{ADVICE}, {PROMPT_ADVICE} have an author")
        assert "'locutory migrate'" in advice

        assert (
            await check.migrate()
            == "given to their authors: 3 of type agent, 2 of type promptGroup"
        )
        assert await check.run() is None
        entries = await database["aclentries"].find({}, {"_id": 0}).to_list()
        assert await check.migrate() == "given to their authors: none"
        assert await database["aclentries"].find({}, {"_id": 0}).to_list() == entries
        held = await seen(author)
        assert held["agents"] - {"new"} == ALL["agents"]
        assert (held["prompts"], held["editable"] - {"new"}) == (ALL["prompts"], ALL["editable"])
        assert await seen(reader) == SHARED
        owners = [entry for entry in entries if entry["principalType"] == "user"]
        assert {entry["permBits"] for entry in owners} == {15}
        assert all("roleId" in entry and "tenantId" not in entry for entry in entries)


async def test_odd_ones_are_left_alone(serve: Serve) -> None:
    """Without an author, of a tenant, of somebody who is gone, or with entries of others."""
    async with serve(*discovery.available(), environment=ENVIRONMENT) as server:
        check = checks(server)
        database = server.kernel.database.client[server.kernel.database.name]
        gone = ObjectId()
        await fill(database, gone, tenantId="acme")
        agents = database["agents"]
        await agents.update_one({"id": "agent_mine"}, {"$unset": {"author": ""}})
        kept = await agents.find_one({"id": "agent_open"})
        assert kept is not None
        entry = {
            "principalType": "user",
            "principalId": ObjectId(),
            "resourceType": "agent",
            "resourceId": kept["_id"],
            "permBits": 1,
        }
        await database["aclentries"].insert_one(entry)
        assert check.migrate is not None
        assert await check.migrate() == (
            "given to their authors: 1 of type agent, 2 of type promptGroup"
        )
        common = await agents.find_one({"id": "agent_common"})
        assert common is not None
        entries = await database["aclentries"].find({"resourceId": common["_id"]}).to_list()
        assert {entry["tenantId"] for entry in entries} == {"acme"}
        held = {entry["principalType"]: entry["permBits"] for entry in entries}
        assert held == {"user": 15, "public": 3}


async def test_a_start_warns(serve: Serve, databases: Databases, tmp_path: Path) -> None:
    name = f"migrate_{os.getpid()}_{tmp_path.name}"
    async with databases.opened(name) as database:
        await fill(database, ObjectId())
    with capture_logs() as lines:
        async with serve(*discovery.available(), environment=ENVIRONMENT, database=name) as server:
            await server.kernel.database.client.drop_database(name)
    advice = [line["advice"] for line in lines if line["event"] == "check.failed"]
    assert any(text.startswith(ADVICE) for text in advice)


@pytest.mark.slow
async def test_the_command(databases: Databases, tmp_path: Path) -> None:
    name = f"migrate_{os.getpid()}_{tmp_path.name}"
    shell = Shell(tmp_path, databases.address(name))
    async with databases.opened(name) as database:
        await fill(database, ObjectId())
        entries = database["aclentries"]
        dry = await shell.run("migrate", "--dry-run")
        assert ADVICE in dry
        assert dry.endswith("Nothing was written.\n")
        assert set(await database.list_collection_names()) == {
            "agents", "promptgroups", "prompts", "projects",
        }  # fmt: skip
        assert "given to their authors: 3 of type agent" in await shell.run("migrate")
        assert await entries.count_documents({}) == 8
        again = await shell.run("migrate")
        assert again.endswith("The database is up to date.\n")
        assert "given" not in again
        assert await entries.count_documents({}) == 8
        dry = await shell.run("migrate", "--dry-run")
        assert dry == "The database is up to date.\n"
