"""Requests whose answers are read by the caller, whatever their status and form."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson

from locutory_oauth.outbound import SECONDS, Outbound, Unreachable, reason_of


@dataclass(frozen=True, slots=True)
class Received:
    """An answer. ``kind`` is its media type, in lower case and without parameters."""

    status: int
    kind: str
    body: bytes = field(repr=False)

    def object(self) -> Mapping[str, Any] | None:
        """The JSON object of the body; ``None`` when it holds anything else."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None


async def receive(
    outbound: Outbound,
    url: str,
    what: str,
    *,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
) -> Received:
    """The answer to a GET, or to a POST of ``form``. `Unreachable`, with the name ``what``,
    when there is none or it is too long."""
    method = "GET" if form is None else "POST"
    try:
        async with asyncio.timeout(SECONDS), outbound.client() as client:
            response = await client.request(method, url, headers=dict(headers), data=form)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        raise Unreachable(f"{what}: {reason_of(error)}") from error
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Received(response.status_code, kind, response.content)
