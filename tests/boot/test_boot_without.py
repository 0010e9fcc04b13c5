"""Each plugin switched off: the server starts, and what LibreChat's client asks for by itself
is answered. Errors there are toasts, endless spinners, or a page that does not load."""

from collections.abc import Sequence

import pytest

from locutory import Plugin
from locutory.plugins import discovery
from locutory_testing import Serve, SignIn
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint

ID = "a" * 24
# The client's start, signed in.
BOOT = (
    "/api/config",
    "/api/banner",
    "/api/user",
    "/api/roles/USER",
    "/api/endpoints",
    "/api/endpoints/token-config",
    "/api/models",
    "/api/convos",
    "/api/convos?pinned=true&limit=100",
    "/api/projects?sortBy=lastConversationAt&sortDirection=desc&limit=25",
    "/api/agents?requiredPermission=1&limit=1000",
    "/api/agents/chat/active",
    "/api/agents/tools/web_search/auth",
    "/api/prompts/groups?limit=10",
    "/api/prompts/all",
    "/api/presets",
    "/api/tags",
    "/api/keys?name=openAI",
    "/api/search/enable",
    "/api/files",
    "/api/files/config",
    "/api/files/speech/config/get",
    "/api/mcp/servers",
    "/api/permissions/mcpServer/effective/all",
    "/api/user/settings/favorites",
)
# What it asks for when panels, dialogs and settings are opened.
LATER = (
    "/api/admin/roles?limit=200",
    "/api/agents/actions",
    "/api/agents/categories",
    "/api/agents/tools",
    "/api/agents/tools/calls?conversationId=x",
    "/api/agents/chat/status/74feaa14-35a8-4e57-ae98-573d5a527846",
    "/api/api-keys",
    "/api/balance",
    "/api/categories",
    "/api/files/agent/agent_x",
    "/api/memories",
    "/api/messages?search=word",
    f"/api/permissions/agent/{ID}/effective",
    "/api/permissions/agent/roles",
    "/api/permissions/search-principals?q=anybody",
    "/api/share?pageSize=25",
    "/api/share/link/74feaa14-35a8-4e57-ae98-573d5a527846",
    "/api/skills",
    "/api/user/settings/favorites/tools",
)
SWITCHED = sorted(set(discovery.available()) - {"webclient"})
NO_CHAT = {"agents", "conversations", "endpoints"}


async def assert_answers(person: Person, paths: Sequence[str]) -> None:
    answers = {path: await person.client.get(path) for path in paths}
    bad = {path: f.text for path, f in answers.items() if f.status_code >= 400}
    assert not bad


@pytest.mark.parametrize("off", SWITCHED)
async def test_the_client_does_without(serve: Serve, fake_model: str, off: str) -> None:
    chosen: list[str | Plugin] = [name for name in discovery.available() if name != off]
    if off == "auth":
        chosen.append(SignIn())
    async with serve(*chosen, environment=ENVIRONMENT, yaml=custom_endpoint(fake_model)) as server:
        person = Person(server.client)
        if off == "auth":
            person.client.headers["authorization"] = f"Bearer {ID}:ADMIN"
        else:
            await person.join("person@example.com")
        await assert_answers(person, (*BOOT, *LATER))
        if off not in NO_CHAT | {"auth"}:
            final = await person.say("ECHO:hello")
            conversation = final["conversation"]["conversationId"]
            paths = [f"/api/{kind}/{conversation}" for kind in ("convos", "messages", "share/link")]
            await assert_answers(person, paths)
        config = (await person.client.get("/api/config")).json()
        assert config["sharedLinksEnabled"] is (off != "share")
        assert config["interface"]["presets"] is (off != "presets")
