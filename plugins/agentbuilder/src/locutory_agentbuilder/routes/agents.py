"""Single agents (contract agents §4, §5)."""

from typing import Any

from starlette.responses import Response

from locutory import JSON, Can, HTTPError, NoBody, Principal, Raw, Request, Route, RouteGroup
from locutory_agentbuilder.access_control import (
    MISSING,
    REFUSED,
    AccessControl,
    Editable,
)
from locutory_agentbuilder.definition.fields import AgentFields, NewAgent
from locutory_agentbuilder.definition.issues import Invalid
from locutory_agentbuilder.documents import ACCESS_FIELDS, without
from locutory_agentbuilder.editor import AgentEditor
from locutory_agentbuilder.owner_contacts import OwnerContacts
from locutory_agentbuilder.resource_kind import KIND, PERMISSION
from locutory_agentbuilder.routes import models
from locutory_agentbuilder.service import Agents
from locutory_contracts.access import DELETE, EDIT, VIEW
from locutory_resources import FAILED, NO_PERMISSION, object_id

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
        agents = RouteGroup(
            "/api/agents",
            access=Can(PERMISSION, "CREATE"),
            checks=(self._access_control.check_use,),
            invalid=models.invalid_agent,
            contract="agents §5",
        )
        refusals: dict[int, Any] = {403: REFUSED, 404: MISSING, 500: FAILED}
        changing = agents.but(
            checks=(self._access_control.check_use, self._access_control.check_editable),
            responses=refusals,
        )
        reading = RouteGroup(
            "/api/agents/{agent_id}",
            access=Can(PERMISSION, "USE"),
            responses=refusals,
            failure={"error": "Error retrieving agent"},
            contract="agents §4",
        )
        one = "/{agent_id}"
        described = {200: {**models.AGENT, "version": 1, "isPublic": False}}
        return [
            agents.post(
                "",
                self.create,
                "Make an agent",
                body=NewAgent,
                responses={201: models.FULL, 400: models.INVALID, 403: NO_PERMISSION},
                failure={"error": "Error creating agent"},
            ),
            reading.get(
                "", self.show, "What those who may use an agent see of it", responses=described
            ),
            reading.get(
                "/expanded",
                self.expanded,
                "Everything about an agent, for those who may change it",
                responses=described,
            ),
            reading.get(
                "/versions",
                self.versions,
                "The versions of an agent, oldest first",
                responses={200: [models.VERSION]},
                failure={"error": "Error retrieving agent versions"},
            ),
            changing.patch(
                one,
                self.update,
                "Change an agent; what it becomes is kept as a version",
                body=AgentFields,
                responses={200: {**models.FULL, "version": 1}, 400: models.INVALID},
                failure={"error": "Error updating agent"},
            ),
            agents.delete(
                one,
                self.delete,
                "Delete an agent",
                responses={200: {"message": "Agent deleted"}, **refusals},
                failure={"error": "Error deleting agent"},
            ),
            changing.post(
                f"{one}/duplicate",
                self.duplicate,
                "Copy an agent",
                body=NoBody,
                responses={201: {"agent": models.FULL, "actions": []}, 400: models.INVALID},
                failure={"error": "Error duplicating agent"},
            ),
            changing.post(
                f"{one}/revert",
                self.revert,
                "Make an agent what a version says",
                body=models.RevertBody,
                invalid=models.INVALID_REVERT,
                responses={200: models.FULL},
                failure={"error": "Error reverting agent version"},
            ),
        ]

    async def create(self, request: Request) -> Response:
        """A new agent."""
        try:
            agent = await self._editor.create(request.caller, request.valid(NewAgent).given)
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
        caller, found = request.caller, request.valid(Editable).agent
        body = request.valid(AgentFields)
        fields = body.given
        try:
            if fields or body.resets_avatar:
                agent, _ = await self._editor.update(
                    caller, found, fields, resets_avatar=body.resets_avatar
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
        found = await self._access_control.agent(
            caller, request.path_params["agent_id"], DELETE, ACCESS_FIELDS
        )
        await self._agents.remove([found["_id"]])
        return JSON({"message": "Agent deleted"})

    async def duplicate(self, request: Request) -> Response:
        """Copy an agent. Actions are not copied: no plugin keeps any yet."""
        caller, found = request.caller, request.valid(Editable).agent
        try:
            agent = await self._editor.duplicate(caller, found)
        except Invalid as invalid:
            return _invalid(invalid)
        return JSON({"agent": agent, "actions": []}, 201)

    async def revert(self, request: Request) -> Response:
        """Go back to a version."""
        caller, found = request.caller, request.valid(Editable).agent
        index = request.valid(models.RevertBody).version_index
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
        """An agent with its versions; raises a 404 when it was deleted meanwhile."""
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
        """An agent as the caller may see it: only its author sees its author."""
        contacts = await self._owner_contacts.of([agent])
        mine = agent.get("author") == object_id(caller.id)
        shown = agent if mine else without(agent, "author", "authorName")
        contact = contacts.get(str(agent["_id"]))
        return shown if contact is None else {**shown, "owner_contact": contact}


def _invalid(invalid: Invalid) -> Response:
    return JSON({"error": "Invalid request data", "details": invalid.issues}, 400)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
