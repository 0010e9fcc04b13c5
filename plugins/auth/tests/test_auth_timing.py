"""Known and unknown addresses cost the same work (security §2, §12).

Measured is the processor time of this process, in turns and by its median, so that other
programs of the machine hardly count. A round in which they did may be repeated.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

import bcrypt
import pytest
from bson import ObjectId

from locutory_auth.timing import BEAT_SECONDS

PASSWORD_AS_STORED = bcrypt.hashpw(b"password123", bcrypt.gensalt(10)).decode()
PAIRS = 15
ROUNDS = 4


async def ratio(
    known: Callable[[], Awaitable[Any]], unknown: Callable[[], Awaitable[Any]]
) -> float:
    """Work for the known over work for the unknown: the nearest to 1 of a few rounds."""

    async def cost(call: Callable[[], Awaitable[Any]]) -> float:
        before = time.process_time()
        await call()
        return time.process_time() - before

    await cost(known)
    await cost(unknown)
    found: list[float] = []
    for _ in range(ROUNDS):
        pairs = [(await cost(known), await cost(unknown)) for _ in range(PAIRS)]
        first, second = (statistics.median(side) for side in zip(*pairs, strict=True))
        found.append(first / second)
        if 0.9 < found[-1] < 1.1:
            break
    return min(found, key=lambda each: abs(each - 1))


@pytest.mark.slow
@pytest.mark.parametrize("rehash", ["false", "true"])
async def test_signing_in(people: Any, rehash: str) -> None:
    """Within ten in a hundred, also for accounts without a password."""
    free = {"PASSWORD_REHASH": rehash, "LOCUTORY_ACCOUNT_FAILURES": "0"}
    async with people(free) as someone:
        if rehash == "true":
            await someone.register("ann@example.com", username="ann")
        else:
            await someone.add("ann@example.com", password=PASSWORD_AS_STORED)
        await someone.add("social@example.com", password=None, provider="google")
        for known in ("ann@example.com", "social@example.com"):
            found = await ratio(
                partial(someone.login, known, "wrongwrong1"),
                lambda: someone.login("nobody@example.com", "wrongwrong1"),
            )
            assert 0.9 < found < 1.1, (known, found)


@pytest.mark.slow
async def test_links_of_letters(people: Any, mailbox: Any) -> None:
    """Whether somebody waits for a letter cannot be told by following links."""
    environment = {**mailbox.settings, "ALLOW_PASSWORD_RESET": "true"}
    environment |= {"RESET_PASSWORD_SUBMISSION_MAX": "1000"}
    async with people(environment) as someone:
        await someone.register("ann@example.com")
        await mailbox.next()
        ann = (await someone.account("ann@example.com"))["_id"]
        await someone.post("/api/auth/requestPasswordReset", {"email": "ann@example.com"})
        await mailbox.next(2)

        async def verify(email: str) -> None:
            body = {"email": email, "token": "0" * 64}
            assert (await someone.post("/api/user/verify", body)).status_code == 400

        async def reset(user: ObjectId) -> None:
            body = {"userId": str(user), "token": "0" * 64, "password": "new password 1"}
            answer = await someone.post("/api/auth/resetPassword", body)
            assert answer.status_code == 400, answer.text

        found = await ratio(lambda: verify("ann@example.com"), lambda: verify("no@example.com"))
        assert 0.85 < found < 1.15, found
        found = await ratio(lambda: reset(ann), lambda: reset(ObjectId()))
        assert 0.85 < found < 1.15, found


@pytest.mark.slow
async def test_answers_leave_on_the_beat(people: Any, mailbox: Any) -> None:
    """Registration and letters take whole beats, whether somebody has the address or not."""
    environment = {**mailbox.settings, "ALLOW_PASSWORD_RESET": "true"}
    names = ("RESET_PASSWORD_SUBMISSION_MAX", "VERIFY_EMAIL_MAX", "REGISTER_MAX")
    environment |= dict.fromkeys(names, "1000")
    async with people(environment) as someone:
        await someone.register("ann@example.com")
        strangers = count()
        paths = ("/api/auth/requestPasswordReset", "/api/user/verify/resend")
        calls = [lambda email, path=path: someone.post(path, {"email": email}) for path in paths]
        for call in (someone.register, *calls):

            async def seconds(email: str, call: Any = call) -> float:
                started = time.monotonic()
                assert (await call(email)).status_code == 200
                return time.monotonic() - started

            pairs = [
                (await seconds("ann@example.com"), await seconds(f"x{next(strangers)}@example.com"))
                for _ in range(5)
            ]
            known, unknown = (min(side) for side in zip(*pairs, strict=True))
            assert known >= BEAT_SECONDS * 0.9
            assert unknown >= BEAT_SECONDS * 0.9
            assert 0.5 < known / unknown < 2


@pytest.mark.slow
async def test_a_hundred_sign_ins_leave_the_server_responsive(people: Any) -> None:
    """p95 of /health stays below ten times its idle value, or 50 ms."""

    async def health(someone: Any) -> float:
        started = time.perf_counter()
        assert (await someone.server.client.get("/health")).status_code == 200
        return time.perf_counter() - started

    def p95(samples: list[float]) -> float:
        return statistics.quantiles(samples, n=20)[-1]

    async with people({"LOCUTORY_ACCOUNT_FAILURES": "0"}) as someone:
        for number in range(10):
            await someone.register(f"ann{number}@example.com")
        idle = [await health(someone) for _ in range(40)]
        tasks = [
            asyncio.create_task(someone.login(f"ann{number % 10}@example.com"))
            for number in range(100)
        ]
        busy = []
        while not all(task.done() for task in tasks):
            busy.append(await health(someone))
            await asyncio.sleep(0.005)
        assert {task.result().status_code for task in tasks} == {200}
        assert len(busy) > 20
        assert p95(busy) < max(10 * p95(idle), 0.05), (p95(busy), p95(idle))
