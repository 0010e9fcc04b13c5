"""``/api/api-keys``: a user's own keys (contract api-keys §1)."""

# ruff: noqa: N815  (names of the wire)

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from bson import ObjectId
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from locutory import JSON, Can, Empty, HTTPError, Request, Route, RouteGroup, now, refusal
from locutory_agentsapi.authenticator import GROUP, KeyAuthenticator
from locutory_agentsapi.service import Keys, TooManyKeys, shown

NAME_LENGTH = 100
_ITEM = {
    "id": "64f0c2a1e4b0a1b2c3d4e5f6",
    "name": "Nightly report",
    "keyPrefix": "sk-1f2e3",
    "createdAt": "2026-01-31T12:00:00.000Z",
}
_NO_NAME = "API key name is required"
_NOT_FOUND = {"error": "API key not found"}


def _name(text: str) -> str:
    name = text.strip()
    if not name:
        raise ValueError(_NO_NAME)
    if len(name) > NAME_LENGTH:
        raise ValueError(f"API key name must be at most {NAME_LENGTH} characters")
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
        raise ValueError("expiresAt must be an ISO 8601 date")
    if moment <= now():
        raise ValueError("expiresAt must be in the future")
    return moment


class NewKey(BaseModel):
    """Body of ``POST /api/api-keys``."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description=f"What the key is for, at most {NAME_LENGTH} characters"
    )
    expiresAt: Annotated[datetime | None, BeforeValidator(_expiry)] = Field(
        None, description="When it ends; never when absent"
    )
    # Which scopes there are is known only when every plugin has named its own.
    scopes: Annotated[
        Any, WithJsonSchema({"type": ["array", "null"], "items": {"type": "string"}})
    ] = Field(None, description="What it may be used for; all when absent")


class KeyRoutes:
    """The four routes."""

    ACCESS: ClassVar = Can(GROUP, "USE")

    def __init__(self, keys: Keys, authenticator: KeyAuthenticator, max_keys: int) -> None:
        self._keys = keys
        self._authenticator = authenticator
        self._max_keys = max_keys

    def all(self) -> list[Route]:
        keys = RouteGroup("/api/api-keys", access=self.ACCESS, contract="api-keys §1")
        return [
            keys.get(
                "",
                self.list,
                "The caller's API keys, newest first",
                responses={200: {"keys": [_ITEM]}},
                failure={"error": "Failed to list API keys"},
            ),
            keys.post(
                "",
                self.create,
                "Make an API key; its text is in this answer only",
                body=NewKey,
                invalid=refusal("error", {"": _NO_NAME}),
                responses={201: {**_ITEM, "key": "sk-" + "1f2e3" + "…"}},
                failure={"error": "Failed to create API key"},
            ),
            keys.get(
                "/{key_id}",
                self.show,
                "One of the caller's API keys",
                responses={200: _ITEM, 404: _NOT_FOUND},
                failure={"error": "Failed to get API key"},
            ),
            keys.delete(
                "/{key_id}",
                self.delete,
                "Delete one of the caller's API keys, at once",
                responses={204: "Deleted", 404: _NOT_FOUND},
                failure={"error": "Failed to delete API key"},
            ),
        ]

    async def list(self, request: Request) -> Response:
        """Every key, without its text."""
        found = await self._keys.list(ObjectId(request.caller.id))
        return JSON({"keys": [shown(document) for document in found]})

    async def create(self, request: Request) -> Response:
        """A new key."""
        body, caller = request.valid(NewKey), request.caller
        try:
            document, key = await self._keys.create(
                ObjectId(caller.id),
                body.name,
                expires=body.expiresAt,
                scopes=_scopes(body.scopes, self._authenticator.scopes()),
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


def _scopes(value: Any, known: frozenset[str]) -> list[str] | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(scope, str) and scope in known for scope in value)
    ):
        text = f"scopes must be a list of some of: {', '.join(sorted(known))}"
        raise HTTPError(400, {"error": text})
    return sorted(set(value))
