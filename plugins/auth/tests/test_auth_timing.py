"""Known and unknown addresses cost the same work (security §2, §12).

Measured is the processor time of this process, in turns and by its median, so that other
programs of the machine hardly count. A round in which they did may be repeated.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import bcrypt
import pytest
from bson import ObjectId

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
                lambda email=known: someone.login(email, "wrongwrong1"),
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
