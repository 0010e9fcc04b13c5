"""Avatars that are stored on this server."""

from collections.abc import Mapping
from typing import Protocol

from locutory import Service


class Avatars(Protocol):
    """Stores avatars of users."""

    async def fetch(
        self, user_id: str, name: str, url: str, headers: Mapping[str, str]
    ) -> str | None:
        """Fetch a picture, crop it to a square, store it as ``name``, and return its address on
        this server, or ``None`` when that fails. ``headers`` are sent to the origin of ``url``
        only. ``url`` comes from outside, so an implementation must guard against internal
        addresses."""
        ...


AVATARS: Service[Avatars] = Service("files.avatars", "Stored pictures of people")
