"""Single agents (contract agents §4, §5)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Can, HTTPError, NoBody, Principal, Request, Route
from locutory.database import Raw
from locutory_agentbuilder.access_control import (
    FAILED,
    MISSING,
    NO_PERMISSION,
    REFUSED,
    AccessControl,
    object_id,
)
from locutory_agentbuilder.definition.fields import (
    AgentFields,
    NewAgent,
    check_new,
    check_update,
)
from locutory_agentbuilder.definition.issues import Invalid
from locutory_agentbuilder.documents import ACCESS_FIELDS, without
from locutory_agentbuilder.editor import AgentEditor
from locutory_agentbuilder.owner_contacts import OwnerContacts
from locutory_agentbuilder.resource_kind import KIND, PERMISSION
from locutory_agentbuilder.routes import models
from locutory_agentbuilder.service import Agents
from locutory_contracts.access import DELETE, EDIT, VIEW

_VIEWED = (
    *("_id", "id", "name", "description", "conversation_starters", "avatar", "author"),
    *("provider", "model", "isPublic", "version", "createdAt", "updatedAt"),
    *("support_contact", "owner_contact"),
)
_RESPONSES_API = "useResponsesApi"


class AgentRoutes:
    """One agent: reading, making, changing, copying, deleting."""

    def __init__(
        self,
        agents: Agents,
        access_control: AccessControl,
        editor: AgentEditor,
        owner_contacts: OwnerContacts,
    ) -> None:
        self._agents = agents
        self._access_control = access_control
        self._editor = editor
        self._owner_contacts = owner_contacts

    def all(self) -> list[Route]:
        """The routes."""
        use, create = Can(PERMISSION, "USE"), Can(PERMISSION, "CREATE")
        one = "/api/agents/{agent_id}"
        refusals: dict[int, Any] = {403: REFUSED, 404: MISSING, 500: FAILED}
        checked: dict[int, Any] = {**refusals, 400: models.INVALID}
        return [
            Route(
                path="/api/agents",
                endpoint=self.create,
                methods=("POST",),
                access=create,
                summary="Make an agent",
                body_schema=NewAgent,
                responses={201: models.FULL, 400: models.INVALID, 403: NO_PERMISSION},
                failure={"error": "Error creating agent"},
                contract="agents §5",
            ),
            Route(
                path=one,
                endpoint=self.show,
                access=use,
                summary="What those who may use an agent see of it",
                responses={200: {**models.AGENT, "version": 1, "isPublic": False}, **refusals},
                failure={"error": "Error retrieving agent"},
                contract="agents §4",
            ),
            Route(
                path=f"{one}/expanded",
                endpoint=self.expanded,
                access=use,
                summary="Everything about an agent, for those who may change it",
                responses={200: {**models.AGENT, "version": 1, "isPublic": False}, **refusals},
                failure={"error": "Error retrieving agent"},
                contract="agents §4",
            ),
            Route(
                path=f"{one}/versions",
                endpoint=self.versions,
                access=use,
                summary="The versions of an agent, oldest first",
                responses={200: [models.VERSION], **refusals},
                failure={"error": "Error retrieving agent versions"},
                contract="agents §4",
            ),
            Route(
                path=one,
                endpoint=self.update,
                methods=("PATCH",),
                access=create,
                summary="Change an agent; what it becomes is kept as a version",
                body_schema=AgentFields,
                responses={200: {**models.FULL, "version": 1}, **checked},
                failure={"error": "Error updating agent"},
                contract="agents §5",
            ),
            Route(
                path=one,
                endpoint=self.delete,
                methods=("DELETE",),
                access=create,
                summary="Delete an agent",
                responses={200: {"message": "Agent deleted"}, **refusals},
                failure={"error": "Error deleting agent"},
                contract="agents §5",
            ),
            Route(
                path=f"{one}/duplicate",
                endpoint=self.duplicate,
                methods=("POST",),
                access=create,
                summary="Copy an agent",
                body=NoBody,
                responses={201: {"agent": models.FULL, "actions": []}, **checked},
                failure={"error": "Error duplicating agent"},
                contract="agents §5",
            ),
            Route(
                path=f"{one}/revert",
                endpoint=self.revert,
                methods=("POST",),
                access=create,
                summary="Make an agent what a version says",
                body_schema=models.RevertBody,
                responses={
                    200: models.FULL,
                    **refusals,
                    400: {"error": "version_index is required"},
                },
                failure={"error": "Error reverting agent version"},
                contract="agents §5",
            ),
        ]

    async def create(self, request: Request) -> Response:
        """A new agent."""
        await self._access_control.use(request.caller)
        try:
            agent = await self._editor.create(request.caller, check_new(request.payload))
        except Invalid as invalid:
            return _invalid(invalid)
        return JSON(agent, 201)

    async def show(self, request: Request) -> Response:
        """The fields that a viewer may know; who may change the agent gets all of them, as
        LibreChat gives to everybody."""
        caller = request.caller
        found = await self._access_control.agent(
            caller, request.path_params["agent_id"], VIEW, ACCESS_FIELDS
        )
        shown = await self._described(caller, found)
        if await self._access_control.decide(caller, found, EDIT):
            return JSON(shown)
        viewed = {key: shown[key] for key in _VIEWED if key in shown}
        parameters = shown.get("model_parameters")
        responses_api = parameters.get(_RESPONSES_API) if isinstance(parameters, dict) else None
        known = {_RESPONSES_API: responses_api} if isinstance(responses_api, bool) else {}
        return JSON({**viewed, "model_parameters": known})

    async def expanded(self, request: Request) -> Response:
        """The whole agent without its versions."""
        caller = request.caller
        found = await self._access_control.agent(
            caller, request.path_params["agent_id"], EDIT, ACCESS_FIELDS
        )
        return JSON(await self._described(caller, found))

    async def versions(self, request: Request) -> Response:
        """The versions."""
        fields = {**ACCESS_FIELDS, "versions": 1}
        found = await self._access_control.agent(
            request.caller, request.path_params["agent_id"], EDIT, fields
        )
        return JSON(_list(found.get("versions")))

    async def update(self, request: Request) -> Response:
        """Change an agent."""
        caller = request.caller
        await self._access_control.use(caller)
        found = await self._access_control.agent(caller, request.path_params["agent_id"], EDIT)
        try:
            fields, resets_avatar = check_update(request.payload)
            if fields or resets_avatar:
                agent, _ = await self._editor.update(
                    caller, found, fields, resets_avatar=resets_avatar
                )
            else:
                agent = await self._whole(caller, found)
        except Invalid as invalid:
            return _invalid(invalid)
        shown = await self._with_contact(caller, agent)
        return JSON({**shown, "version": len(_list(agent.get("versions")))})

    async def delete(self, request: Request) -> Response:
        """Delete an agent."""
        caller = request.caller
        await self._access_control.use(caller)
        found = await self._access_control.agent(
            caller, request.path_params["agent_id"], DELETE, ACCESS_FIELDS
        )
        await self._agents.remove([found["_id"]])
        return JSON({"message": "Agent deleted"})

    async def duplicate(self, request: Request) -> Response:
        """Copy an agent. Actions are not copied: no plugin keeps any yet."""
        caller = request.caller
        await self._access_control.use(caller)
        found = await self._access_control.agent(caller, request.path_params["agent_id"], EDIT)
        try:
            agent = await self._editor.duplicate(caller, found)
        except Invalid as invalid:
            return _invalid(invalid)
        return JSON({"agent": agent, "actions": []}, 201)

    async def revert(self, request: Request) -> Response:
        """Go back to a version."""
        caller = request.caller
        await self._access_control.use(caller)
        found = await self._access_control.agent(caller, request.path_params["agent_id"], EDIT)
        index = request.fields.get("version_index")
        if isinstance(index, bool) or not isinstance(index, int):
            return JSON({"error": "version_index is required"}, 400)
        whole = await self._whole(caller, found)
        versions = _list(whole.get("versions"))
        if not 0 <= index < len(versions) or not isinstance(versions[index], dict):
            return JSON({"error": f"Version {index} not found"}, 500)
        try:
            agent = await self._editor.revert(caller, whole, versions[index])
        except Invalid as invalid:
            return _invalid(invalid)
        return JSON(await self._with_contact(caller, agent))

    async def _whole(self, caller: Principal, found: Raw) -> Raw:
        """An agent with its versions; 404 when it is gone meanwhile."""
        whole = await self._agents.find(found["id"], caller.tenant, None)
        if whole is None:
            raise HTTPError(404, MISSING)
        return whole

    async def _described(self, caller: Principal, found: Raw) -> Raw:
        agent = await self._agents.with_version_count(found["_id"])
        if agent is None:
            raise HTTPError(404, MISSING)
        access, key = self._access_control.shared, str(agent["_id"])
        nobody = Principal(id="", role="", tenant=caller.tenant)
        public = access is not None and bool(await access.bits(nobody, KIND, key) & VIEW)
        return await self._with_contact(caller, {**agent, "isPublic": public})

    async def _with_contact(self, caller: Principal, agent: Raw) -> Raw:
        """An agent as the caller may see it: nobody but its author is told who that is."""
        contacts = await self._owner_contacts.of([agent])
        mine = agent.get("author") == object_id(caller.id)
        shown = agent if mine else without(agent, "author", "authorName")
        contact = contacts.get(str(agent["_id"]))
        return shown if contact is None else {**shown, "owner_contact": contact}


def _invalid(invalid: Invalid) -> Response:
    return JSON({"error": "Invalid request data", "details": invalid.issues}, 400)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
