"""The database programs that can serve a data directory, and their command lines."""

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from locutory.errors import Problem, StartupError

HOST = "127.0.0.1"
ADVICE = (
    "install SecantusDB (python3 install.py --all, or pip install locutory-secantus), or put"
    " mongod on PATH or in {folder}/bin"
)


@dataclass(frozen=True, slots=True)
class Program:
    """One installed database program.

    ``arguments(storage, settings, port)`` gives the command line without authentication;
    ``options`` are added to the URI.
    """

    name: str
    path: Path
    arguments: Callable[[Path, Path, int], list[str]]
    options: str = ""

    def command(self, storage: Path, settings: Path, port: int, *, auth: bool) -> list[str]:
        """The whole command line; ``--auth`` is spelt alike by both programs."""
        return [
            str(self.path),
            *self.arguments(storage, settings, port),
            *(("--auth",) if auth else ()),
        ]


def _mongod_arguments(storage: Path, _settings: Path, port: int) -> list[str]:
    place = ["--bind_ip", HOST, "--port", str(port), "--dbpath", str(storage)]
    return [*place, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]


def _secantus_arguments(storage: Path, settings: Path, port: int) -> list[str]:
    # Without --sync-on-commit a kill loses acknowledged writes. The cache grows with use and
    # costs nothing while idle; a transaction must fit in it.
    place = ["--host", HOST, "--port", str(port), "--storage-path", str(storage)]
    return [*place, "--config", str(settings), "--sync-on-commit", "--cache-size", "256M"]


def _mongod(data_dir: Path) -> Program | None:
    searched = os.pathsep.join((os.environ.get("PATH", os.defpath), str(data_dir / "bin")))
    found = shutil.which("mongod", path=searched)
    # A standalone mongod acknowledges a write before it is in the journal, unless asked.
    return Program("mongod", Path(found), _mongod_arguments, "&journal=true") if found else None


def _secantus(_data_dir: Path) -> Program | None:
    # GPL: a program of its own that we start, never a module that we import.
    folders = (str(Path(sys.executable).parent), sysconfig.get_path("scripts"))
    found = shutil.which("secantusd-py", path=os.pathsep.join(folders))
    return Program("secantusdb", Path(found), _secantus_arguments) if found else None


_FINDERS = {"mongod": _mongod, "secantusdb": _secantus}


def written_by(storage: Path) -> str | None:
    """The name of the program whose files are in ``storage``; ``None`` for a new folder."""
    if (storage / "storage.bson").exists():
        return "mongod"
    return "secantusdb" if (storage / "WiredTiger").exists() else None


def choose(data_dir: Path, storage: Path) -> Program:
    """The program to start: the one that wrote the data, else the best installed one.
    ``StartupError`` when it is not installed."""
    owner = written_by(storage)
    for name in (owner,) if owner else _FINDERS:
        if program := _FINDERS[name](data_dir):
            return program
    text = (
        f"the data in {storage} was written by {owner}, which is not installed"
        if owner
        else "no database program is installed"
    )
    raise StartupError(Problem("database", text, ADVICE.format(folder=data_dir)))
