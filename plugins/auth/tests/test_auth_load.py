"""Many sign-ins at once stay within a gigabyte (issue: accounts and access)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

GIGABYTE = 1 << 30


def resident() -> int:
    """Bytes of memory that this process holds."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("rehash", ["false", "true"])
async def test_a_hundred_sign_ins_stay_within_a_gigabyte(people: Any, rehash: str) -> None:
    """Also with Argon2, which takes its memory for each password that is hashed at once."""
    async with people({"LOCUTORY_ACCOUNT_FAILURES": "0", "PASSWORD_REHASH": rehash}) as someone:
        for number in range(4):
            await someone.register(f"ann{number}@example.com")
        async with someone.server.connect() as client:
            client.timeout = 110  # of a machine that others keep busy
            tasks = [
                asyncio.create_task(someone.login(f"ann{number % 4}@example.com", client=client))
                for number in range(100)
            ]
            most = resident()
            while not all(task.done() for task in tasks):
                most = max(most, resident())
                await asyncio.sleep(0.01)
        assert {task.result().status_code for task in tasks} == {200}
        assert most < GIGABYTE, f"{most >> 20} MB"
