"""What is most of all about the database, with a server that speaks MongoDB's protocol in the place
of the built-in one: each suite in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITES = {
    "kernel": (
        "packages/credentials/tests/test_credentials_secrets.py",
        "kernel/tests/test_kernel_events.py",
    ),
    "documents": (
        "tests/architecture/test_architecture_tutorial.py",
        "tests/boot/test_boot_indexes.py",
        "tests/boot/test_librechat_database.py",
    ),
    "auth": ("plugins/auth/tests",),
    "conversations": ("plugins/conversations/tests",),
    "roles": ("plugins/roles/tests",),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from locutory_secantus.testing import server

    with server(tmp_path_factory.mktemp("server")) as uri:
        yield uri


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("suite", SUITES)
def test_the_same_on_a_server(address: str, suite: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", "not slow", *SUITES[suite]],
        cwd=ROOT,
        env={**os.environ, "LOCUTORY_TEST_MONGO_URI": address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
