"""Our queries keep to the dialect of docs/database.md, seen on the wire."""

from typing import Any

import pytest
from pymongo import monitoring

from locutory import discovery
from locutory.testing import Serve
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint
from tests.boot.test_boot_account import use_everything


class Listener(monitoring.CommandListener):
    """Keeps every command that is sent while ``on``."""

    def __init__(self) -> None:
        self.on = False
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.on:
            self.commands.append({"name": event.command_name, **event.command})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture(scope="module")
def listener() -> Listener:
    found = Listener()
    monitoring.register(found)
    return found


def filters(command: dict[str, Any]) -> list[dict[str, Any]]:
    """The filters of a command."""
    found = [command[key] for key in ("filter", "query") if isinstance(command.get(key), dict)]
    for key in ("updates", "deletes"):
        found += [item["q"] for item in command.get(key, ())]
    return found


async def test_queries_keep_to_the_dialect(
    serve: Serve, fake_model: str, listener: Listener
) -> None:
    names = list(discovery.available())
    async with serve(*names, environment=ENVIRONMENT, yaml=custom_endpoint(fake_model)) as server:
        person = await Person(server.client).join("speaker@example.com")
        listener.on = True
        await use_everything(person)
        for path in (
            "/api/convos",
            "/api/convos?pinned=true",
            "/api/convos?isArchived=true",
            "/api/user",
        ):
            assert (await person.client.get(path)).status_code == 200
        await person.client.request("DELETE", "/api/user/delete")
        listener.on = False
    assert len(listener.commands) > 20
    for command in listener.commands:
        assert command["name"] != "findAndModify", command
        for query in filters(command):
            assert not {"$and", "$nor", "$expr", "$where", "$text"} & query.keys(), command
            if "$or" in query:
                assert any(
                    isinstance(value, str) for key, value in query.items() if key != "$or"
                ), command
        if command["name"] == "find" and not command.get("filter"):
            assert command["find"] in ("roles", "systemgrants", "banners", "locutory_leases"), (
                command
            )
