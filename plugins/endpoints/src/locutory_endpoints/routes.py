"""``/api/endpoints``, ``/api/models`` and ``/api/keys``."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, BadRequest, Empty, HTTPError, Request, Route, SignedIn
from locutory_endpoints.keystore import KeyStore
from locutory_endpoints.service import ModelCatalogue

_LONGEST_NAME = 500
_LONGEST_VALUE = 65_536
_KEYS_FAILURE = "An unknown error occurred."


class KeyBody(BaseModel):
    """A provider key of the user (keys §1.2)."""

    name: str = Field(description="Endpoint that the key is for")
    value: str = Field(description="Key as the endpoint wants it (keys §2)")
    expiresAt: str | None = Field(None, description="ISO date; empty: never")  # noqa: N815


def moment(text: str | None) -> datetime | None:
    """An expiry of the client; ``None`` for never. 400 for what is no date."""
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadRequest("expiresAt must be a date", "INVALID_BODY") from None


class Routes:
    """Handlers over the catalogue and the key store."""

    def __init__(self, catalogue: ModelCatalogue, keys: KeyStore) -> None:
        self._catalogue = catalogue
        self._keys = keys

    def all(self) -> Iterable[Route]:
        """Every route of the plugin."""
        access = SignedIn()
        return (
            Route(
                path="/api/endpoints",
                endpoint=self.endpoints,
                access=access,
                summary="Endpoints for the model picker",
                responses={200: "endpoint → entry"},
                contract="endpoints §1",
            ),
            Route(
                path="/api/endpoints/token-config",
                endpoint=self.token_config,
                access=access,
                summary="Context windows and prices of the models",
                responses={200: "endpoint → model → {context, prompt, completion, …}"},
                failure={"error": "Failed to resolve token config"},
                contract="endpoints §2",
            ),
            Route(
                path="/api/models",
                endpoint=self.models,
                access=access,
                summary="Model names by endpoint",
                responses={200: "endpoint → names"},
                failure={"error": "The model lists could not be loaded"},
                contract="models §1",
            ),
            Route(
                path="/api/keys",
                endpoint=self.expiry,
                access=access,
                summary="When the user's key for an endpoint expires",
                responses={200: {"expiresAt": "2030-01-01T00:00:00.000Z"}},
                failure=_KEYS_FAILURE,
                contract="keys §1.1",
            ),
            Route(
                path="/api/keys",
                endpoint=self.put,
                methods=("PUT",),
                access=access,
                summary="Store a provider key of the user",
                body_schema=KeyBody,
                responses={201: "empty", 400: "wrong body"},
                failure=_KEYS_FAILURE,
                contract="keys §1.2",
            ),
            Route(
                path="/api/keys",
                endpoint=self.delete_all,
                methods=("DELETE",),
                access=access,
                summary="Delete every key of the user (all=true)",
                responses={204: "empty", 400: "all is not true"},
                failure=_KEYS_FAILURE,
                contract="keys §1.3",
            ),
            Route(
                path="/api/keys/{name}",
                endpoint=self.delete,
                methods=("DELETE",),
                access=access,
                summary="Delete the user's key for an endpoint",
                responses={204: "empty"},
                failure=_KEYS_FAILURE,
                contract="keys §1.3",
            ),
        )

    async def endpoints(self, request: Request) -> Response:
        """The picker. Express sends it as HTML text; so do we, byte for byte JSON."""
        body = await self._catalogue.entries_body(request.caller)
        return Response(body, media_type="text/html; charset=utf-8")

    async def token_config(self, request: Request) -> Response:
        return JSON(await self._catalogue.token_config_body(request.caller))

    async def models(self, request: Request) -> Response:
        return JSON(await self._catalogue.models_body(request.caller))

    async def expiry(self, request: Request) -> Response:
        """A date, ``"never"``, or null: the client asks for ever without the member."""
        name = request.query_text("name")
        found: Any = None
        if name and len(name) <= _LONGEST_NAME:
            found = await self._keys.expiry(request.caller.id, name)
        return JSON({"expiresAt": found})

    async def put(self, request: Request) -> Response:
        """Store a key; the value is opaque and never comes back."""
        if not isinstance(request.payload, dict):
            raise HTTPError(400, {"error": "Invalid request body."})
        name, value = request.text("name"), request.text("value")
        if not name or not value:
            raise BadRequest("name and value are needed", "INVALID_BODY")
        if len(name) > _LONGEST_NAME or len(value) > _LONGEST_VALUE:
            raise BadRequest("name or value is too long", "INVALID_BODY")
        await self._keys.put(request.caller.id, name, value, moment(request.text("expiresAt")))
        return Empty(201)

    async def delete(self, request: Request) -> Response:
        await self._keys.delete(request.caller.id, request.path_params["name"])
        return Empty(204)

    async def delete_all(self, request: Request) -> Response:
        if request.query_text("all") != "true":
            raise HTTPError(400, {"error": "Specify either all=true to delete."})
        await self._keys.delete(request.caller.id)
        return Empty(204)
