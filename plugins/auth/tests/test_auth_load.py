"""Many sign-ins at once stay within a gigabyte (issue: accounts and access)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from locutory_auth.passwords import hashing

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


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are checked, one after the other."""
    found: list[str] = []
    check = hashing._fits

    def fits(password: str, stored: str) -> bool:
        found.append(password)
        return check(password, stored)

    monkeypatch.setattr(hashing, "_fits", fits)
    return found


async def test_passwords_of_callers_who_hung_up_are_not_checked(
    people: Any, checked: list[str]
) -> None:
    async with people({"LOCUTORY_ACCOUNT_FAILURES": "0", "LOGIN_MAX": "1000"}) as someone:
        await someone.register("ann@example.com")
        host, _, port = someone.server.url.removeprefix("http://").partition(":")
        body = b'{"email":"ann@example.com","password":"of nobody who waits"}'
        head = b"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        head += b"user-agent: Mozilla/5.0 Chrome/140\r\n"
        request = head + b"content-length: %d\r\n\r\n" % len(body) + body
        for _ in range(60):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            await writer.drain()
            writer.close()
        assert (await someone.login("ann@example.com")).status_code == 200
        assert checked.count("of nobody who waits") < 40  # those that ran before it hung up


async def test_the_queue_of_passwords_is_bounded(
    people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "LONGEST_QUEUE", 3)
    async with people({"LOCUTORY_ACCOUNT_FAILURES": "0", "LOGIN_MAX": "1000"}) as someone:
        await someone.register("ann@example.com")
        answers = await asyncio.gather(*(someone.login("ann@example.com") for _ in range(20)))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} == {200, 503}
        assert refused[0].headers["retry-after"] == "10"
        assert "try again" in refused[0].json()["message"]
        assert (await someone.login("ann@example.com")).status_code == 200
