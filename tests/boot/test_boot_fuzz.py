"""schemathesis over every route, signed in and anonymous: nothing ends in a 5xx of ours."""

import asyncio
import sys
from pathlib import Path

import pytest

from locutory.plugins import discovery
from locutory_testing import Serve
from tests.boot.person import ENVIRONMENT, Person, custom_endpoint

# A 500 or 503 that the contract itself states for these inputs.
STATED = ("/api/files/speech/tts/voices",)
# Would end the session of the run, or wait on purpose.
LEFT_OUT = ("/api/user/delete", "/api/auth/logout", "/api/convos/gen_title/{conversation_id}")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "anonymous"])
async def test_no_input_ends_in_a_server_error(
    serve: Serve, fake_model: str, tmp_path: Path, signed_in: bool
) -> None:
    limits = {"LOGIN_MAX": "100000", "REGISTER_MAX": "100000"}
    async with serve(
        *discovery.available(),
        environment={**ENVIRONMENT, **limits},
        yaml=custom_endpoint(fake_model),
    ) as server:
        person = await Person(server.client).join("fuzz@example.com")
        skipped = [*STATED, *(LEFT_OUT if signed_in else ())]
        command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
        command += [f"{server.url}/api/openapi.json", "--checks", "not_a_server_error"]
        command += ["--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "1"]
        # How fast it answers is not the question here, so the timeout allows for a busy machine.
        command += ["--workers", "2", "--request-timeout", "120", "--no-color"]
        command += ["--continue-on-failure"]
        command += ["--suppress-health-check", "all"]
        for path in skipped:
            command += ["--exclude-path", path]
        if signed_in:
            command += ["-H", f"Authorization: {person.client.headers['authorization']}"]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        # The failures come first, then long advice on coverage.
        failures, _, advice = output.decode().partition("= WARNINGS =")
        assert process.returncode == 0, f"{failures[-20_000:]}{advice[-1_000:]}"
        assert (await server.client.get("/health")).text == "OK"
