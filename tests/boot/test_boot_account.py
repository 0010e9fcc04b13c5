"""An account from its first to its last day, over every plugin."""

from typing import Any

from bson import ObjectId

from locutory import discovery
from locutory.testing import Serve
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint


def mentions(value: Any, user: str) -> bool:
    """Does a stored value hold the id of a user, as text or ObjectId?"""
    if isinstance(value, dict):
        return any(mentions(inner, user) for inner in value.values())
    if isinstance(value, list):
        return any(mentions(inner, user) for inner in value)
    return value == user or value == ObjectId(user)


async def use_everything(person: Person) -> None:
    """Leave data in every plugin."""
    client = person.client
    final = await person.say("hello there")
    conversation = final["conversation"]["conversationId"]
    arg = {"conversationId": conversation, "title": "Mine"}
    assert (await client.post("/api/convos/update", json={"arg": arg})).status_code == 201
    key = {"name": "openAI", "value": "secret", "expiresAt": ""}
    assert (await client.put("/api/keys", json=key)).status_code == 201
    favorites = {"favorites": [{"model": "fake", "endpoint": "Fake"}]}
    assert (await client.post("/api/user/settings/favorites", json=favorites)).status_code == 200
    star = "/api/user/settings/favorites/tools/builtin/calculator"
    assert (await client.put(star)).status_code == 200
    install = {"pluginKey": "x", "action": "install", "auth": {"FIELD": "secret"}}
    assert (await client.post("/api/user/plugins", json=install)).status_code == 200


async def test_a_deleted_account_leaves_nothing(serve: Serve, fake_model: str) -> None:
    names = list(discovery.available())
    yaml = custom_endpoint(fake_model)
    async with serve(*names, environment=ENVIRONMENT, yaml=yaml) as server:
        async with server.connect() as other:
            await Person(other).join("first@example.com")
        person = await Person(server.client).join("second@example.com")
        await use_everything(person)
        deleted = await person.client.request("DELETE", "/api/user/delete")
        assert deleted.json() == {"message": "User deleted"}
        database = server.kernel.database.client[server.kernel.database.name]
        for name in await database.list_collection_names():
            if name == "locutory_outbox":
                continue
            for document in await database[name].find({}).to_list():
                assert not mentions(document, person.id), (name, document)
        assert (await person.client.get("/api/user")).status_code == 401


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
