"""What the README shows works as it stands there."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from locutory.plugins import discovery
from locutory_testing import Serve

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


async def test_the_chat_by_hand(serve: Serve) -> None:
    """Register, sign in, ask the Guide, read its answer."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("curl or bash is not installed: apt-get install curl")
    (script,) = re.findall(r"```bash\n(server=.*?)```", README, re.DOTALL)
    async with serve(*discovery.available()) as server:
        script = script.replace("http://localhost:3080", server.url)
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert '"final":true' in out.decode()


def test_one_version_of_the_configuration() -> None:
    """The README, the Guide and the examples show the same ``version``."""
    texts = [README]
    for folder in ("docs", "config", "plugins"):
        texts += [
            path.read_text("utf-8")
            for path in (ROOT / folder).rglob("*")
            if path.suffix in {".md", ".yaml", ".py"} and "tests" not in path.parts
        ]
    shown = {
        found for text in texts for found in re.findall(r"^version: (1\.\d+\.\d+)$", text, re.M)
    }
    assert len(shown) == 1, shown
