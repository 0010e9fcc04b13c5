"""An account from its first to its last day, over every plugin."""

from typing import Any

import pytest
from bson import ObjectId

from locutory.plugins import discovery
from locutory_testing import Serve, Server
from locutory_testing.waiting import until
from tests.boot.account_fields import owners
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint


def mentions(value: Any, user: str) -> bool:
    """``True`` when a stored value holds the id of a user, as an ObjectId or in a text."""
    if isinstance(value, dict):
        return any(mentions(inner, user) for inner in value.values())
    if isinstance(value, list):
        return any(mentions(inner, user) for inner in value)
    return (user in value) if isinstance(value, str) else bool(value == ObjectId(user))


WORD = "heliotrope"
"""In everything that the person writes."""

YAML: dict[str, Any] = {
    "interface": {"remoteAgents": {"use": True, "create": True}},
    "memory": {"tokenLimit": 1000},
    "balance": {"enabled": True, "startBalance": 10_000_000},
}


async def use_everything(person: Person) -> None:
    """Leave data in every plugin."""
    client = person.client

    async def send(method: str, path: str, status: int, **body: Any) -> Any:
        answer = await client.request(method, path, json=body)
        assert answer.status_code == status, (path, answer.text)
        return answer.json() if answer.content.startswith((b"{", b"[")) else None

    final = await person.say(f"ECHO:hello {WORD}")
    conversation = final["conversation"]["conversationId"]
    answer = final["responseMessage"]["messageId"]
    arg = {"conversationId": conversation, "title": WORD}
    await send("POST", "/api/convos/update", 201, arg=arg)
    await send("PUT", "/api/keys", 201, name="openAI", value="secret", expiresAt="")
    favorites = [{"model": "fake", "endpoint": "Fake"}]
    await send("POST", "/api/user/settings/favorites", 200, favorites=favorites)
    star = await client.put("/api/user/settings/favorites/tools/builtin/calculator")
    assert star.status_code == 200
    install = {"pluginKey": "x", "action": "install", "auth": {"FIELD": "secret"}}
    await send("POST", "/api/user/plugins", 200, **install)
    tag = {"tag": WORD, "addToConversation": True, "conversationId": conversation}
    await send("POST", "/api/tags", 200, **tag)
    await send("POST", "/api/presets", 201, title=WORD, endpoint="Fake", model="fake")
    agent = {"name": WORD, "provider": "Fake", "model": "fake", "tools": []}
    await send("POST", "/api/agents", 201, **agent)
    prompt = {"prompt": WORD, "type": "text"}
    await send("POST", "/api/prompts", 200, prompt=prompt, group={"name": WORD})
    project = (await send("POST", "/api/projects", 201, name=WORD))["_id"]
    await send("PUT", f"/api/projects/conversations/{conversation}", 200, projectId=project)
    await send("POST", f"/api/share/{conversation}", 200)
    await send("POST", "/api/memories", 201, key="flower", value=WORD)
    await send("POST", "/api/api-keys", 201, name=WORD)
    fork = {"conversationId": conversation, "messageId": answer, "option": "targetLevel"}
    await send("POST", "/api/convos/fork", 200, **fork)

    async def found() -> bool:
        answer = await client.get("/api/messages", params={"search": WORD})
        return len(answer.json()["messages"]) == 4

    await until(found, "the messages were never found")


UNUSED = {
    "locutory_claims": "held for a moment by a registration",
    "locutory_search": "names accounts only with Meilisearch",
}
"""Collections that name accounts, where the person leaves nothing; and why."""


async def store_what_no_route_does(server: Server, user: str) -> None:
    """Documents that only an accident, a running turn or an administrator leaves."""
    database = server.kernel.database.client[server.kernel.database.name]
    key = ObjectId(user)
    await database["toolcalls"].insert_one({"user": key, "result": WORD})
    await database["tokens"].insert_one({"userId": key, "token": "x"})
    await database["systemgrants"].insert_one(
        {"principalType": "user", "principalId": key, "capability": "read:prompts"}
    )
    await database["groups"].insert_one({"name": "g", "source": "local", "memberIds": [user]})
    for name in ("locutory_agentbuilder_leaving", "locutory_prompts_leaving"):
        await database[name].insert_one({"_id": ObjectId(), "user": user})
    await database["locutory_project_recounts"].insert_one({"_id": f"{user}:{ObjectId()}"})
    await database["locutory_tag_recounts"].insert_one({"_id": user})
    await database["locutory_used_codes"].insert_one({"_id": key, "secret": "s", "step": 1})


async def assert_used(server: Server, user: str) -> None:
    """Every collection that may name an account names this one."""
    kernel = server.kernel
    database = kernel.database.client[kernel.database.name]
    documents = kernel.contributions.documents
    named = owners((plugin, one) for plugin, owned in documents.items() for one in owned)
    for name in sorted(name for names in named.values() for name in names):
        found = [mentions(row, user) for row in await database[name].find({}).to_list()]
        advice = "a request in use_everything writes to it, or UNUSED says why none does"
        assert any(found) == (name not in UNUSED), f"{name}: {advice}"


async def assert_forgotten(server: Server, user: str) -> None:
    """No collection, file or index holds the user or what he wrote."""
    database = server.kernel.database.client[server.kernel.database.name]
    for name in await database.list_collection_names():
        for document in await database[name].find({}).to_list():
            if name == "locutory_outbox" and document["event"] == "AccountDeleted":
                continue
            assert not mentions(document, user), (name, document)
            assert WORD not in str(document), (name, document)
    for path in server.kernel.data_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert user.encode() not in content, path
            assert WORD.encode() not in content, path


async def join_second(server: Server) -> Person:
    """The first account is the administrator; the tests are about an ordinary one."""
    async with server.connect() as other:
        await Person(other).join("first@example.com")
    return await Person(server.client).join("second@example.com")


async def test_a_deleted_account_leaves_nothing(serve: Serve, fake_model: str) -> None:
    names = list(discovery.available())
    yaml = {**custom_endpoint(fake_model), **YAML}
    async with serve(*names, environment=ENVIRONMENT, yaml=yaml) as server:
        person = await join_second(server)
        await use_everything(person)
        await store_what_no_route_does(server, person.id)
        await assert_used(server, person.id)
        deleted = await person.client.request("DELETE", "/api/user/delete")
        assert deleted.json() == {"message": "User deleted"}
        await assert_forgotten(server, person.id)
        assert (await person.client.get("/api/user")).status_code == 401


NEEDED = ("auth", "users")
"""Without these nobody deletes an account."""


@pytest.mark.parametrize("half", [0, 1])
async def test_plugins_that_were_off_forget_the_user_when_they_are_on_again(
    serve: Serve, fake_model: str, half: int
) -> None:
    names = sorted(discovery.available())
    off = [name for name in names if name not in NEEDED][half::2]
    yaml = {**custom_endpoint(fake_model), **YAML}
    database = f"forgets_{half}"
    async with serve(*names, environment=ENVIRONMENT, yaml=yaml, database=database) as server:
        person = await join_second(server)
        await use_everything(person)
    rest = [name for name in names if name not in off]
    async with serve(*rest, environment=ENVIRONMENT, yaml=yaml, database=database) as server:
        person = await Person(server.client).log_in("second@example.com")
        deleted = await person.client.request("DELETE", "/api/user/delete")
        assert deleted.json() == {"message": "User deleted"}
    async with serve(*names, environment=ENVIRONMENT, yaml=yaml, database=database) as server:
        await assert_forgotten(server, person.id)
        await server.kernel.database.client.drop_database(database)


async def test_data_survives_a_restart(serve: Serve, fake_model: str) -> None:
    names = list(discovery.available())
    yaml = custom_endpoint(fake_model)
    async with serve(*names, environment=ENVIRONMENT, yaml=yaml, database="survives") as server:
        person = await Person(server.client).join("keeper@example.com")
        final = await person.say("remember this")
        conversation = final["conversation"]["conversationId"]
    async with serve(*names, environment=ENVIRONMENT, yaml=yaml, database="survives") as server:
        person = await Person(server.client).log_in("keeper@example.com")
        messages = (await person.client.get(f"/api/messages/{conversation}")).json()
        assert messages[0]["text"] == "remember this"
        assert messages[1]["content"][0]["text"].strip() == "remember this"
        assert (await person.client.get("/api/user")).json()["role"] == "ADMIN"
        await server.kernel.database.client.drop_database("survives")
