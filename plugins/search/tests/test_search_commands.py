"""``locutory search status | rebuild``, and the checks of ``locutory doctor``."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from locutory import StartupError
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_search.embedded import file
from locutory_search.plugin import SearchPlugin
from locutory_testing import Serve
from locutory_testing.server import SECRETS


def command_line(folder: Path, environment: dict[str, str] | None = None) -> click.Group:
    kernel = Kernel(
        Sources({**SECRETS, **(environment or {})}, {}), [SearchPlugin()], data_dir=folder
    )
    found = kernel.contributions.commands["search"]
    return click.Group("search", {command.name: command for command in found})


async def run(folder: Path, *words: str, **environment: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke, command_line(folder, environment), list(words)
    )


async def test_status_and_rebuild_beside_a_running_server(
    serve: Serve, history: Any, kit: Any, user: str, tmp_path: Path
) -> None:
    nothing = await run(tmp_path, "status")
    assert nothing.exit_code == 0
    assert "no index yet" in nothing.output
    async with serve("search", history, yaml=kit.FAST) as server:
        said = await history.say(user, "the lighthouse")
        await history.name_it(user, "About it")
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])
        await kit.until(lambda: _positions(tmp_path), {"conversations": "1", "messages": "1"})
        found = json.loads((await run(tmp_path, "status", "--json")).output)
        assert (found["messages"], found["conversations"], found["users"]) == (1, 1, 1)
        shown = await run(tmp_path, "status")
        assert "engine         built-in" in shown.output
        assert "conversations 1, messages 1" in shown.output

        assert (await run(tmp_path, "rebuild")).exit_code == 1  # asks, and nobody answers
        again = len(history.read)
        assert (await run(tmp_path, "rebuild", "--yes")).exit_code == 0
        await kit.until(lambda: _begun(history, again), True)
        await kit.until_found(server, user, "lighthouse", [said["messageId"]])


async def _positions(folder: Path) -> Any:
    return json.loads((await run(folder, "status", "--json")).output).get("position")


async def _begun(history: Any, again: int) -> bool:
    return ("messages", None) in history.read[again:]


async def test_a_broken_file_is_told_and_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "search" / "index-1.sqlite3"
    path.parent.mkdir()
    path.write_text("no database " * 100)
    assert "cannot be read" in (await run(tmp_path, "status")).output
    assert (await run(tmp_path, "rebuild", "-y")).exit_code == 0
    assert "messages       0" in (await run(tmp_path, "status")).output


async def test_switched_off(tmp_path: Path) -> None:
    for word in ("status", "rebuild"):
        found = await run(tmp_path, word, *(["-y"] if word == "rebuild" else []), SEARCH="no")
        assert found.exit_code == 1
        assert "switched off" in found.output


@pytest.mark.parametrize(
    ("environment", "advice"),
    [
        ({}, None),
        ({"SEARCH": "false"}, None),
        ({"MEILI_HOST": "http://127.0.0.1:1"}, "MEILI_HOST is set without MEILI_MASTER_KEY"),
        ({"MEILI_MASTER_KEY": "k"}, "MEILI_MASTER_KEY is set without MEILI_HOST"),
        ({"MEILI_HOST": "http://127.0.0.1:1", "MEILI_MASTER_KEY": "k"}, "set SEARCH=true"),
        (
            {"MEILI_HOST": "http://127.0.0.1:1", "MEILI_MASTER_KEY": "k", "SEARCH": "true"},
            "Meilisearch does not answer",
        ),
    ],
)
async def test_checks(tmp_path: Path, environment: dict[str, str], advice: str | None) -> None:
    kernel = Kernel(Sources({**SECRETS, **environment}, {}), [SearchPlugin()], data_dir=tmp_path)
    ((_, check),) = [found for found in kernel.contributions.checks if found[0] == "search"]
    told = await check.run()
    assert told is None if advice is None else advice in (told or "")


async def test_checks_of_the_file(tmp_path: Path) -> None:
    kernel = Kernel(Sources(SECRETS, {}), [SearchPlugin()], data_dir=tmp_path)
    ((_, check),) = [found for found in kernel.contributions.checks if found[0] == "search"]
    file.IndexFile(tmp_path / "search").open(make=True).connection.close()
    assert await check.run() is None
    (tmp_path / "search" / "index-1.sqlite3").write_text("no database " * 100)
    assert "damaged" in (await check.run() or "")


def test_without_fts5_the_server_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    class Poor(sqlite3.Connection):
        def execute(self, *words: Any) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("no such module: fts5")

    monkeypatch.setattr(sqlite3, "connect", lambda name: connect(name, factory=Poor))
    with pytest.raises(StartupError) as caught:
        file.check_fts5()
    assert "has no FTS5" in str(caught.value)
    assert "MEILI_HOST" in str(caught.value)
