"""Real client packages against the agents API, as their users use them.

``programs/`` holds one program a package: each of its steps prints a line, with the exception
of a client where one came that the step did not ask for. See ``packages.py`` for the versions.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from locutory import Plugin
from locutory.plugins import discovery
from locutory_testing import Serve
from tests.boot.person import ENVIRONMENT, Person
from tests.clients import packages, provider
from tests.clients.labtools import LabTools

PROGRAMS = Path(__file__).with_name("programs")
NODE_PROGRAMS = ("openai_sdk", "openai_agents", "ai_sdk")


@asynccontextmanager
async def agents(serve: Serve) -> AsyncIterator[Mapping[str, str]]:
    """A server with two agents; what programs find in their environment."""
    async with provider.serving() as models:
        endpoint = {
            "name": "Fake",
            "apiKey": "key",
            "baseURL": f"{models.url}/v1",
            "models": {"default": ["quick", "slow"], "fetch": False},
        }
        yaml = {"endpoints": {"custom": [endpoint]}}
        plugins: list[str | Plugin] = [*discovery.available(), LabTools()]
        async with serve(*plugins, environment=ENVIRONMENT, yaml=yaml) as server:
            await Person(server.client).join("program@example.com")
            made = await server.client.post("/api/api-keys", json={"name": "k"})
            names = []
            for model in ("quick", "slow"):
                fields: dict[str, Any] = {
                    "name": model,
                    "provider": "Fake",
                    "model": model,
                    "tools": [],
                }
                agent = await server.client.post(
                    "/api/agents", json={**fields, "instructions": "Be brief."}
                )
                assert agent.status_code == 201, agent.text
                names.append(agent.json()["id"])
            yield {
                "CLIENTS_BASE": f"{server.url}/api/agents/v1",
                "CLIENTS_KEY": made.json()["key"],
                "CLIENTS_AGENT": names[0],
                "CLIENTS_SLOW": names[1],
                "CLIENTS_PROVIDER": models.url,
            }


async def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Run a program; its steps have to be as they should."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**inherited, "OPENAI_API_KEY": "unused", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    lines = [line for line in output.decode().splitlines() if line.startswith('{"step"')]
    steps = [json.loads(line) for line in lines]
    assert process.returncode == 0, errors.decode()[-4000:]
    assert steps
    failed = [f"{step['step']}: {step.get('error')}" for step in steps if not step["ok"]]
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("program", packages.PYTHON)
async def test_python(serve: Serve, program: str) -> None:
    try:
        python = await asyncio.to_thread(packages.python_of, program)
    except packages.NotInstalled as reason:
        pytest.skip(f"{' '.join(packages.PYTHON[program])} cannot be installed: {reason}")
    async with agents(serve) as environment:
        await run([str(python), f"{program}.py"], PROGRAMS, environment)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("program", NODE_PROGRAMS)
async def test_node(serve: Serve, tmp_path: Path, program: str) -> None:
    try:
        modules = await asyncio.to_thread(packages.node_modules)
    except packages.NotInstalled as reason:
        pytest.skip(f"{', '.join(packages.NPM)} cannot be installed: {reason}")
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    for name in ("steps.mjs", f"{program}.mjs"):
        shutil.copy(PROGRAMS / name, folder)
    async with agents(serve) as environment:
        await run([str(packages.NODE), f"{program}.mjs"], folder, environment)
