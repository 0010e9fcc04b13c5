"""Real identity providers, each started when a test asks for it and stopped by its id."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.identity.lemonldap import LemonLdap, missing_modules, start_lemonldap
from tests.identity.simplesamlphp import WWW, SimpleSaml, start_simplesaml
from tests.oracle.node import MODULES, node

HERE = Path(__file__).parent


@pytest.fixture
def running() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``running([program, …], …)``: a process that is stopped after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, text=True, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.terminate()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


Running = Callable[..., subprocess.Popen[str]]


@dataclass(slots=True)
class OpenIdProvider:
    """An OpenID provider that runs."""

    issuer: str

    def settings(self, client: dict[str, Any], **more: str) -> dict[str, str]:
        """The environment of a server that is this client."""
        return {
            "OPENID_CLIENT_ID": client["client_id"],
            "OPENID_CLIENT_SECRET": client["client_secret"],
            "OPENID_ISSUER": self.issuer,
            "OPENID_SCOPE": "openid profile email",
            "OPENID_SESSION_SECRET": "secret-of-the-session",
            **more,
        }


@pytest.fixture
def oidc_provider(running: Running, tmp_path: Path) -> Callable[..., OpenIdProvider]:
    """``oidc_provider(people, clients)``: the npm package of this name, with claims by
    subject, and clients as it configures them."""
    if not (MODULES / "oidc-provider").exists():
        pytest.skip("npm's oidc-provider is not installed; make test installs it")

    def start(people: dict[str, Any], *clients: dict[str, Any]) -> OpenIdProvider:
        folder = tmp_path / "oidc-provider"
        folder.mkdir()
        (folder / "node_modules").symlink_to(MODULES)
        shutil.copy(HERE / "provider.mjs", folder)
        process = running(
            [node(), "provider.mjs"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        json.dump({"people": people, "clients": clients}, process.stdin)
        process.stdin.close()
        issuer = process.stdout.readline().strip()
        assert issuer, "oidc-provider did not start"
        return OpenIdProvider(issuer)

    return start


@pytest.fixture
def simplesaml(running: Running, tmp_path: Path) -> Callable[..., SimpleSaml]:
    """``simplesaml(people, **metadata)``: SimpleSAMLphp, with attributes by user name."""
    if not WWW.exists() or shutil.which("php") is None:
        pytest.skip("SimpleSAMLphp is not installed: tests/install.sh")
    folder = tmp_path / "simplesaml"
    folder.mkdir()
    return partial(start_simplesaml, running, folder)


@pytest.fixture
def lemonldap(running: Running, tmp_path: Path) -> Callable[..., LemonLdap]:
    """``lemonldap(claims, **options)``: LemonLDAP::NG; see `start_lemonldap`."""
    if missing_modules():
        pytest.skip(f"Perl lacks {missing_modules()}: tests/install.sh")
    folder = tmp_path / "lemonldap"
    folder.mkdir()
    return partial(start_lemonldap, running, folder)
