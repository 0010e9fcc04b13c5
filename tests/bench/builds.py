"""Builds of the server, each in a folder of its own with its own ``.venv``, and how they run."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from locutory_testing.server import SECRETS
from tests.bench.measure import Running, free_port, process

ROOT = Path(__file__).resolve().parents[2]
_MANY = "1000000"
_UNLIMITED = ("LOGIN", "REGISTER", "IMPORT_IP", "IMPORT_USER", "FORK_IP", "FORK_USER")
_YAML = """endpoints:
  custom:
    - {{name: Fake, apiKey: k, titleConvo: false, baseURL: 'http://127.0.0.1:{}/v1',
        models: {{default: [fast, paced], fetch: false}}}}
"""


@dataclass(frozen=True, slots=True)
class Build:
    """A checkout that ``make install`` was run in."""

    name: str
    folder: Path

    def command(self, name: str) -> str:
        """The path of a command of its environment."""
        found = self.folder / ".venv" / "bin" / name
        if not found.exists():
            raise FileNotFoundError(f"{found}: run make install in {self.folder}")
        return str(found)

    def size(self) -> tuple[float, float]:
        """MB of its environment: all of it, and without compiled Python, which is written by the
        installation or by the first start."""
        total = compiled = 0
        seen: set[int] = set()
        for folder, _, names in os.walk(self.folder / ".venv"):
            for name in (".", *names):
                found = (Path(folder) / name).lstat()
                if found.st_ino in seen:
                    continue
                seen.add(found.st_ino)
                total += found.st_blocks * 512
                compiled += found.st_blocks * 512 if name.endswith(".pyc") else 0
        return total / 2**20, (total - compiled) / 2**20


@contextmanager
def model(folder: Path) -> Iterator[int]:
    """A model server (`tests.bench.model`); its port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.model", str(port)]
    with process(command, port, {"PYTHONPATH": str(ROOT)}, folder / "model.log"):
        yield port


@contextmanager
def serving(build: Build, folder: Path, model_port: int = 9) -> Iterator[Running]:
    """A server of a build with its built-in database; ``folder`` holds its data and its log."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "librechat.yaml").write_text(_YAML.format(model_port))
    environment = {
        **SECRETS,
        **{f"{name}_MAX": _MANY for name in _UNLIMITED},
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MONGO_URI": "",
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "",  # what is not compiled yet, is at the first start
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        "CONFIG_PATH": str(folder / "librechat.yaml"),
        "ALLOW_REGISTRATION": "true",
        "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true",
        "SESSION_EXPIRY": str(6 * 3600 * 1000),
    }
    command = [build.command("locutory"), "serve"]
    with process(command, port, environment, folder / "server.log") as running:
        yield running
