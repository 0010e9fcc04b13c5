"""``/api/endpoints``, ``/api/models`` and ``/api/keys``."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.responses import Response

from locutory import JSON, Empty, HTTPError, Request, Route, RouteGroup, SignedIn, refusal
from locutory_endpoints.keystore import KeyStore
from locutory_endpoints.service import ModelCatalogue

_LONGEST_NAME = 500
_LONGEST_VALUE = 65_536


def moment(text: Any) -> Any:
    """An expiry of the client; ``None`` for never."""
    if not text:
        return None
    if not isinstance(text, str):
        raise ValueError("expiresAt must be a string")
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("expiresAt must be a date") from None


class KeyBody(BaseModel):
    """A provider key of the user (keys §1.2)."""

    name: str = Field(
        min_length=1, max_length=_LONGEST_NAME, description="Endpoint that the key is for"
    )
    value: str = Field(
        min_length=1,
        max_length=_LONGEST_VALUE,
        description="Key as the endpoint wants it (keys §2)",
    )
    expiresAt: Annotated[datetime | None, BeforeValidator(moment)] = Field(  # noqa: N815
        None, description="ISO date; empty: never"
    )


class ExpiryQuery(BaseModel):
    """The key to look up."""

    name: str = Field("", description="Endpoint that the key is for")


class EveryKey(BaseModel):
    """That every key is meant."""

    all: Literal["true"]


_of_a_key = refusal(
    texts={
        "": "name and value are needed",
        "name.string_too_long": "name or value is too long",
        "value.string_too_long": "name or value is too long",
    }
)


def _no_key(error: ValidationError) -> HTTPError:
    if not error.errors(include_url=False, include_input=False)[0]["loc"]:
        return HTTPError(400, {"error": "Invalid request body."})
    return _of_a_key(error)


class Routes:
    """Handlers over the catalogue and the key store."""

    def __init__(self, catalogue: ModelCatalogue, keys: KeyStore) -> None:
        self._catalogue = catalogue
        self._keys = keys

    def all(self) -> Iterable[Route]:
        """Every route of the plugin."""
        api = RouteGroup("/api", access=SignedIn())
        keys = RouteGroup("/api/keys", access=SignedIn(), failure="An unknown error occurred.")
        return (
            api.get(
                "/endpoints",
                self.endpoints,
                "Endpoints for the model picker",
                responses={200: "endpoint → entry"},
                contract="endpoints §1",
            ),
            api.get(
                "/endpoints/token-config",
                self.token_config,
                "Context windows and prices of the models",
                responses={200: "endpoint → model → {context, prompt, completion, …}"},
                failure={"error": "Failed to resolve token config"},
                contract="endpoints §2",
            ),
            api.get(
                "/models",
                self.models,
                "Model names by endpoint",
                responses={200: "endpoint → names"},
                failure={"error": "The model lists could not be loaded"},
                contract="models §1",
            ),
            keys.get(
                "",
                self.expiry,
                "When the user's key for an endpoint expires",
                query=ExpiryQuery,
                responses={200: {"expiresAt": "2030-01-01T00:00:00.000Z"}},
                contract="keys §1.1",
            ),
            keys.put(
                "",
                self.put,
                "Store a provider key of the user",
                body=KeyBody,
                invalid=_no_key,
                responses={201: "empty"},
                contract="keys §1.2",
            ),
            keys.delete(
                "",
                self.delete_all,
                "Delete every key of the user (all=true)",
                query=EveryKey,
                invalid=refusal("error", {"": "Specify either all=true to delete."}),
                responses={204: "empty", 400: "all is not true"},
                contract="keys §1.3",
            ),
            keys.delete(
                "/{name}",
                self.delete,
                "Delete the user's key for an endpoint",
                responses={204: "empty"},
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
        name = request.valid(ExpiryQuery).name
        found: Any = None
        if name and len(name) <= _LONGEST_NAME:
            found = await self._keys.expiry(request.caller.id, name)
        return JSON({"expiresAt": found})

    async def put(self, request: Request) -> Response:
        """Store a key; the value is opaque and never comes back."""
        body = request.valid(KeyBody)
        await self._keys.put(request.caller.id, body.name, body.value, body.expiresAt)
        return Empty(201)

    async def delete(self, request: Request) -> Response:
        await self._keys.delete(request.caller.id, request.path_params["name"])
        return Empty(204)

    async def delete_all(self, request: Request) -> Response:
        await self._keys.delete(request.caller.id)
        return Empty(204)
