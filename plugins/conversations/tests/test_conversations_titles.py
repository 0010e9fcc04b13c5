"""The hand-over of generated titles (contract convos §2.3)."""

import asyncio
import re
import time
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from locutory_contracts.conversations import TITLE_NAMESPACE
from locutory_testing.waiting import until

QUICK = {"plugins": {"conversations": {"title_hold_seconds": 0.3}}}


async def put(world: Any, user: str, conversation_id: str, title: str) -> None:
    cache = world.server.kernel.cache
    await cache.set(TITLE_NAMESPACE, f"{user}-{conversation_id}", title, 120)


async def test_a_title_is_given_once(open_world: Any) -> None:
    async with open_world(yaml=QUICK) as world:
        conversation_id = str(uuid4())
        path = f"/api/convos/gen_title/{conversation_id}"
        await put(world, world.alice.id, conversation_id, "A title")
        assert (await world.bob.get(path)).status_code == 404
        answer = await world.alice.get(path)
        assert (answer.status_code, answer.json()) == (200, {"title": "A title"})
        started = time.monotonic()
        answer = await world.alice.get(path)
        assert time.monotonic() - started >= 0.3
        assert answer.status_code == 404
        assert answer.json() == {
            "message": "Title not found or method not implemented for the conversation's endpoint"
        }


async def test_the_request_waits_for_the_title(world: Any) -> None:
    conversation_id = str(uuid4())
    waiting = asyncio.create_task(world.alice.get(f"/api/convos/gen_title/{conversation_id}"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await put(world, world.alice.id, conversation_id, "Late")
    assert (await waiting).json() == {"title": "Late"}


async def test_the_wait_ends_with_the_client(world: Any) -> None:
    """A client that hangs up frees the request, and the title stays for the next one."""
    conversation_id = str(uuid4())

    async def left() -> bool:
        with pytest.raises(httpx2.TimeoutException):
            await world.alice.call("GET", f"/api/convos/gen_title/{conversation_id}", timeout=0.5)
        text = world.server.kernel.metrics.text().decode()
        # Either way the request has ended, long before the title's time was over.
        return bool(re.search(r'gen_title/{conversation_id}",status="(404|499)"', text))

    await until(left)
    await asyncio.sleep(1)  # for the last of those that were begun
    await put(world, world.alice.id, conversation_id, "Kept")
    await asyncio.sleep(1.2)
    answer = await world.alice.get(f"/api/convos/gen_title/{conversation_id}")
    assert answer.json() == {"title": "Kept"}
