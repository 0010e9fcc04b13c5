"""Versions of a group (contract prompts §4, routes 4, 6, 9, 10, 12)."""

from typing import Any

from bson import ObjectId
from starlette.responses import Response

from locutory import JSON, Can, Empty, HTTPError, NoBody, Request, Route, RouteGroup
from locutory_contracts.access import DELETE, EDIT, VIEW
from locutory_prompts.access_control import MISSING, REFUSED, AccessControl, Granted
from locutory_prompts.resource_kind import PERMISSION
from locutory_prompts.routes import models
from locutory_prompts.service import Prompts
from locutory_resources import FAILED, object_id

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
        prompts = RouteGroup("/api/prompts", access=Can(PERMISSION, "USE"), contract="prompts §4")
        checked = prompts.but(responses={403: REFUSED, 404: MISSING, 500: FAILED})
        create = Can(PERMISSION, "CREATE")
        return [
            prompts.get(
                "",
                self.list,
                "The versions of a prompt, or all that the caller wrote",
                query=models.VersionsQuery,
                responses={200: [models.PROMPT], 400: models.ERROR, 403: _UNSEEN},
                failure={"error": "Error getting prompts"},
            ),
            checked.post(
                "/groups/{group_id}/prompts",
                self.add,
                "Add a version",
                checks=(self._editable,),
                body=models.VersionBody,
                invalid=models.INVALID_VERSION,
                responses={200: {"prompt": models.PROMPT}},
                failure={"error": "Error adding prompt to group"},
            ),
            checked.patch(
                "/{prompt_id}/tags/production",
                self.put_to_use,
                "Make a version the one in use",
                access=create,
                checks=(self._access_control.check_use,),
                body=NoBody,
                responses={200: models.MESSAGE},
                failure={"error": "Error updating prompt production"},
            ),
            checked.get(
                "/{prompt_id}",
                self.show,
                "One version",
                responses={200: models.PROMPT},
                failure={"error": "Error getting prompt"},
            ),
            checked.delete(
                "/{prompt_id}",
                self.delete,
                "Delete a version; with the last one the prompt goes",
                access=create,
                checks=(self._access_control.check_use, self._deletable),
                query=models.DeleteQuery,
                invalid=models.INVALID_QUERY,
                responses={200: {"prompt": "Prompt deleted successfully"}, 400: models.ERROR},
                failure=_NOT_DELETED,
            ),
        ]

    async def _editable(self, request: Request) -> None:
        group_id = request.path_params["group_id"]
        request.keep(
            await self._access_control.group(request.caller, group_id, EDIT, {"author": 1})
        )

    async def _deletable(self, request: Request) -> None:
        prompt_id = request.path_params["prompt_id"]
        request.keep(await self._access_control.version(request.caller, prompt_id, DELETE))

    async def list(self, request: Request) -> Response:
        """Versions, newest first."""
        caller, named = request.caller, request.valid(models.VersionsQuery).groupId
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
        found, prompt = request.valid(Granted), request.valid(models.VersionBody).prompt
        if found.id is None:
            raise HTTPError(404, MISSING)
        made = await self._prompts.add_version(request.caller, found.id, prompt.prompt, prompt.type)
        if made is None:
            raise HTTPError(404, MISSING)
        return JSON({"prompt": made})

    async def put_to_use(self, request: Request) -> Response:
        """Change the version in use."""
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
        found, group = request.valid(Granted), request.valid(models.DeleteQuery).groupId
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
