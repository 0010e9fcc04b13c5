"""Answers whose time tells nothing."""

import asyncio
import time

BEAT_SECONDS = 0.25


async def on_the_beat(started: float) -> None:
    """Wait for the next beat since ``started`` (of `time.monotonic`).

    The few milliseconds that writing takes would tell who has an account. Answers that leave
    on the beat look the same in both cases.
    """
    await asyncio.sleep(BEAT_SECONDS - (time.monotonic() - started) % BEAT_SECONDS)
