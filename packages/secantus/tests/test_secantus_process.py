"""The embedded database with real processes: kills, orphans, locks, passwords, programs."""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError
from structlog.testing import capture_logs

from locutory import StartupError
from locutory_secantus import EmbeddedDatabase, child, folder, programs
from locutory_testing.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

# A stand-in for a server: writes until it is killed, and says what the database acknowledged.
SERVER = """
import asyncio, sys
from pathlib import Path
import uvloop
from pymongo import AsyncMongoClient
from locutory_secantus import EmbeddedDatabase

async def main():
    database = EmbeddedDatabase(Path(sys.argv[1]))
    client = AsyncMongoClient(await database.start())
    print("pid", database.process_id, flush=True)
    number = 0
    while True:
        await client.LibreChat.numbers.insert_one({"_id": f"{sys.argv[2]}-{number}"})
        print("ack", number, flush=True)
        number += 1

uvloop.run(main())
"""


def shown(*arguments: str | int) -> str:
    """What ``ps`` prints."""
    command = ["ps", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def alive(process: int) -> bool:
    """Is it running? A dead process that nobody collected is not."""
    return shown("-o", "stat=", "-p", process).strip()[:1] not in ("", "Z")


@contextmanager
def holding(lock: Path, *command: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds a lock as the database's process does."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(file.fileno(),))
        file.write(f"{process.pid} 0")
    with process:
        try:
            yield process
        finally:
            process.kill()


def required(process: int | None) -> int:
    assert process is not None
    return process


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        uri, serverSelectionTimeoutMS=1000 * PATIENCE
    )
    async with client:
        yield client


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[tuple[EmbeddedDatabase, str]]:
    database = EmbeddedDatabase(data_dir)
    uri = await database.start()
    try:
        yield database, uri
    finally:
        await database.stop()


@contextmanager
def server(data_dir: Path, name: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A server in a process of its own, and the id of its database process."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(data_dir), name], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            while not (line := process.stdout.readline()).startswith("pid"):
                assert line, "the server did not start"
            yield process, int(line.split()[1])
        finally:
            process.kill()


async def test_it_starts_again_with_its_data_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET", "not for the database")
    for count in range(2):
        async with running(tmp_path) as (database, uri):
            process = required(database.process_id)
            async with connected(uri) as client:
                assert await client.LibreChat.things.count_documents({}) == count
                await client.LibreChat.things.insert_one({"_id": count})
            assert os.getpgid(process) == process  # Ctrl-C does not reach it
            environment = shown("eww", "-p", process)
            assert "PATH=" in environment
            assert "JWT_SECRET" not in environment
        assert not alive(process)
        assert database.process_id is None
    for private in ("database.json", "database.lock", "server.lock"):
        assert (tmp_path / private).stat().st_mode & 0o077 == 0
    # The first start is two: one to make the account, one that asks for it. The log is kept.
    assert (tmp_path / "logs" / "database.log").read_text().count("listening") == 3


async def test_only_the_password_opens_it_and_a_lost_one_is_replaced(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, uri):
        assert re.match(r"mongodb://locutory:[\w-]{40,}@127\.0\.0\.1:\d+/LibreChat\?", uri)
        stranger = re.sub(r"//.*@", "//", uri).replace("&authSource=admin", "")
        async with connected(uri) as client:
            await client.LibreChat.things.insert_one({"_id": 1})
        async with connected(stranger) as client:
            with pytest.raises(OperationFailure, match="requires authentication"):
                await client.LibreChat.things.find_one({})
    for lost in ("", '{"password": "another"}'):
        (tmp_path / "database.json").write_text(lost)
        async with running(tmp_path) as (_, uri), connected(uri) as client:
            assert await client.LibreChat.things.count_documents({}) == 1


async def test_killed_under_writes_it_loses_nothing_and_the_client_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "BACKOFF", (0.0, 0.1) * 3)
    acknowledged: list[int] = []
    async with running(tmp_path) as (database, uri), connected(uri) as client:
        numbers = client.LibreChat.numbers

        async def write() -> None:
            number = 0
            while True:
                number += 1
                with contextlib.suppress(PyMongoError):
                    await numbers.insert_one({"_id": number})
                    acknowledged.append(number)

        async def twenty_more() -> None:
            wanted = len(acknowledged) + 20
            await until(lambda: len(acknowledged) >= wanted)

        def another_than(killed: int) -> bool:
            return database.process_id not in (None, killed)

        writer = asyncio.create_task(write())
        for _ in range(6):
            await twenty_more()
            killed = required(database.process_id)
            os.kill(killed, signal.SIGKILL)
            await until(partial(another_than, killed))
        await twenty_more()
        writer.cancel()
        await asyncio.wait([writer])
        stored = {document["_id"] async for document in numbers.find({}, {"_id": 1})}
        assert len(acknowledged) >= 140
        assert not set(acknowledged) - stored
        with pytest.raises(DuplicateKeyError):
            await numbers.insert_one({"_id": acknowledged[-1]})


async def test_a_killed_server_leaves_no_orphan_and_loses_nothing(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for name in "abcd":
        with server(tmp_path, name) as (process, database):
            assert process.stdout is not None
            for _ in range(30):
                acknowledged.add(f"{name}-{process.stdout.readline().split()[1]}")
            process.kill()
            rest = process.stdout.read().splitlines()
            acknowledged |= {
                f"{name}-{line.split()[1]}" for line in rest if re.fullmatch(r"ack \d+", line)
            }
    if sys.platform == "linux":  # the orphans before met the next server's start
        await until(lambda: not alive(database))
    async with running(tmp_path) as (_, uri), connected(uri) as client:
        numbers = client.LibreChat.numbers
        stored = {document["_id"] async for document in numbers.find({}, {"_id": 1})}
    assert len(acknowledged) >= 120
    assert not acknowledged - stored


async def test_a_second_server_on_the_directory_is_refused(tmp_path: Path) -> None:
    with server(tmp_path, "first") as (process, _):
        with pytest.raises(StartupError) as refused:
            await EmbeddedDatabase(tmp_path).start()
        assert f"{tmp_path} is in use by the server with process id {process.pid}" in str(
            refused.value
        )
        assert "stop that server" in str(refused.value)
    async with running(tmp_path):  # the lock went with the process
        with pytest.raises(StartupError, match=f"process id {os.getpid()}"):
            await EmbeddedDatabase(tmp_path).start()


async def test_an_orphan_that_lives_on_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "ORPHAN_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(folder, "ORPHAN_SECONDS", 0.5)
    stubborn = (
        "import signal,time;signal.signal(15,signal.SIG_IGN);print(flush=True);time.sleep(99)"
    )
    lock, storage = tmp_path / "database.lock", tmp_path / "database"
    with holding(lock, sys.executable, "-c", stubborn, str(storage)) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        async with running(tmp_path):
            assert orphan.wait() == -signal.SIGKILL
    with holding(lock, "sleep", "99") as stranger:
        with pytest.raises(StartupError, match=f"kill {stranger.pid}"):
            await EmbeddedDatabase(tmp_path).start()
        assert alive(stranger.pid)  # no database of this directory: not ours to end


async def test_it_is_started_again_however_often_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "BACKOFF", (0.0,))
    with capture_logs() as logs:
        async with running(tmp_path) as (database, _):
            first = required(database.process_id)
            os.kill(first, signal.SIGKILL)
            await until(lambda: logs[-1]["event"] == "database.restarted")
            second = required(database.process_id)
            assert second != first
            os.kill(second, signal.SIGKILL)
            await until(lambda: len(logs) == 5 and logs[-1]["event"] == "database.restarted")
            assert database.process_id not in (None, first, second)
    deaths = [entry for entry in logs if entry["event"] == "database.died"]
    assert [entry["deaths"] for entry in deaths] == [1, 2]
    assert deaths[-1]["log_level"] == "critical"
    assert deaths[-1]["output"] == str(tmp_path / "logs" / "database.log")


async def test_one_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STOP_SECONDS", 0.3)
    async with running(tmp_path) as (database, _):
        process = required(database.process_id)
        os.kill(process, signal.SIGSTOP)
    assert not alive(process)


async def test_cancelled_while_starting_nothing_is_left(tmp_path: Path) -> None:
    for seconds in (0.0, 0.01, 0.1, 0.6):
        database = EmbeddedDatabase(tmp_path)
        starting = asyncio.create_task(database.start())
        await asyncio.sleep(seconds)
        starting.cancel()
        await asyncio.wait([starting])
        await database.stop()
        assert database.process_id is None
    async with running(tmp_path):
        pass  # the locks are free and the data is whole
    assert str(tmp_path) not in shown("-A", "-ww", "-o", "command=")


async def test_a_start_that_fails_shows_the_output(tmp_path: Path) -> None:
    storage = tmp_path / "database"
    storage.mkdir()
    (storage / "WiredTiger").write_text("rubbish")
    (storage / "WiredTiger.turtle").write_text("rubbish")
    with pytest.raises(StartupError, match="did not start: it ended with code") as failed:
        await EmbeddedDatabase(tmp_path).start()
    assert "database.log (restore a backup if it says that files are damaged)" in str(failed.value)
    assert "WiredTiger" in str(failed.value)

    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="cannot be used"):
        await EmbeddedDatabase(tmp_path / "file").start()


async def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "database.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (folder.LOG_BYTES + 1))
    async with running(tmp_path):
        pass
    assert log.with_name("database.log.1").stat().st_size == folder.LOG_BYTES + 1
    assert log.stat().st_size < 10_000


def stand_in(path: Path) -> None:
    """A program with mongod's options that is SecantusDB in truth."""
    path.parent.mkdir(parents=True)
    script = Path(sys.executable).with_name("secantusd-py")
    path.write_text(
        '#!/bin/sh\n[ "$5 $7 $8" = "--dbpath --nounixsocket --wiredTigerCacheSizeGB" ] || exit 9\n'
        f'exec {script} --host "$2" --port "$4" --storage-path "$6" ${{10}}\n'
    )
    path.chmod(0o755)


async def test_mongod_comes_first_but_data_stays_with_the_program_that_wrote_it(
    tmp_path: Path,
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    stand_in(new / "bin" / "mongod")
    async with running(new) as (_, uri), connected(uri) as client:
        assert uri.endswith("&journal=true")
        await client.LibreChat.things.insert_one({"_id": 1})

    storage = old / "database"
    storage.mkdir(parents=True)
    shutil.copytree(new / "bin", old / "bin")
    assert programs.choose(old, storage).name == "mongod"
    (storage / "WiredTiger").touch()
    assert programs.choose(old, storage).name == "secantusdb"
    (storage / "storage.bson").touch()
    assert programs.choose(old, storage).name == "mongod"


def test_without_a_program_the_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(StartupError) as missing:
        programs.choose(tmp_path, tmp_path / "database")
    for way in ("install.py --all", "locutory-secantus", "mongod on PATH", f"{tmp_path}/bin"):
        assert way in str(missing.value)
    (tmp_path / "WiredTiger").touch()
    with pytest.raises(StartupError, match="was written by secantusdb, which is not installed"):
        programs.choose(tmp_path, tmp_path)
