"""LibreChat's own data service and schemas accept our answers.

The packages of package.json are installed by ``make`` into ``.venv/oracle``.
"""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from tests.oracle.node import MODULES, node

from locutory.plugins import discovery
from locutory_testing import Serve

HERE = Path(__file__).parent


@pytest.mark.parametrize(("script", "count"), [("drive.mjs", 30), ("features.mjs", 18)])
async def test_the_clients_data_service_accepts_our_answers(
    serve: Serve, fake_model: str, tmp_path: Path, script: str, count: int
) -> None:
    if not (MODULES / "librechat-data-provider").exists():
        pytest.skip("librechat-data-provider is not installed; make test installs it")
    (tmp_path / "node_modules").symlink_to(MODULES)
    for name in ("driver.mjs", script, "package.json"):
        shutil.copy(HERE / name, tmp_path)
    yaml = {
        "endpoints": {
            "custom": [
                {
                    "name": "Fake",
                    "apiKey": "key",
                    "baseURL": fake_model,
                    "models": {"default": ["fake"], "fetch": False},
                    "titleConvo": False,
                }
            ]
        }
    }
    environment = {"ALLOW_REGISTRATION": "true", "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true"}
    async with serve(*discovery.available(), environment=environment, yaml=yaml) as server:
        process = await asyncio.create_subprocess_exec(
            node(),
            script,
            server.url,
            "Fake",
            "fake",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    steps = [json.loads(line) for line in output.decode().splitlines()]
    assert process.returncode == 0, errors.decode()
    assert len(steps) > count
    assert not [step for step in steps if not step["ok"]]
