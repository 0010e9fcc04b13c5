"""Plays the recorded exchanges of a real LibreChat against a fresh server of ours.

``python tests/conformance/play.py [GROUPS…] [--show NAME]``; without groups the whole
scenario but for groups that want a server of their own, with the settings of
``settings/GROUP.env`` on top: these are played alone (``play.py limits``). The kit is looked
for beside the repository (``../shared/conformance``) or in ``CONFORMANCE_KIT``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KIT = Path(os.environ.get("CONFORMANCE_KIT") or ROOT.parent / "shared" / "conformance")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def key_values(path: Path) -> dict[str, str]:
    """``KEY=value`` lines of a settings file."""
    pairs = (line.partition("=") for line in path.read_text("utf-8").splitlines())
    return {key: value for key, _, value in pairs if key and not key.startswith("#")}


@contextmanager
def server(
    folder: Path,
    llm_port: int,
    extra: dict[str, str] | None = None,
    workers: int = 1,
    more: str = "",
) -> Iterator[str]:
    """A server process on an empty database, with the settings of the recordings, and with
    ``more`` at the end of its ``librechat.yaml``."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    yaml = folder / "librechat.yaml"
    text = (KIT / "settings" / "librechat.yaml").read_text("utf-8")
    yaml.write_text(f"{text.replace(':8899/', f':{llm_port}/')}\n{more}\n", "utf-8")
    environment = {
        **os.environ,
        **key_values(KIT / "settings" / "server.env"),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DOMAIN_CLIENT": base,
        "DOMAIN_SERVER": base,
        "CONFIG_PATH": str(yaml),
        "CONFORMANCE_DIR": str(KIT),
        "CLIENT_DIST": str(Path(__file__).with_name("client")),
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        **(extra or {}),
    }
    log = (folder / "server.log").open("wb")
    command = [str(Path(sys.executable).with_name("locutory")), "serve", "--workers", str(workers)]
    process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError((folder / "server.log").read_text("utf-8"))
            try:
                with urllib.request.urlopen(f"{base}/readyz", timeout=2):  # noqa: S310
                    break
            except OSError:
                time.sleep(0.1)
        yield base
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the runner printed, and its verdicts."""

    text: str
    verdicts: list[dict[str, Any]]
    log: str


def own_settings(groups: Sequence[str]) -> dict[str, str]:
    """Settings on top of the common ones that a group asks for; it is played alone then."""
    files = {name: KIT / "settings" / f"{name}.env" for name in groups}
    wanted = [name for name, file in files.items() if name != "server" and file.exists()]
    if wanted and len(groups) > 1:
        raise SystemExit(f"{wanted[0]} wants a server of its own: play it alone")
    return key_values(files[wanted[0]]) if wanted else {}


def play(
    groups: Sequence[str],
    show: str = "",
    extra: dict[str, str] | None = None,
    more: str = "",
) -> Outcome:
    """Play groups (all when empty) on a fresh server; ``extra`` environment, ``more`` yaml."""
    extra = {**own_settings(groups), **(extra or {})}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        llm_port = free_port()
        with server(folder, llm_port, extra, more=more) as base:
            command = [
                sys.executable,
                "run.py",
                "--base",
                base,
                "--fresh",
                "--llm-port",
                str(llm_port),
            ]
            command += ["--json", str(folder / "verdicts.json")]
            command += ["--only", ",".join(groups)] if groups else []
            command += ["--show", show] if show else []
            done = subprocess.run(command, cwd=KIT, capture_output=True, text=True, check=False)
        verdicts = folder / "verdicts.json"
        return Outcome(
            done.stdout + done.stderr,
            json.loads(verdicts.read_text("utf-8")) if verdicts.exists() else [],
            (folder / "server.log").read_text("utf-8"),
        )


def main() -> int:
    arguments = sys.argv[1:]
    show = arguments[arguments.index("--show") + 1] if "--show" in arguments else ""
    groups = [word for word in arguments if not word.startswith("--") and word != show]
    outcome = play(groups, show)
    sys.stdout.write(outcome.text)
    if "--log" in arguments:
        sys.stdout.write(outcome.log)
    return 0


if __name__ == "__main__":
    sys.exit(main())
