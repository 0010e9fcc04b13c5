"""``locutory user export USER``."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from bson import ObjectId
from click.testing import CliRunner, Result

from locutory import Plugin, Provide, hook
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.people import PEOPLE
from locutory_conversations.plugin import ConversationsPlugin
from locutory_testing.server import SECRETS


class Directory(Plugin):
    """Knows one account; for tests only."""

    name = "directory"
    summary = "Finds one account"
    provides = (ACCOUNTS, PEOPLE)

    def __init__(self, account: dict[str, Any]) -> None:
        self._account = account

    @hook
    def services(self) -> list[Provide]:
        return [Provide(ACCOUNTS, self), Provide(PEOPLE, self)]

    async def find(self, user_id: str) -> Any:
        return self._account if user_id == str(self._account["_id"]) else None

    async def by_email(self, email: str, *, tenant: str | None = None) -> Any:
        return self._account if email == self._account["email"] and not tenant else None


@pytest.fixture
def run(world: Any, tmp_path: Path) -> Any:
    """``await run("export", …)``: the command on the server's database."""

    async def invoked(*words: str, plugins: Sequence[Plugin] = ()) -> Result:
        uri = world.server.kernel.config.mongo_uri
        sources = Sources({**SECRETS, "MONGO_URI": uri}, {})
        kernel = Kernel(sources, [ConversationsPlugin(), *plugins], data_dir=tmp_path)
        (group,) = kernel.contributions.commands["conversations"]
        return await asyncio.to_thread(CliRunner().invoke, group, list(words))

    return invoked


async def test_an_export_goes_to_a_file(world: Any, run: Any, tmp_path: Path) -> None:
    stored = await world.conversation(world.alice.id, title="Mine")
    await world.message(world.alice.id, stored["conversationId"], text="hello")
    await world.conversation(world.bob.id)
    target = tmp_path / "alice.jsonl"
    done = await run("export", world.alice.id, "--output", str(target))
    assert done.exit_code == 0, done.output
    assert f"{target}: {target.stat().st_size:,} bytes." in done.output
    assert target.stat().st_mode & 0o077 == 0
    lines = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["export", "conversation", "end"]
    answer = await world.bob.call(
        "POST", "/api/convos/import", files={"file": ("a.jsonl", target.read_bytes())}
    )
    assert answer.status_code == 201
    assert await world.stored("conversations", user=world.bob.id, title="Mine")
    assert [name for name in os.listdir(tmp_path) if "alice" in name] == ["alice.jsonl"]


async def test_an_export_goes_to_standard_output(world: Any, run: Any) -> None:
    directory = Directory({"_id": ObjectId(world.alice.id), "email": "alice@example.com"})
    await world.conversation(world.alice.id)
    for who in (world.alice.id, "alice@example.com"):
        done = await run("export", who, plugins=[directory])
        assert done.exit_code == 0, done.output
        kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
        assert kinds == ["export", "conversation", "end"]


async def test_who_is_not_there(world: Any, run: Any, tmp_path: Path) -> None:
    directory = Directory({"_id": ObjectId(), "email": "alice@example.com"})
    target = tmp_path / "x.jsonl"
    target.write_text("kept", "utf-8")
    for words, plugins, text in (
        (["export", "nobody"], [], "neither an e-mail address nor a user id"),
        (["export", "a@example.com"], [], "give the user id"),
        (["export", "a@example.com"], [directory], "No account has the e-mail address"),
        (["export", str(ObjectId()), "-o", str(target)], [directory], "No account has the id"),
        (["export"], [], "USER"),
        (["export", str(ObjectId()), "-o", str(tmp_path / "no" / "x")], [], "No such file"),
    ):
        done = await run(*words, plugins=plugins)
        assert done.exit_code != 0
        assert text in done.output
    assert target.read_text("utf-8") == "kept"


async def test_the_command_line_finds_it(world: Any, tmp_path: Path) -> None:
    """The installed program, in a process of its own."""
    await world.conversation(world.alice.id)
    settings = {"plugins": {"enabled": ["conversations"]}}
    (tmp_path / "librechat.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    done = await asyncio.to_thread(
        subprocess.run,
        [
            Path(sys.executable).with_name("locutory"),
            *("user", "export", world.alice.id),
        ],
        env={
            **os.environ,
            "MONGO_URI": world.server.kernel.config.mongo_uri,
            "CONFIG_PATH": str(tmp_path / "librechat.yaml"),
            "LOCUTORY_DATA_DIR": str(tmp_path / "data"),
        },
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()][-1] == "end"
