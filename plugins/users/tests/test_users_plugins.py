"""``POST /api/user/plugins`` (contract user §6, tools §1)."""

from typing import Any

import pytest

from locutory import Plugin
from locutory_users.plugin_keys import web_search_fields

URL = "/api/user/plugins"


class WebSearch(Plugin):
    """Owns the section of another plugin."""

    name = "websearch"
    summary = "Owns a section; for tests only"
    sections = {"webSearch": None}  # noqa: RUF012


async def change(ann: Any, key: str, action: str = "install", **more: Any) -> None:
    answer = await ann.client.post(URL, json={"pluginKey": key, "action": action, **more})
    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-type" not in answer.headers


async def secrets(ann: Any) -> dict[tuple[str, str], str]:
    """(plugin, field) → secret of everything stored for a user."""
    decrypt = ann.server.kernel.credentials.decrypt
    rows = await ann.rows("pluginauths")
    return {
        (row["pluginKey"], row["authField"]): decrypt(row["value"])
        for row in rows
        if row["userId"] == ann.id
    }


async def test_installs_and_uninstalls(ann: Any) -> None:
    await change(ann, "x", auth={})
    await change(ann, "y")
    await change(ann, "x")
    assert (await ann.client.get("/api/user")).json()["plugins"] == ["y", "x"]
    await change(ann, "y", "uninstall", auth=None)
    await change(ann, "never-there", "uninstall")
    assert (await ann.account())["plugins"] == ["x"]
    assert await secrets(ann) == {}


async def test_an_entity_s_tool_is_not_listed(ann: Any) -> None:
    await change(ann, "x", isEntityTool=True, auth={"A": "1"})
    assert (await ann.account())["plugins"] == []
    assert await secrets(ann) == {("x", "A"): "1"}


async def test_secrets_are_encrypted_and_replaced(ann: Any) -> None:
    await change(ann, "google", auth={"GOOGLE_KEY": "first", "GOOGLE_CX||CX": "ünï", "NOT": None})
    await change(ann, "google", auth={"GOOGLE_KEY": "second"})
    assert await secrets(ann) == {
        ("google", "GOOGLE_KEY"): "second",
        ("google", "GOOGLE_CX||CX"): "ünï",
    }
    row = next(r for r in await ann.rows("pluginauths") if r["authField"] == "GOOGLE_KEY")
    assert row["userId"] == ann.id
    assert "second" not in str(row)
    assert row["__v"] == 0
    assert row["createdAt"] <= row["updatedAt"]


async def test_uninstalling_removes_fields_of_any_plugin(ann: Any) -> None:
    await change(ann, "a", auth={"KEY": "1", "OTHER": "2"})
    await change(ann, "b", auth={"KEY": "3"})
    await change(ann, "a", "uninstall", auth={"KEY": None})
    assert await secrets(ann) == {("a", "OTHER"): "2"}
    await change(ann, "a", "uninstall", auth={})
    assert await secrets(ann) == {("a", "OTHER"): "2"}


@pytest.mark.parametrize("key", ["mcp_files", "read_mcp_files"])
async def test_uninstalling_an_mcp_server_removes_its_secrets(ann: Any, key: str) -> None:
    await change(ann, key, auth={"A": "1", "B": "2"})
    await change(ann, "mcp_other", auth={"A": "3"})
    await change(ann, key, "uninstall", auth={})
    assert await secrets(ann) == {("mcp_other", "A"): "3"}


async def test_an_unknown_action_does_nothing(ann: Any) -> None:
    await change(ann, "x", "explode", auth={"A": "1"})
    assert (await ann.account())["plugins"] == []
    assert await secrets(ann) == {}


class TestWebSearch:
    async def test_stores_under_the_names_of_variables(self, ann: Any) -> None:
        given = {"unknown": "0", "serperApiKey": "1", "jinaApiUrl": "2", "PATH": "3"}
        await change(ann, "web_search", auth=given)
        assert await secrets(ann) == {
            ("web_search", "SERPER_API_KEY"): "1",
            ("web_search", "JINA_API_URL"): "2",
        }
        await change(ann, "x", auth={"KEPT": "4"})
        await change(ann, "web_search", "uninstall", auth={})
        assert await secrets(ann) == {("x", "KEPT"): "4"}

    async def test_which_the_configuration_may_choose(self, caller: Any) -> None:
        yaml = {"webSearch": {"serperApiKey": "${MY_KEY}", "jinaApiKey": "literal"}}
        async with caller(WebSearch(), yaml=yaml) as ann:
            given = {"serperApiKey": "1", "jinaApiKey": "2", "cohereApiKey": "3"}
            await change(ann, "web_search", auth=given)
            assert await secrets(ann) == {
                ("web_search", "MY_KEY"): "1",
                ("web_search", "COHERE_API_KEY"): "3",
            }

    def test_names(self) -> None:
        assert web_search_fields({}) == {
            "serperApiKey": "SERPER_API_KEY",
            "searxngInstanceUrl": "SEARXNG_INSTANCE_URL",
            "searxngApiKey": "SEARXNG_API_KEY",
            "tavilyApiKey": "TAVILY_API_KEY",
            "tavilySearchUrl": "TAVILY_SEARCH_URL",
            "tavilyExtractUrl": "TAVILY_EXTRACT_URL",
            "firecrawlApiKey": "FIRECRAWL_API_KEY",
            "firecrawlApiUrl": "FIRECRAWL_API_URL",
            "firecrawlVersion": "FIRECRAWL_VERSION",
            "jinaApiKey": "JINA_API_KEY",
            "jinaApiUrl": "JINA_API_URL",
            "cohereApiKey": "COHERE_API_KEY",
        }


async def test_hostile_bodies(ann: Any) -> None:
    good = {"pluginKey": "x", "action": "install", "auth": {"A": "1"}}
    hostile: list[Any] = [{"$gt": ""}, {"$regex": ".*"}, ["a"], {"x": 1}, 7, True]
    for member in ("pluginKey", "action"):
        for value in hostile:
            answer = await ann.client.post(URL, json={**good, member: value})
            assert answer.status_code == 400, (member, value)
    for value in ("x", ["a"], 7, {"A": {"x": 1}}, {"A": ["a"]}, {"A": 7}, {"x" * 513: "1"}):
        answer = await ann.client.post(URL, json={**good, "auth": value})
        assert answer.status_code == 400, value
    for key in ("", None, "x" * 513):
        assert (await ann.client.post(URL, json={**good, "pluginKey": key})).status_code == 400
    many = {f"F{n}": "x" for n in range(101)}
    assert (await ann.client.post(URL, json={**good, "auth": many})).status_code == 400
    assert (await ann.account())["plugins"] == []
    assert await ann.rows("pluginauths") == []
