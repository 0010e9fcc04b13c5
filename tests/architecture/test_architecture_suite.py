"""What a test run itself promises."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SKIPPING = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_that_needs_a_program(number):
    pytest.skip("the program is not installed: apt-get install program")

@pytest.mark.skip(reason="the moon is not full")
def test_at_full_moon():
    pass

def test_that_runs():
    pass
"""


def test_the_last_lines_say_what_was_skipped_and_why(tmp_path: Path) -> None:
    """Once each reason, however many tests it kept from running."""
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, second, first, total = done.stdout.strip().splitlines()
    file = "test_skipping.py"
    assert second == f"skipped 1 test: the moon is not full ({file})"
    reason = "the program is not installed: apt-get install program"
    assert first == f"skipped 2 tests: {reason} ({file})"
    assert total.startswith("1 passed, 3 skipped")


def test_locutory_requires_every_bundled_plugin() -> None:
    """What ``make install`` and ``pip install locutory`` bring is the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    plugins = (ROOT / "plugins").glob("*/pyproject.toml")
    wanted = {tomllib.loads(each.read_text("utf-8"))["project"]["name"] for each in plugins}
    ours = {"locutory-kernel", "locutory-contracts", "locutory-redis", "locutory-sqlite"}
    ours |= {"locutory-debounce", "locutory-resources"}
    assert set(project["dependencies"]) == ours | wanted
