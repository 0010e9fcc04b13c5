"""The data directory of the embedded database: files, locks, log, and the remains of a crashed
server."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from locutory.errors import Problem, StartupError
from locutory_credentials import write_private
from locutory_secantus.programs import HOST

LOG_BYTES = 10 * 1024 * 1024
ORPHAN_GRACE_SECONDS = 1.0
"""On Linux an orphan is already ending by itself; asking twice would break off its closing."""
ORPHAN_SECONDS = 10.0
_SETTINGS = "# Read by the built-in database. Options that Locutory sets itself win over these.\n"


class _Lock:
    """An exclusive lock on a file that names the process holding it. The system frees it with
    the last process that has it open, however that one ends; processes inherit it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock; false when another process has it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        return True

    def name(self, process: int, port: int = 0) -> None:
        """Write the process id and port of the process that holds the lock."""
        if self.descriptor is not None:
            os.truncate(self.descriptor, 0)
            os.pwrite(self.descriptor, f"{process} {port}".encode(), 0)

    def named(self) -> tuple[int, int]:
        """Process id and port last written; zeros when there are none."""
        process, _, port = self.path.read_text(encoding="ascii").partition(" ")
        return (int(process), int(port)) if process.isdigit() and port.isdigit() else (0, 0)

    def free(self) -> None:
        """Let go of it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def _command_line(process: int) -> str:
    """The command line of a running process; empty when there is none."""
    if sys.platform == "linux":
        try:
            arguments = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            return ""
        return os.fsdecode(arguments.replace(b"\0", b" "))
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(process)],
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout


async def knock(port: int) -> bool:
    """``True`` when a process listens on this port. The connection also helps to stop SecantusDB,
    whose listening thread notices a stop only at its next connection, or after two seconds."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        await writer.wait_closed()
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # it was there, and closed the connection first
    return True


class Folder:
    """Paths below ``data_dir``: ``database/`` the program's files, ``database.json`` its
    password, ``logs/database.log`` its output (kept, a new one at a start past 10 MB)."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir.absolute()
        self.storage = self.path / "database"
        self.settings = self.path / "secantusd.toml"
        self.log = self.path / "logs" / "database.log"
        self._account = self.path / "database.json"
        self._server = _Lock(self.path / "server.lock")
        self.database_lock = _Lock(self.path / "database.lock")

    async def open(self) -> None:
        """Make the folder and lock it. A database that a killed server left behind is stopped
        first. ``StartupError`` when another server uses the folder, or it is not writable."""
        try:
            for folder in (self.path, self.storage, self.log.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._server.take():
                raise StartupError(
                    Problem(
                        "LOCUTORY_DATA_DIR",
                        f"the data directory {self.path} is in use by the server with process id "
                        f"{self._server.named()[0]}",
                        "stop that server, or give this one another folder",
                    )
                )
            self._server.name(os.getpid())
            await self._end_orphan()
            if not self.settings.exists():
                self.settings.write_text(_SETTINGS, encoding="utf-8")
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_name("database.log.1"))
        except OSError as error:
            self.close()
            raise StartupError(
                Problem(
                    "LOCUTORY_DATA_DIR",
                    f"the data directory {self.path} cannot be used: {error}",
                    "make it writable, or choose another folder",
                )
            ) from None
        except BaseException:
            self.close()
            raise

    async def _end_orphan(self) -> None:
        """Wait for the lock that the database's process holds; end a process that keeps it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        sent: set[signal.Signals] = set()
        while not self.database_lock.take():
            waited = loop.time() - began
            step = signal.SIGTERM if waited < ORPHAN_SECONDS else signal.SIGKILL
            orphan, port = self.database_lock.named()
            if (
                waited > ORPHAN_GRACE_SECONDS
                and orphan
                and step not in sent
                and str(self.storage) in _command_line(orphan)
            ):
                sent.add(step)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, step)
            if waited > 2 * ORPHAN_SECONDS:
                raise StartupError(
                    Problem(
                        "LOCUTORY_DATA_DIR",
                        f"a database process (last known id {orphan}) still uses {self.storage}",
                        f"end it: kill {orphan}",
                    )
                )
            if port:
                await knock(port)
            await asyncio.sleep(0.03)

    def password(self) -> str | None:
        """The database password; ``None`` when none was stored."""
        try:
            stored = json.loads(self._account.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        value = stored.get("password") if isinstance(stored, dict) else None
        return value if isinstance(value, str) and value else None

    def store_password(self, password: str) -> None:
        """Keep the database password, readable by this account only."""
        write_private(self._account, json.dumps({"password": password}) + "\n", replace=True)

    def tail(self, lines: int = 8) -> str:
        """The last lines of the database's output."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - 4000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """Free the locks; the database's process must have ended."""
        self.database_lock.free()
        self._server.free()
