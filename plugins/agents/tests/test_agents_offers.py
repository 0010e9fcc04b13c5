"""Switches of what nobody serves, and tools that agents were given."""

from typing import Any

import pytest
from plugins.agents.tests.test_agents_stored import Gallery, named

from locutory import PermissionGroup, Plugin, Provide, hook
from locutory_contracts.offers import AGENT_CAPABILITIES, AgentCapability
from locutory_testing import Serve, SignIn

SERVER = "sys__server__sys_mcp_files"


class Searching(Plugin):
    """A third party that serves web search and MCP servers."""

    name = "searching"
    summary = "Web search for tests"
    provides = (AGENT_CAPABILITIES,)

    @hook
    def permissions(self) -> list[PermissionGroup]:
        return [PermissionGroup("MCP_SERVERS", {}, "MCP servers")]

    @hook
    def services(self) -> list[Provide]:
        return [Provide(AGENT_CAPABILITIES, AgentCapability("Web search"), "web_search")]


def system(models: Any) -> str:
    """The system prompt of the last model call."""
    first = models.calls[-1].messages[0]
    return str(first["content"]) if first["role"] == "system" else ""


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"web_search": True}, "web search"),
        ({"web_search": True, "execute_code": True}, "web search, running code"),
        ({"file_search": True, "skills": True, "mcp": ["files"]}, "searching files, skills, MCP"),
        ({"artifacts": "default"}, "artifacts"),
        ({"web_search": False, "execute_code": None, "mcp": [], "artifacts": ""}, None),
        ({"mcp": ["sys__clear__sys"], "memory": True, "something": True}, None),
        ({"mcp": "files"}, None),
        ({}, None),
    ],
)
async def test_the_model_is_told_what_nobody_serves(
    serve: Serve, kit: Any, asked: dict[str, Any], words: str | None
) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History()) as server:
        events = await kit.chatter(server).chat("ECHO:x", ephemeralAgent=asked)
        assert events[-1].data["final"]
        if words is None:
            assert system(models) == ""
        else:
            assert system(models).startswith(f"The user has asked for {words}")
            assert "never pretend" in system(models)


async def test_nothing_is_said_of_what_somebody_serves(serve: Serve, kit: Any) -> None:
    models = kit.Models()
    async with serve("agents", SignIn(), models, kit.History(), Searching()) as server:
        user = kit.chatter(server)
        await user.chat("ECHO:x", ephemeralAgent={"web_search": True, "mcp": ["files"]})
        assert system(models) == ""
        await user.chat("ECHO:x", ephemeralAgent={"web_search": True, "execute_code": True})
        assert system(models).startswith("The user has asked for running code,")


async def test_agents_made_elsewhere(serve: Serve, kit: Any) -> None:
    """Their tools may be ones that this server does not have; those it has are theirs."""
    models = kit.Models()
    gallery = Gallery(tools=["web_search", SERVER, "current_datetime", 7])
    async with serve("agents", SignIn(), models, kit.History(), gallery) as server:
        user = kit.chatter(server)
        await user.chat("ECHO:x", **named())
        assert "has asked for web search, MCP servers," in system(models)
        assert [tool.name for tool in models.calls[-1].tools] == ["current_datetime"]
        gallery.agent = {**gallery.agent, "tools": []}
        await user.chat("ECHO:x", **named())
        assert "has asked for" not in system(models)
        assert models.calls[-1].tools == []
