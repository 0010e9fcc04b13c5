"""``locutory balance …`` (contract balance §7)."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from bson import ObjectId
from click.testing import CliRunner, Result

from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_balance import commands
from locutory_balance.plugin import BalancePlugin
from locutory_testing import Serve, Server
from locutory_testing.server import SECRETS

ON: dict[str, Any] = {"balance": {"enabled": True, "startBalance": 1000}}


class Office:
    """A server, and a command line on its database."""

    def __init__(self, server: Server, data_dir: Path, kit: Any) -> None:
        self.books = kit.books(server)
        self._uri = str(server.kernel.config.mongo_uri)
        self._data_dir = data_dir
        self._kit = kit
        self.ann, self.bob = ObjectId(), ObjectId()
        self.people: list[dict[str, Any]] = [
            {"_id": self.ann, "email": "ann@example.com"},
            {"_id": self.bob, "email": "bob@example.com", "tenantId": "t1"},
        ]

    async def run(
        self, *words: str, answer: str = "", section: Any = None, people: bool = True
    ) -> Result:
        """Run a command as the server's administrator."""
        sources = Sources({**SECRETS, "MONGO_URI": self._uri}, section or ON)
        plugins = [BalancePlugin()]
        if people:
            plugins.append(self._kit.people(*self.people))
        kernel = Kernel(sources, plugins, data_dir=self._data_dir)
        found = kernel.contributions.commands["balance"]
        group = click.Group("balance", {command.name: command for command in found})
        return await asyncio.to_thread(
            CliRunner().invoke, group, list(words), input=answer, prog_name="locutory balance"
        )


@pytest.fixture
async def office(serve: Serve, tmp_path: Path, kit: Any) -> AsyncIterator[Office]:
    async with serve("balance", yaml=ON) as server:
        yield Office(server, tmp_path, kit)


async def test_credits_are_added(office: Office) -> None:
    done = await office.run("add", "ann@example.com", "500", "--yes")
    assert done.output == f"ann@example.com ({office.ann}) has 1,500 credits now.\n"
    assert done.exit_code == 0
    (row,) = await office.books.transactions(str(office.ann))
    assert (row["tokenType"], row["context"]) == ("credits", "admin")
    assert (row["rawAmount"], row["tokenValue"], row["rate"]) == (500, 500, 1)


async def test_credits_are_taken_away(office: Office) -> None:
    await office.books.insert(str(office.ann), tokenCredits=700.5)
    done = await office.run("add", str(office.ann), "-200", "-y", "--json")
    assert json.loads(done.stdout) == {
        "user": str(office.ann),
        "email": "ann@example.com",
        "tokenCredits": 500.5,
        "previous": 700.5,
    }
    assert "500.5" in (await office.run("add", str(office.ann), "0.0001", "-y")).output
    await office.run("add", str(office.ann), "-9e9", "-y")
    assert await office.books.credits(str(office.ann)) == 0


async def test_a_balance_is_set(office: Office) -> None:
    for amount, shown in (("250", 250), ("0", 0), ("1.5", 1.5), ("2_000", 2000)):
        done = await office.run("set", "bob@example.com", amount, "--tenant", "t1", "--yes")
        assert done.exit_code == 0, done.output
        record = await office.books.balance(str(office.bob))
        assert record["tokenCredits"] == shown
        assert record["tenantId"] == "t1"
    assert await office.books.transactions(str(office.bob)) == []


async def test_it_asks_first(office: Office) -> None:
    done = await office.run("set", "ann@example.com", "5", answer="n\n")
    assert done.exit_code == 1
    assert "Set to 5 credits the balance of ann@example.com" in done.stderr
    assert "who has no balance yet? [y/N]" in done.stderr
    assert await office.books.balance(str(office.ann)) is None
    done = await office.run("add", "ann@example.com", "5", answer="y\n")
    assert "Add 5 credits to ann@example.com" in done.stderr
    assert await office.books.credits(str(office.ann)) == 1005


async def test_without_start_balance_the_record_begins_at_nothing(office: Office) -> None:
    section = {"balance": {"enabled": True}}
    await office.run("add", "ann@example.com", "70", "--yes", section=section)
    assert await office.books.credits(str(office.ann)) == 70


async def test_all_balances_are_listed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PAGE", 2)
    stranger = ObjectId()
    for user, amount in ((office.ann, 1234567.0), (office.bob, 2.25), (stranger, None)):
        await office.books.insert(str(user), tokenCredits=amount)
        await office.books.insert(str(user), tokenCredits=99)  # a second record does not count
    done = await office.run("list", "--json")
    assert json.loads(done.stdout) == [
        {"user": str(office.ann), "email": "ann@example.com", "tokenCredits": 1234567},
        {"user": str(office.bob), "email": "bob@example.com", "tokenCredits": 2.25},
        {"user": str(stranger), "tokenCredits": 0},
    ]
    shown = await office.run("list")
    assert shown.stdout.splitlines() == [
        f"         1,234,567  {office.ann}  ann@example.com",
        f"              2.25  {office.bob}  bob@example.com",
        f"                 0  {stranger}",
    ]
    assert shown.stderr == "3 balance(s).\n"
    bare = await office.run("list", "--json", people=False)
    assert [set(entry) for entry in json.loads(bare.stdout)] == [{"user", "tokenCredits"}] * 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "eve@example.com", "5", "-y"), 1, "No account has the e-mail address eve@"),
        (("add", "bob@example.com", "5", "-y"), 1, "No account has the e-mail address bob@"),
        (("add", "0" * 24, "5", "-y"), 1, "No account has the id 000"),
        (("add", "ann", "5", "-y"), 2, "neither an e-mail address nor a user id"),
        (("add", "ann@example.com", "0", "-y"), 2, "it adds nothing"),
        (("add", "ann@example.com", "much", "-y"), 2, "'much' is not a number of credits"),
        (("add", "ann@example.com", "nan", "-y"), 2, "not a number of credits"),
        (("add", "ann@example.com", "1e300", "-y"), 2, "not a number of credits"),
        (("set", "ann@example.com", "-1", "-y"), 2, "a balance is never negative"),
        (("set", "ann@example.com"), 2, "Missing argument"),
        (("--help",), 0, "Add credits to a user's balance."),
        (("add", "--help"), 0, "1,000,000 credits are 1 USD"),
    ],
)
async def test_mistakes_are_explained(
    office: Office, words: tuple[str, ...], code: int, said: str
) -> None:
    done = await office.run(*words)
    assert done.exit_code == code
    assert said in " ".join(done.output.split())
    assert await office.books.rows("balances").count_documents({}) == 0


@pytest.mark.parametrize("words", [("list",), ("add", "x@y.z", "1", "-y"), ("set", "x@y.z", "1")])
async def test_with_the_feature_off_they_refuse(office: Office, words: tuple[str, ...]) -> None:
    done = await office.run(*words, section={"balance": {"enabled": False}})
    assert done.exit_code == 1
    assert "Balances are switched off on this server" in done.stderr


async def test_without_accounts_only_ids_are_known(office: Office) -> None:
    done = await office.run("add", "ann@example.com", "5", "-y", people=False)
    assert "give the user id" in done.stderr
    done = await office.run("add", str(office.ann), "5", "-y", people=False)
    assert done.stdout == f"{office.ann} has 1,005 credits now.\n"


async def test_a_database_that_fails_is_reported(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymongo.errors import AutoReconnect

    from locutory_balance.service import Balances

    async def fail(*_: Any) -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Balances, "read", fail)
    done = await office.run("add", str(office.ann), "5", "-y")
    assert done.exit_code == 1
    assert done.stderr == "Error: The database does not answer: connection closed\n"


async def test_the_command_line_finds_them(
    serve: Serve, tmp_path: Path, user: str, kit: Any
) -> None:
    """The installed program, in a process of its own."""
    async with serve("balance", yaml=ON) as server:
        (tmp_path / "librechat.yaml").write_text(
            yaml.safe_dump({**ON, "plugins": {"enabled": ["balance"]}}), "utf-8"
        )
        environment = {
            **os.environ,
            "MONGO_URI": str(server.kernel.config.mongo_uri),
            "CONFIG_PATH": str(tmp_path / "librechat.yaml"),
            "LOCUTORY_DATA_DIR": str(tmp_path / "data"),
        }
        program = Path(sys.executable).with_name("locutory")
        command = partial(
            subprocess.run,
            [program, "balance", "add", user, "5", "--yes", "--json"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        done = await asyncio.to_thread(command)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"user": user, "tokenCredits": 1005}
        assert await kit.books(server).credits(user) == 1005
