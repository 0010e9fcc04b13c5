"""Writes constraints.txt: one version of every dependency of every distribution.

Needs ``uv`` (in the extra ``dev``). The file names no index, so that it holds anywhere.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = '# Versions that every install and test uses. Made by "make constraints"; names no index.\n'


def requirements() -> list[str]:
    """What our distributions require from others."""
    found = {"editables"}  # hatchling's own need, for installs from the sources
    for folder in (
        ROOT,
        ROOT / "kernel",
        ROOT / "contracts",
        *ROOT.glob("packages/*"),
        *ROOT.glob("plugins/*"),
    ):
        file = folder / "pyproject.toml"
        if not file.exists():
            continue
        document = tomllib.loads(file.read_text("utf-8"))
        found.update(document.get("build-system", {}).get("requires", ()))
        if not document.get("tool", {}).get("locutory", {}).get("bundled", True):
            continue  # such a package names exact versions itself
        project = document["project"]
        found.update(project.get("dependencies", ()))
        for extra in project.get("optional-dependencies", {}).values():
            found.update(extra)
    return sorted(item for item in found if not item.startswith("locutory"))


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        wanted = Path(name) / "requirements.in"
        wanted.write_text("\n".join(requirements()) + "\n", "utf-8")
        options = ["--universal", "--python-version", "3.11", "--no-emit-index-url"]
        options += ["--no-header", "--no-annotate", "--quiet"]
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "uv", "pip", "compile", *options, str(wanted)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.stderr.write(done.stderr)
        return 1
    (ROOT / "constraints.txt").write_text(HEAD + done.stdout, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
