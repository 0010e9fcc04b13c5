"""Versions of a group (contract prompts §4, routes 4, 6, 9, 10, 12)."""

from typing import Any

from bson import ObjectId
from starlette.responses import Response

from locutory import JSON, Can, Empty, HTTPError, NoBody, Request, Route
from locutory_contracts.access import DELETE, EDIT, VIEW
from locutory_prompts.access_control import FAILED, MISSING, REFUSED, AccessControl, object_id
from locutory_prompts.resource_kind import PERMISSION
from locutory_prompts.routes import models
from locutory_prompts.routes.bodies import member, text_and_type
from locutory_prompts.service import Prompts

_NOT_PUT = {"message": "Error making prompt production"}
_NOT_DELETED = {"error": "Error deleting prompt"}
_UNSEEN = {"error": "Insufficient permissions to view prompts in this group"}


class VersionRoutes:
    """Versions: listing, adding, putting to use, deleting."""

    def __init__(self, prompts: Prompts, access_control: AccessControl) -> None:
        self._prompts = prompts
        self._access_control = access_control

    def all(self) -> list[Route]:
        """The routes."""
        use, create = Can(PERMISSION, "USE"), Can(PERMISSION, "CREATE")
        refusals: dict[int, Any] = {403: REFUSED, 404: MISSING, 500: FAILED}
        return [
            Route(
                path="/api/prompts",
                endpoint=self.list,
                access=use,
                summary="The versions of a prompt, or all that the caller wrote",
                query_schema=models.VersionsQuery,
                responses={200: [models.PROMPT], 400: models.ERROR, 403: _UNSEEN},
                failure={"error": "Error getting prompts"},
                contract="prompts §4",
            ),
            Route(
                path="/api/prompts/groups/{group_id}/prompts",
                endpoint=self.add,
                methods=("POST",),
                access=use,
                summary="Add a version",
                body_schema=models.VersionBody,
                responses={200: {"prompt": models.PROMPT}, 400: models.ERROR, **refusals},
                failure={"error": "Error adding prompt to group"},
                contract="prompts §4",
            ),
            Route(
                path="/api/prompts/{prompt_id}/tags/production",
                endpoint=self.put_to_use,
                methods=("PATCH",),
                access=create,
                summary="Make a version the one in use",
                body=NoBody,
                responses={200: models.MESSAGE, **refusals},
                failure={"error": "Error updating prompt production"},
                contract="prompts §4",
            ),
            Route(
                path="/api/prompts/{prompt_id}",
                endpoint=self.show,
                access=use,
                summary="One version",
                responses={200: models.PROMPT, **refusals},
                failure={"error": "Error getting prompt"},
                contract="prompts §4",
            ),
            Route(
                path="/api/prompts/{prompt_id}",
                endpoint=self.delete,
                methods=("DELETE",),
                access=create,
                summary="Delete a version; with the last one the prompt goes",
                query_schema=models.DeleteQuery,
                responses={
                    200: {"prompt": "Prompt deleted successfully"},
                    400: models.ERROR,
                    **refusals,
                },
                failure=_NOT_DELETED,
                contract="prompts §4",
            ),
        ]

    async def list(self, request: Request) -> Response:
        """Versions, newest first."""
        caller, named = request.caller, request.query.get("groupId")
        if named:
            group = object_id(named)
            if group is None:
                return JSON({"error": "Invalid groupId"}, 400)
            if not await self._access_control.views(caller, group):
                return JSON(_UNSEEN, 403)
            return JSON(await self._prompts.versions(group))
        if await self._access_control.reads_all(caller):
            return JSON(await self._prompts.everything(caller.tenant))
        return JSON(await self._prompts.written(ObjectId(caller.id), caller.tenant))

    async def add(self, request: Request) -> Response:
        """A new version. The group of the path counts, whatever the body names."""
        found = await self._access_control.group(
            request.caller, request.path_params["group_id"], EDIT, {"author": 1}
        )
        if found.id is None:
            raise HTTPError(404, MISSING)
        prompt = member(request.payload, "prompt")
        if prompt is None:
            sent = request.payload.get("prompt") if isinstance(request.payload, dict) else None
            if not sent:
                return JSON({"error": "Prompt is required"}, 400)
        text, form = text_and_type(prompt or {})
        made = await self._prompts.add_version(request.caller, found.id, text, form)
        if made is None:
            raise HTTPError(404, MISSING)
        return JSON({"prompt": made})

    async def put_to_use(self, request: Request) -> Response:
        """Change the version in use."""
        await self._access_control.use(request.caller)
        found = await self._access_control.version(
            request.caller, request.path_params["prompt_id"], EDIT
        )
        if found.id is None or not await self._prompts.put_to_use(found.document):
            return JSON(_NOT_PUT)
        return JSON({"message": "Prompt production made successfully"})

    async def show(self, request: Request) -> Response:
        """One version."""
        found = await self._access_control.version(
            request.caller, request.path_params["prompt_id"], VIEW
        )
        return Empty() if found.id is None else JSON(found.document)

    async def delete(self, request: Request) -> Response:
        """Delete a version."""
        await self._access_control.use(request.caller)
        found = await self._access_control.version(
            request.caller, request.path_params["prompt_id"], DELETE
        )
        named = request.query.get("groupId")
        group = object_id(named)
        if group is None:
            return JSON({"error": "Invalid or missing groupId"}, 400)
        if found.id is None:
            raise HTTPError(404, MISSING)
        was_last = await self._prompts.remove_version(found.id, group)
        if was_last is None:  # version and group do not belong together
            return JSON(_NOT_DELETED, 500)
        answer: dict[str, Any] = {"prompt": "Prompt deleted successfully"}
        if was_last:
            answer["promptGroup"] = {
                "message": "Prompt group deleted successfully",
                "id": str(group),
            }
        return JSON(answer)
