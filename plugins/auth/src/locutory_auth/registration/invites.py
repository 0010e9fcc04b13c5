"""Invitations: who has one may register although registration is closed (contract auth §6)."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from bson import ObjectId

from locutory import Database, HTTPError, now
from locutory_auth.documents import Token
from locutory_auth.registration.validation import is_missing

LIFE = timedelta(days=7)


class Invites:
    """Makes invitations and uses them up.

    Args:
        client: address of the web client.
    """

    def __init__(self, database: Database, client: str) -> None:
        self._database = database
        self._client = client.rstrip("/")

    async def invite(self, email: str) -> str:
        """An invitation for an address: the link to send there. Earlier ones stay good."""
        token = secrets.token_hex(32)
        issued = now()
        await self._database[Token].insert_one(
            {
                "_id": ObjectId(),
                "userId": ObjectId(),  # LibreChat's documents have to have one
                "email": email.strip().lower(),
                "token": _hash(token),
                "createdAt": issued,
                "expiresAt": issued + LIFE,
                "__v": 0,
            }
        )
        return f"{self._client}/register?{urlencode({'token': token})}"

    async def use_up(self, body: Mapping[str, Any]) -> bool:
        """``True`` when a registration has an invitation, which this call uses up. Raises a 400 for
        a wrong one."""
        token, email = body.get("token"), body.get("email")
        if is_missing(token) or token == "undefined":
            return False
        if isinstance(token, str) and isinstance(email, str):
            invite = {
                "token": _hash(token),
                "email": email.strip().lower(),
                "type": None,
                "expiresAt": {"$gt": now()},
            }
            if (await self._database[Token].delete_one(invite)).deleted_count:
                return True
        raise HTTPError(400, {"message": "Invalid invite token"})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
