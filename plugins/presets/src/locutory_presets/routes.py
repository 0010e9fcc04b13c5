"""``/api/presets`` (contract presets)."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from locutory import JSON, BadRequest, HTTPError, Request, Route, RouteGroup, SignedIn
from locutory_presets.fields import NewPresetId, PresetFields, PresetId, Unfit
from locutory_presets.service import Presets, Taken

NOT_SAVED = "There was an error when saving the preset"
NOT_DELETED = "There was an error deleting the presets"

_EMPTY_OBJECT = 2  # bytes of ``{}``
_PRESET = {
    "_id": "64f0c2a1e4b0a1b2c3d4e5f6",
    "presetId": "dc71dcb7-b865-41ae-89f3-89b4c60e8456",
    "user": "64f0c2a1e4b0a1b2c3d4e5f7",
    "title": "My preset",
    "endpoint": "openAI",
    "model": "gpt-4o",
    "isArchived": False,
    "tags": [],
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "__v": 0,
}


class SaveBody(PresetFields):
    """A preset to create or change."""

    new_preset_id: NewPresetId = Field(None, alias="newPresetId", description="Renames it")


class DeleteBody(BaseModel):
    """The preset to delete; no body at all means every preset."""

    preset_id: PresetId = Field(None, alias="presetId", description="The preset")


class PresetRoutes:
    """The three routes."""

    def __init__(self, presets: Presets) -> None:
        self._presets = presets

    def all(self) -> list[Route]:
        """The routes."""
        presets = RouteGroup("/api/presets", access=SignedIn())
        return [
            presets.get(
                "",
                self.list,
                "The caller's presets",
                responses={200: [_PRESET]},
                contract="presets §1.1",
            ),
            presets.post(
                "",
                self.save,
                "Create or change a preset",
                body=SaveBody,
                responses={201: _PRESET, 409: {"message": NOT_SAVED}},
                failure=NOT_SAVED,
                contract="presets §1.2",
            ),
            presets.post(
                "/delete",
                self.delete,
                "Delete one preset, or without a body all of them",
                body=DeleteBody,
                responses={201: {"acknowledged": True, "deletedCount": 1}},
                failure=NOT_DELETED,
                contract="presets §1.3",
            ),
        ]

    async def list(self, request: Request) -> Response:
        """Every preset of the caller, in the order of the menu."""
        return JSON(await self._presets.of(request.caller.id))

    async def save(self, request: Request) -> Response:
        """Upsert a preset of the caller."""
        body, caller = request.valid(SaveBody), request.caller
        try:
            document = await self._presets.save(
                caller.id,
                body.preset_id,
                body.settings,
                default=body.default_preset,
                new_id=body.new_preset_id,
                tenant=caller.tenant,
            )
        except Unfit as error:
            raise BadRequest(str(error), "INVALID_BODY") from None
        except Taken:
            # Whose it is, the caller's or somebody else's, is not told.
            raise HTTPError(409, {"message": NOT_SAVED}) from None
        return JSON(document, 201)

    async def delete(self, request: Request) -> Response:
        """Delete one preset; all presets of the caller only when the body is empty."""
        one = request.valid(DeleteBody).preset_id
        if one is None and (request.payload or _sent_something(request)):
            # A preset without its id, or a body that was not understood: what was meant is
            # one preset, and it must not become all of them.
            raise BadRequest("presetId is required; send no body to delete all", "INVALID_BODY")
        count = await self._presets.delete(request.caller.id, one)
        answer: dict[str, Any] = {"acknowledged": True, "deletedCount": count}
        return JSON(answer, 201)


def _sent_something(request: Request) -> bool:
    """``True`` when the request had a body of more than ``{}``."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > _EMPTY_OBJECT:
        return True
    return "transfer-encoding" in request.headers
