"""The process of the embedded database: started, watched, started again, stopped."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

from locutory_secantus.folder import Folder, knock
from locutory_secantus.programs import Program

START_SECONDS = 60.0
STOP_SECONDS = 10.0
BACKOFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each restart in a row; the last of them before every further one."""
STEADY_SECONDS = 60.0
"""The running time after which the pauses before restarts begin with the first again."""

_GUARD = str(Path(__file__).with_name("guard.py"))
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")


class NotStarted(Exception):
    """The process ended, or did not listen in time."""


def _environment() -> dict[str, str]:
    """No secrets of the server; settings that keep the process small."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
    }


class Child:
    """One database process on one port."""

    def __init__(self, program: Program, folder: Folder, port: int, log: Any) -> None:
        self.program = program
        self.port = port
        self._folder = folder
        self._log = log
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._spawning = asyncio.Lock()

    @property
    def process_id(self) -> int | None:
        """The id of the running process."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, *, auth: bool) -> None:
        """Start the process and wait until it listens; ``NotStarted`` otherwise."""
        await self._spawn(auth=auth)
        process = self._process
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while True:
            if await knock(self.port):
                return
            if process is None or process.returncode is not None:
                raise NotStarted(f"it ended with code {process and process.returncode}")
            if asyncio.get_running_loop().time() > deadline:
                raise NotStarted(f"it did not listen within {START_SECONDS:.0f} s")
            await asyncio.sleep(0.01)

    async def _spawn(self, *, auth: bool) -> None:
        folder, lock = self._folder, self._folder.database_lock.descriptor
        if lock is None:
            raise RuntimeError("the data directory is not open")
        command = self.program.command(folder.storage, folder.settings, self.port, auth=auth)
        guard = (sys.executable, "-I", "-S", _GUARD, str(os.getpid()), str(lock))
        async with self._spawning:
            with folder.log.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *guard,
                    *command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=folder.path,
                    env=_environment(),
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C in the terminal is for the server only
                )
            folder.database_lock.name(self._process.pid, self.port)

    def watch(self) -> None:
        """From now on start it again, on the same port, whenever it ends."""
        self._watcher = asyncio.create_task(self._watch(), name="embedded database")

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        row = 0
        while self._process is not None:
            began = loop.time()
            code = await self._process.wait()
            if loop.time() - began > STEADY_SECONDS:
                row = 0
            wait = BACKOFF[min(row, len(BACKOFF) - 1)]
            row += 1
            log = self._log.error if row < len(BACKOFF) else self._log.critical
            output = str(self._folder.log)
            log("database.died", code=code, restart_in=wait, deaths=row, output=output)
            await asyncio.sleep(wait)
            try:
                await self.start(auth=True)
            except (NotStarted, OSError) as error:
                self._log.error("database.not_restarted", reason=str(error))
            else:
                self._log.warning("database.restarted", process=self._process.pid)

    async def stop(self) -> None:
        """End the process: asked first, killed when it takes too long. Nothing is left."""
        async with self._spawning:  # never between a process and the variable that holds it
            watcher, self._watcher = self._watcher, None
            if watcher is not None:
                watcher.cancel()
        if watcher is not None:
            await asyncio.wait([watcher])
        process, self._process = self._process, None
        if process is None:
            return
        self._signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._ended(process)
        except TimeoutError:
            self._log.warning("database.killed", seconds=STOP_SECONDS)
            self._signal(process, signal.SIGKILL)
            await process.wait()

    async def _ended(self, process: Process) -> None:
        """Wait for the end, helping it on."""
        ended = asyncio.ensure_future(process.wait())
        try:
            while not (await asyncio.wait([ended], timeout=0.03))[0]:
                await knock(self.port)
        finally:
            ended.cancel()

    @staticmethod
    def _signal(process: Process, number: signal.Signals) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
