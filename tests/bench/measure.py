"""Processes, load and CPU readings for the benchmarks."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server process under measurement."""

    pid: int
    url: str
    seconds_to_ready: float


@contextmanager
def process(
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str],
    log: Path,
    probe: str = "/readyz",
) -> Iterator[Running]:
    """Start a server, wait until ``probe`` answers 200, stop it at the end."""
    started = time.perf_counter()
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output, cwd=log.parent
        )
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                if child.poll() is not None:
                    raise RuntimeError(log.read_text())
                try:
                    with urllib.request.urlopen(url + probe, timeout=2):  # noqa: S310
                        break
                except OSError:
                    time.sleep(0.01)
            yield Running(child.pid, url, time.perf_counter() - started)
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


def locutory() -> str:
    """The command of this environment."""
    return str(Path(sys.executable).with_name("locutory"))


async def _requests(url: str, path: str, count: int, headers: Mapping[str, str]) -> int:
    """``count`` GET requests one after another on one connection; returns the body size."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{head}\r\n".encode()
    size = 0
    for _ in range(count):
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {answer[:200]!r}")
        size = next(
            int(line.split(b":")[1])
            for line in answer.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(size)
    writer.close()
    return size


def cost(
    server: Running,
    path: str,
    count: int,
    headers: Mapping[str, str],
    spent: Callable[[int], float] = cpu_seconds,
) -> tuple[float, int]:
    """(CPU milliseconds a request, body size); warms up first. ``spent`` tells the CPU seconds of
    a server by its process id: by default of that process alone."""
    asyncio.run(_requests(server.url, path, max(20, count // 10), headers))
    before = spent(server.pid)
    size = asyncio.run(_requests(server.url, path, count, headers))
    return (spent(server.pid) - before) * 1000 / count, size


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    return "\n".join(
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    )
