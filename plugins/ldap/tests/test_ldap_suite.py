"""What every plugin must hold, and what this one promises about start-up."""

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from locutory import ServiceMissing
from locutory_contracts.sign_in import PASSWORD_CHECKS
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_testing import Serve
from locutory_testing.suite import PluginSuite


class TestLdap(PluginSuite):
    plugin: ClassVar[str] = "ldap"
    readme: ClassVar[Path] = Path(__file__).parents[1] / "README.md"


CONFIGURED = {"LDAP_URL": "ldap://127.0.0.1:9", "LDAP_USER_SEARCH_BASE": "dc=example,dc=com"}


async def test_off_until_it_is_configured(serve: Serve) -> None:
    """Local passwords are tried only while nobody offers a check."""
    half = {"LDAP_URL": "ldap://127.0.0.1:9"}
    for environment in ({}, half):
        async with serve("ldap", environment=environment) as server:
            assert not server.kernel.services.all(PASSWORD_CHECKS)
            assert not server.kernel.services.all(STARTUP_CONFIG)


async def test_startup_members(serve: Serve) -> None:
    for more, ldap in (
        ({}, {"enabled": True}),
        ({"LDAP_LOGIN_USES_USERNAME": "true"}, {"enabled": True, "username": True}),
    ):
        async with serve("ldap", environment={**CONFIGURED, **more}) as server:
            entry = server.kernel.services.named(STARTUP_CONFIG, "ldap")
            assert entry is not None
            assert entry.everyone() == {"ldap": ldap}


async def test_without_accounts(serve: Serve, slapd: Any) -> None:
    async with serve("ldap", environment=slapd.settings()) as server:
        check = server.kernel.services.named(PASSWORD_CHECKS, "ldap")
        assert check is not None
        with pytest.raises(ServiceMissing):
            await check.check("ada", "ada-password")


async def test_advice(serve: Serve, slapd: Any, capsys: Any) -> None:
    async with serve("ldap", environment={**CONFIGURED}):
        text = capsys.readouterr().out
        assert "the directory does not answer" in text
        assert "set LDAP_STARTTLS=true" in text
    unchecked = slapd.settings(LDAP_STARTTLS="true", LDAP_CA_CERT_PATH=str(slapd.folder / "ca.crt"))
    async with serve("ldap", environment=unchecked):
        text = capsys.readouterr().out
        assert "the directory does not answer" not in text
        assert "set LDAP_TLS_REJECT_UNAUTHORIZED=true" in text


PROGRAM = """
import sys
from pathlib import Path
from locutory.config.configuration import Sources
from locutory.run.kernel import Kernel
from locutory_testing.server import SECRETS
from locutory_ldap.plugin import LdapPlugin
Kernel(Sources(SECRETS, {}), [LdapPlugin()], data_dir=Path(sys.argv[1]))
print("ldap3" in sys.modules)
"""


def test_nothing_heavy_is_loaded_until_it_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
