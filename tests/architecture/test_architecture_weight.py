"""What an idle server does not carry."""

import subprocess
import sys
import textwrap

HEAVY = ("redis", "authlib", "onelogin", "ldap3", "re2", "jsonschema_rs", "schemathesis", "lxml")


def test_heavy_libraries_are_not_imported_until_they_are_used() -> None:
    """Memory of an idle server is a promise; these cost up to 20 MB each."""
    script = textwrap.dedent(
        f"""
        import sys
        from locutory.config.configuration import Sources
        from locutory.run.kernel import build
        secrets = {{"JWT_SECRET": "x" * 32, "JWT_REFRESH_SECRET": "y" * 32,
                   "CREDS_KEY": "00" * 32, "CREDS_IV": "00" * 16}}
        build(Sources(secrets, {{}}))
        print(" ".join(name for name in {HEAVY!r} if name in sys.modules))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
