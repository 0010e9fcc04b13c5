"""Together with the plugin that stores the history, over its routes."""

from typing import Any
from uuid import uuid4

import pytest

from locutory.plugins import discovery
from locutory_contracts.accounts import AccountDeleted
from locutory_contracts.conversations import CONVERSATIONS
from locutory_testing import Serve, Server, SignIn

pytestmark = pytest.mark.skipif(
    "conversations" not in discovery.available(), reason="the plugin 'conversations' is missing"
)


async def chat(server: Server, user: str, title: str, *texts: str) -> str:
    """Save a conversation with messages; its id."""
    history = server.kernel.services.get(CONVERSATIONS)
    own = str(uuid4())
    fields = {"title": title, "endpoint": "openAI", "model": "gpt-4o"}
    await history.save(user, own, fields)
    for text in texts:
        message = {"messageId": str(uuid4()), "conversationId": own, "sender": "User"}
        await history.save_message(user, {**message, "text": text, "isCreatedByUser": True})
    return own


async def get(server: Server, user: str, path: str) -> Any:
    answer = await server.client.get(path, headers={"authorization": f"Bearer {user}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def texts(server: Server, user: str, words: str) -> set[str]:
    found = await get(server, user, f"/api/messages?search={words}")
    return {row["text"] for row in found["messages"]}


async def titles(server: Server, user: str, words: str) -> set[str]:
    found = await get(server, user, f"/api/convos?search={words}")
    return {row["title"] for row in found["conversations"]}


async def test_search_over_the_routes(serve: Serve, kit: Any, user: str) -> None:
    other = "f" * 24
    async with serve("search", "conversations", SignIn()) as server:
        own = await chat(server, user, "Lighthouses of Norway", "Where is it?", "Near Bergen.")
        await chat(server, user, "Dinner", "A recipe from Bergen, please")
        await chat(server, other, "Lighthouses of Peru", "Bergen is not in Peru")
        everything = {"Near Bergen.", "A recipe from Bergen, please"}
        await kit.until(lambda: texts(server, user, "bergn"), everything)
        await kit.until(lambda: titles(server, user, "lighth"), {"Lighthouses of Norway"})
        await kit.until(lambda: texts(server, other, "bergen"), {"Bergen is not in Peru"})
        for odd in ('"', "%00", "*%20OR%20user:x", "%ff", "a" * 3000, "NEAR("):
            await get(server, user, f"/api/messages?search={odd}")
            await get(server, user, f"/api/convos?search={odd}")
        gone = await server.client.request(
            "DELETE",
            "/api/convos",
            json={"arg": {"conversationId": own}},
            headers={"authorization": f"Bearer {user}"},
        )
        assert gone.status_code == 201
        assert await kit.ids(server, user, "near") == []
        assert await texts(server, user, "bergen") == {"A recipe from Bergen, please"}
        assert await titles(server, user, "lighth") == set()


async def test_what_happened_while_search_was_off(serve: Serve, kit: Any, user: str) -> None:
    other, database = "f" * 24, f"test_{uuid4().hex}"
    async with serve("search", "conversations", SignIn(), database=database) as server:
        await chat(server, user, "Early", "early lighthouse")
        await kit.until(lambda: texts(server, user, "lighthouse"), {"early lighthouse"})
    async with serve("conversations", SignIn(), database=database) as server:
        assert await texts(server, user, "lighthouse") == set()
        await chat(server, other, "Late", "late lighthouse")
        await server.kernel.events.publish(AccountDeleted(user))
    async with serve("search", "conversations", SignIn(), database=database) as server:
        await kit.until(lambda: texts(server, other, "lighthouse"), {"late lighthouse"})
        await kit.until_found(server, user, "lighthouse", [])
        folder = server.kernel.data_dir / "search"

        async def traces() -> list[str]:
            return [p.name for p in folder.glob("index*") if user.encode() in p.read_bytes()]

        await kit.until(traces, [])
        await server.kernel.database.client.drop_database(database)
