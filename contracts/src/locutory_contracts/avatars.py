"""Pictures of people that are kept here."""

from collections.abc import Mapping
from typing import Protocol

from locutory import Service


class Avatars(Protocol):
    """Stores pictures of people."""

    async def fetch(
        self, user_id: str, name: str, url: str, headers: Mapping[str, str]
    ) -> str | None:
        """Fetch a picture, cut it to a square, store it as ``name``; its address here, or
        ``None`` when it cannot be had. ``headers`` are for the origin of ``url`` only; the
        address comes from outside and must be guarded."""
        ...


AVATARS: Service[Avatars] = Service("files.avatars", "Stored pictures of people")
