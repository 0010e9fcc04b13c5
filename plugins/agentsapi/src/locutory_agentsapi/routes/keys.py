"""``/api/api-keys``: a user's own keys (contract api-keys §1)."""

# ruff: noqa: N815  (names of the wire)

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from bson import ObjectId
from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, Can, Empty, HTTPError, Request, Route, now
from locutory_agentsapi.authenticator import GROUP, KeyAuthenticator
from locutory_agentsapi.service import Keys, TooManyKeys, shown

NAME_LENGTH = 100
_ITEM = {
    "id": "64f0c2a1e4b0a1b2c3d4e5f6",
    "name": "Nightly report",
    "keyPrefix": "sk-1f2e3",
    "createdAt": "2026-01-31T12:00:00.000Z",
}
_NOT_FOUND = {"error": "API key not found"}


class NewKey(BaseModel):
    """Body of ``POST /api/api-keys``."""

    name: str = Field(description="What the key is for", min_length=1, max_length=NAME_LENGTH)
    expiresAt: datetime | None = Field(None, description="When it ends; never when absent")
    scopes: list[str] | None = Field(None, description="What it may be used for; all when absent")


class KeyRoutes:
    """The four routes."""

    ACCESS: ClassVar = Can(GROUP, "USE")

    def __init__(self, keys: Keys, authenticator: KeyAuthenticator, max_keys: int) -> None:
        self._keys = keys
        self._authenticator = authenticator
        self._max_keys = max_keys

    def all(self) -> list[Route]:
        refusal = {"message": "Forbidden: Insufficient permissions"}
        return [
            Route(
                path="/api/api-keys",
                endpoint=self.list,
                access=self.ACCESS,
                summary="The caller's API keys, newest first",
                contract="api-keys §1",
                responses={200: {"keys": [_ITEM]}, 403: refusal},
                failure={"error": "Failed to list API keys"},
            ),
            Route(
                path="/api/api-keys",
                methods=("POST",),
                endpoint=self.create,
                access=self.ACCESS,
                summary="Make an API key; its text is in this answer only",
                contract="api-keys §1",
                body_schema=NewKey,
                responses={
                    201: {**_ITEM, "key": "sk-" + "1f2e3" + "…"},
                    400: {"error": "API key name is required"},
                    403: refusal,
                },
                failure={"error": "Failed to create API key"},
            ),
            Route(
                path="/api/api-keys/{key_id}",
                endpoint=self.show,
                access=self.ACCESS,
                summary="One of the caller's API keys",
                contract="api-keys §1",
                responses={200: _ITEM, 403: refusal, 404: _NOT_FOUND},
                failure={"error": "Failed to get API key"},
            ),
            Route(
                path="/api/api-keys/{key_id}",
                methods=("DELETE",),
                endpoint=self.delete,
                access=self.ACCESS,
                summary="Delete one of the caller's API keys, at once",
                contract="api-keys §1",
                responses={204: "Deleted", 403: refusal, 404: _NOT_FOUND},
                failure={"error": "Failed to delete API key"},
            ),
        ]

    async def list(self, request: Request) -> Response:
        """Every key, without its text."""
        found = await self._keys.list(ObjectId(request.caller.id))
        return JSON({"keys": [shown(document) for document in found]})

    async def create(self, request: Request) -> Response:
        """A new key."""
        body = request.payload if isinstance(request.payload, Mapping) else {}
        caller = request.caller
        try:
            document, key = await self._keys.create(
                ObjectId(caller.id),
                _name(body.get("name")),
                expires=_expiry(body.get("expiresAt")),
                scopes=_scopes(body.get("scopes"), self._authenticator.scopes(request)),
                tenant=caller.tenant,
            )
        except TooManyKeys:
            text = f"You have {self._max_keys} API keys already; delete one first"
            return JSON({"error": text}, 400)
        return JSON({**shown(document), "key": key}, 201)

    async def show(self, request: Request) -> Response:
        """One key. An id of another form is a key that nobody has."""
        key_id = _object_id(request)
        found = key_id and await self._keys.find(ObjectId(request.caller.id), key_id)
        return JSON(shown(found)) if found else JSON(_NOT_FOUND, 404)

    async def delete(self, request: Request) -> Response:
        """Delete one key."""
        key_id = _object_id(request)
        if key_id and await self._keys.delete(ObjectId(request.caller.id), key_id):
            return Empty(204)
        return JSON(_NOT_FOUND, 404)


def _object_id(request: Request) -> ObjectId | None:
    text = request.path_params["key_id"]
    return ObjectId(text) if ObjectId.is_valid(text) else None


def _refuse(text: str) -> HTTPError:
    return HTTPError(400, {"error": text})


def _name(value: Any) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not name:
        raise _refuse("API key name is required")
    if len(name) > NAME_LENGTH:
        raise _refuse(f"API key name must be at most {NAME_LENGTH} characters")
    return name


def _expiry(value: Any) -> datetime | None:
    """A moment to come; ``None`` for null, empty text or nothing."""
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None:
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise _refuse("expiresAt must be an ISO 8601 date")
    if moment <= now():
        raise _refuse("expiresAt must be in the future")
    return moment


def _scopes(value: Any, known: frozenset[str]) -> list[str] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(scope, str) and scope in known for scope in value)
    ):
        raise _refuse(f"scopes must be a list of some of: {', '.join(sorted(known))}")
    return sorted(set(value))
