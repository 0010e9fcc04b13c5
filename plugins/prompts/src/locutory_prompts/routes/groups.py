"""Single groups (contract prompts §4, routes 3, 5, 7, 8, 11)."""

from starlette.responses import Response

from locutory import JSON, Can, HTTPError, Limit, NoBody, Request, Route, RouteGroup, by_user
from locutory_contracts.access import DELETE, EDIT, VIEW
from locutory_prompts.access_control import MISSING, REFUSED, AccessControl, Granted
from locutory_prompts.documents import GROUP, without
from locutory_prompts.resource_kind import PERMISSION
from locutory_prompts.routes import models
from locutory_prompts.service import Prompts
from locutory_resources import FAILED, object_id

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
        checked = RouteGroup(
            "/api/prompts/groups/{group_id}",
            access=Can(PERMISSION, "USE"),
            contract="prompts §4",
            responses={403: REFUSED, 404: MISSING, 500: FAILED},
        )
        create = Can(PERMISSION, "CREATE")
        return [
            checked.get(
                "",
                self.show,
                "One prompt with the version in use",
                responses={200: models.GROUP},
                failure={"message": "Error getting prompt group"},
            ),
            RouteGroup("/api/prompts").post(
                "",
                self.create,
                "Make a prompt with its first version",
                access=create,
                checks=(self._access_control.check_use,),
                body=models.CreateBody,
                invalid=models.INVALID_GROUP,
                responses={200: {"prompt": models.PROMPT, "group": models.GROUP}},
                failure={"error": "Error creating prompt group"},
                contract="prompts §4",
            ),
            checked.post(
                "/use",
                self.use,
                "Count a use of a prompt",
                limits=(self._limit,),
                body=NoBody,
                responses={200: {"numberOfGenerations": 1}, 429: _LIMITED},
                failure={"error": "Error recording prompt usage"},
            ),
            checked.patch(
                "",
                self.update,
                "Change name, category, one-liner or command",
                access=create,
                checks=(self._access_control.check_use, self._editable),
                body=models.UpdateBody,
                invalid=models.INVALID_GROUP,
                responses={200: without(models.GROUP, "productionPrompt")},
                failure={"error": "Error updating prompt group"},
            ),
            checked.delete(
                "",
                self.delete,
                "Delete a prompt with its versions",
                access=create,
                checks=(self._access_control.check_use,),
                responses={200: models.MESSAGE},
                failure={"message": "Error deleting prompt group"},
            ),
        ]

    async def _editable(self, request: Request) -> None:
        group_id = request.path_params["group_id"]
        request.keep(
            await self._access_control.group(request.caller, group_id, EDIT, {"author": 1})
        )

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
        body = request.valid(models.CreateBody)
        text, kind = body.prompt.prompt, body.prompt.type
        made = await self._prompts.create(request.caller, body.group.given, text, kind)
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
        found, fields = request.valid(Granted), request.valid(models.UpdateBody).given
        changed = None if found.id is None else await self._prompts.update(found.id, fields)
        if changed is None:
            raise HTTPError(404, MISSING)
        return JSON(changed)

    async def delete(self, request: Request) -> Response:
        """Delete a group."""
        caller = request.caller
        found = await self._access_control.group(
            caller, request.path_params["group_id"], DELETE, {"author": 1}
        )
        if found.id is None:
            raise HTTPError(404, MISSING)
        await self._prompts.remove_groups([found.id])
        return JSON({"message": "Prompt group deleted successfully"})
