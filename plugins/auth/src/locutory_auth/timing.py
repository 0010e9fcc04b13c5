"""Responses whose duration reveals nothing."""

import asyncio
import time

BEAT_SECONDS = 0.25


async def on_the_beat(started: float) -> None:
    """Wait for the next beat since ``started`` (of `time.monotonic`). The few milliseconds of a
    write would reveal who has an account; responses on the beat look the same in both cases."""
    await asyncio.sleep(BEAT_SECONDS - (time.monotonic() - started) % BEAT_SECONDS)
