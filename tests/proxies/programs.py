"""Real reverse proxies, started for a test."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def caddy(folder: Path, port: int, site: str) -> Iterator[None]:
    """Caddy on a port of 127.0.0.1; ``site`` is a whole block of a Caddyfile. Skips the test
    where it is not installed."""
    if shutil.which("caddy") is None:
        pytest.skip("caddy is not installed")
    folder.mkdir()
    settings = folder / "Caddyfile"
    settings.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + site, "utf-8")
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(settings)]
    with _running(command, folder, port, home):
        yield


@contextmanager
def _running(
    command: list[str], folder: Path, port: int, environment: dict[str, str]
) -> Iterator[None]:
    """A program that listens on ``port`` until the end of the block."""
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                text = output.read_text("utf-8", "replace")
                assert process.poll() is None, text
                assert time.monotonic() < deadline, text
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)
