"""Single groups (contract prompts §4, routes 3, 5, 7, 8, 11)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Can, HTTPError, Limit, NoBody, Request, Route, by_user
from locutory_contracts.access import DELETE, EDIT, VIEW
from locutory_prompts.access_control import FAILED, MISSING, REFUSED, AccessControl, object_id
from locutory_prompts.documents import GROUP, without
from locutory_prompts.resource_kind import PERMISSION
from locutory_prompts.routes import models
from locutory_prompts.routes.bodies import member, text_and_type
from locutory_prompts.service import Prompts
from locutory_prompts.validation import Invalid, check_new, check_update

_LIMITED = {"message": "Too many prompt usage requests. Try again later"}


class GroupRoutes:
    """One group: reading, making, using, changing, deleting."""

    def __init__(
        self, prompts: Prompts, access_control: AccessControl, uses_per_minute: int
    ) -> None:
        self._prompts = prompts
        self._access_control = access_control
        self._limit = Limit("prompt_usage", uses_per_minute, 60, _LIMITED, by_user)

    def all(self) -> list[Route]:
        """The routes."""
        create = Can(PERMISSION, "CREATE")
        one = "/api/prompts/groups/{group_id}"
        refusals: dict[int, Any] = {403: REFUSED, 404: MISSING, 500: FAILED}
        return [
            Route(
                path=one,
                endpoint=self.show,
                access=Can(PERMISSION, "USE"),
                summary="One prompt with the version in use",
                responses={200: models.GROUP, **refusals},
                failure={"message": "Error getting prompt group"},
                contract="prompts §4",
            ),
            Route(
                path="/api/prompts",
                endpoint=self.create,
                methods=("POST",),
                access=create,
                summary="Make a prompt with its first version",
                body_schema=models.CreateBody,
                responses={
                    200: {"prompt": models.PROMPT, "group": models.GROUP},
                    400: {"error": "Prompt and group name are required"},
                },
                failure={"error": "Error creating prompt group"},
                contract="prompts §4",
            ),
            Route(
                path=f"{one}/use",
                endpoint=self.use,
                methods=("POST",),
                access=Can(PERMISSION, "USE"),
                limits=(self._limit,),
                summary="Count a use of a prompt",
                body=NoBody,
                responses={200: {"numberOfGenerations": 1}, 429: _LIMITED, **refusals},
                failure={"error": "Error recording prompt usage"},
                contract="prompts §4",
            ),
            Route(
                path=one,
                endpoint=self.update,
                methods=("PATCH",),
                access=create,
                summary="Change name, category, one-liner or command",
                body_schema=models.UpdateBody,
                responses={
                    200: without(models.GROUP, "productionPrompt"),
                    400: models.INVALID,
                    **refusals,
                },
                failure={"error": "Error updating prompt group"},
                contract="prompts §4",
            ),
            Route(
                path=one,
                endpoint=self.delete,
                methods=("DELETE",),
                access=create,
                summary="Delete a prompt with its versions",
                responses={200: models.MESSAGE, **refusals},
                failure={"message": "Error deleting prompt group"},
                contract="prompts §4",
            ),
        ]

    async def show(self, request: Request) -> Response:
        """The whole group."""
        caller = request.caller
        found = await self._access_control.group(
            caller, request.path_params["group_id"], VIEW, GROUP
        )
        if found.id is None:
            return JSON({"message": "Prompt group not found"}, 404)
        production = object_id(str(found.document.get("productionId")))
        prompt = await self._prompts.version(production, caller.tenant)
        shown = dict(found.document)
        if prompt is not None:
            shown["productionPrompt"] = prompt
        return JSON(shown)

    async def create(self, request: Request) -> Response:
        """A new group."""
        await self._access_control.use(request.caller)
        body = request.payload
        prompt, group = member(body, "prompt"), member(body, "group")
        if prompt is None or group is None or not group.get("name"):
            return JSON({"error": "Prompt and group name are required"}, 400)
        try:
            fields = check_new(group)
        except Invalid as invalid:
            return JSON({"error": "Invalid request body", "details": invalid.issues}, 400)
        text, form = text_and_type({"type": "text", **prompt})
        made = await self._prompts.create(request.caller, fields, text, form)
        shown = {**without(made.group, "__v"), "productionPrompt": {"prompt": text}}
        return JSON({"prompt": without(made.prompt, "__v"), "group": shown})

    async def use(self, request: Request) -> Response:
        """Count a use."""
        text = request.path_params["group_id"]
        found = await self._access_control.group(request.caller, text, VIEW, {"author": 1})
        if object_id(text) is None:
            return JSON({"error": "Invalid groupId"}, 400)
        uses = None if found.id is None else await self._prompts.used(found.id)
        if uses is None:
            return JSON({"error": "Prompt group not found"}, 404)
        return JSON({"numberOfGenerations": uses})

    async def update(self, request: Request) -> Response:
        """Change a group."""
        caller = request.caller
        await self._access_control.use(caller)
        found = await self._access_control.group(
            caller, request.path_params["group_id"], EDIT, {"author": 1}
        )
        try:
            fields = check_update(request.payload)
        except Invalid as invalid:
            return JSON({"error": "Invalid request body", "details": invalid.issues}, 400)
        changed = None if found.id is None else await self._prompts.update(found.id, fields)
        if changed is None:
            raise HTTPError(404, MISSING)
        return JSON(changed)

    async def delete(self, request: Request) -> Response:
        """Delete a group."""
        caller = request.caller
        await self._access_control.use(caller)
        found = await self._access_control.group(
            caller, request.path_params["group_id"], DELETE, {"author": 1}
        )
        if found.id is None:
            raise HTTPError(404, MISSING)
        await self._prompts.remove_groups([found.id])
        return JSON({"message": "Prompt group deleted successfully"})
