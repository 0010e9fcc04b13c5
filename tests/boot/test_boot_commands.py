"""Commands with every plugin of the bundle: what other plugins run is not set up then."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from locutory_testing.database import Databases
from tests.boot.person import ENVIRONMENT


class Shell:
    """Runs ``locutory`` in a folder, on a database of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            **ENVIRONMENT,
            "MONGO_URI": database,
            "LOCUTORY_DATA_DIR": str(folder / "data"),
        }

    async def run(self, *arguments: str, given: str = "") -> str:
        """What a command prints; a failure, and anything on standard error, fails the test."""
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("locutory")),
            *arguments,
            cwd=self._folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complained = await process.communicate(given.encode())
        assert (process.returncode, complained.decode()) == (0, ""), printed.decode()
        return printed.decode()


@pytest.fixture
def shell(tmp_path: Path, databases: Databases) -> Shell:
    return Shell(tmp_path, databases.address(f"commands_{tmp_path.name}"))


@pytest.mark.slow
async def test_looking_after_accounts(shell: Shell) -> None:
    made = []
    for address in ("root@example.com", "ann@example.com"):
        create = ("user", "create", address, "--password-stdin", "--json")
        made.append(json.loads(await shell.run(*create, given="password123\n")))
    assert [one["role"] for one in made] == ["ADMIN", "USER"]
    banned = await shell.run("user", "ban", "ann@example.com", "--forever", "--yes")
    assert banned == "Banned ann@example.com for ever.\n"
    assert "ann@example.com" in await shell.run("user", "bans")
    assert await shell.run("user", "unban", made[1]["id"]) == (
        "ann@example.com is no longer banned.\n"
    )
    reset = ("user", "reset-password", "ann@example.com", "--password-stdin")
    assert await shell.run(*reset, given="password456\n") == "ann@example.com has a new password.\n"
    await shell.run("user", "remove-2fa", "ann@example.com", "--yes")
    deleted = await shell.run("user", "delete", "ann@example.com", "--yes")
    assert deleted == "Deleted ann@example.com.\n"
    (left,) = json.loads(await shell.run("user", "list", "--json"))
    assert left["email"] == "root@example.com"
