"""Creating and changing agents: the checks and derived fields before they are stored (contract
agents §5)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from locutory import HTTPError, Principal, Raw
from locutory_agentbuilder.access_control import MISSING, AccessControl
from locutory_agentbuilder.config import DEFAULT_ENVIRONMENT, Deployment
from locutory_agentbuilder.definition.fields import LONGEST_NAME, SETTABLE
from locutory_agentbuilder.definition.references import (
    ITSELF,
    in_edges,
    in_subagents,
    point_to,
    subagents_pointing_to,
)
from locutory_agentbuilder.definition.resources import (
    CONTEXT,
    OLD_CONTEXT,
    Resources,
    attached,
    code_callers_fit,
    with_context,
)
from locutory_agentbuilder.definition.tools import EXECUTE_CODE, kept_tools, mcp_servers
from locutory_agentbuilder.definition.versions import restoring
from locutory_agentbuilder.service import Agents, new_agent_id

_CODE_FIELDS = ("stateful_code_sessions", "stateful_code_environment")


class AgentEditor:
    """Checks and completes the fields of agents that are written. The rights of the caller on the
    agent itself are checked before."""

    def __init__(
        self,
        agents: Agents,
        access_control: AccessControl,
        resources: Resources,
        deployment: Deployment,
    ) -> None:
        self._agents = agents
        self._access_control = access_control
        self._resources = resources
        self.deployment = deployment

    async def create(self, principal: Principal, fields: Mapping[str, Any]) -> Raw:
        """A new agent. 400 and 403 for references that cannot be followed."""
        return await self._make(principal, dict(fields), new_agent_id(), ITSELF)

    async def duplicate(self, principal: Principal, agent: Mapping[str, Any]) -> Raw:
        """A copy that belongs to the caller, with the files of its context that are theirs."""
        copy = {key: agent[key] for key in SETTABLE if agent.get(key) is not None}
        stamp = f" ({_stamp(datetime.now())})"
        copy["name"] = str(agent.get("name") or "")[: LONGEST_NAME - len(stamp)] + stamp
        files = copy.pop("tool_resources", None)
        context = with_context(files).get(CONTEXT) if isinstance(files, Mapping) else None
        if context is not None:
            copy["tool_resources"] = {CONTEXT: context}
        return await self._make(principal, copy, new_agent_id(), str(agent["id"]))

    async def _make(
        self, principal: Principal, fields: Raw, agent_id: str, previous_id: str
    ) -> Raw:
        """Store a new agent. ``previous_id``: the id that meant the agent itself until now."""
        fields["id"] = agent_id
        fields["tools"] = kept_tools(fields.get("tools") or ())
        servers = mcp_servers(fields["tools"])
        if servers:
            fields["mcpServerNames"] = servers
        self._check_code(fields)
        for old in dict.fromkeys((previous_id, ITSELF)):
            self._replace_references(fields, old, agent_id)
        await self._check_references(principal, fields, agent_id)
        fields = await self._resources.existing_skills(fields)
        if "tool_resources" in fields:
            files = await self._resources.own_files(fields["tool_resources"], principal.id)
            fields["tool_resources"] = files
        self._fit_callers(fields, fields)
        return await self._agents.create(principal, fields)

    async def update(
        self,
        principal: Principal,
        agent: Mapping[str, Any],
        fields: Raw,
        *,
        resets_avatar: bool = False,
    ) -> tuple[Raw, bool]:
        """Change an agent. Return it with its versions, and ``True`` when the newest of these
        already equals its new state."""
        agent_id = str(agent["id"])
        if "tools" in fields:
            fields["tools"] = kept_tools(fields["tools"])
            known = agent.get("mcpServerNames") or ()
            fields["mcpServerNames"] = mcp_servers(fields["tools"], known)
        self._check_code(fields, agent)
        self._replace_references(fields, ITSELF, agent_id)
        await self._check_references(principal, fields, agent_id)
        fields = await self._resources.existing_skills(fields)
        await self._check_files(principal, agent, fields)
        if "tools" in fields or "tool_options" in fields:
            self._fit_callers(fields, {**agent, **fields})
        gone = ["avatar"] if resets_avatar and "avatar" in agent else []
        return await self._write(agent["_id"], principal, fields, gone)

    async def revert(
        self, principal: Principal, agent: Mapping[str, Any], version: Mapping[str, Any]
    ) -> Raw:
        """Restore the state of a version of an agent. The versions are not changed."""
        agent_id = str(agent["id"])
        fields, _ = restoring(version, agent)
        if isinstance(fields.get("tools"), list):
            fields["tools"] = kept_tools(filter(_is_text, fields["tools"]))
        self._check_code(fields)
        self._replace_references(fields, ITSELF, agent_id)
        await self._check_references(principal, fields, agent_id)
        fields = await self._resources.existing_skills(fields)
        await self._check_files(principal, agent, fields)
        self._fit_callers(fields, {**agent, **fields})
        changed = await self._agents.change(
            agent["_id"], lambda before: (fields, restoring(version, before)[1])
        )
        if changed is None:
            raise HTTPError(404, MISSING)
        return changed[0]

    async def _write(
        self, key: ObjectId, principal: Principal, fields: Raw, gone: Sequence[str]
    ) -> tuple[Raw, bool]:
        changed = await self._agents.change(key, lambda _: (fields, gone), ObjectId(principal.id))
        if changed is None:
            raise HTTPError(404, MISSING)
        return changed

    async def _check_files(
        self, principal: Principal, agent: Mapping[str, Any], fields: Raw
    ) -> None:
        """Files that the agent has already stay; others must be the caller's."""
        stored = agent.get("tool_resources")
        stored = stored if isinstance(stored, Mapping) else {}
        resources = fields.get("tool_resources")
        if OLD_CONTEXT in stored:
            resources = stored if resources is None else with_context(resources)
            resources = {**resources, OLD_CONTEXT: stored[OLD_CONTEXT]}
        if isinstance(resources, Mapping):
            fields["tool_resources"] = await self._resources.own_files(
                resources, principal.id, attached(stored)
            )

    def _replace_references(self, fields: Raw, old: str, agent_id: str) -> None:
        if "edges" in fields:
            fields["edges"] = point_to(fields["edges"], old, agent_id)
        if "subagents" in fields:
            fields["subagents"] = subagents_pointing_to(fields["subagents"], old, agent_id)

    async def _check_references(
        self, principal: Principal, fields: Mapping[str, Any], agent_id: str
    ) -> None:
        named = {"edges": in_edges(fields.get("edges"))}
        if self.deployment.offers("subagents"):
            named["subagents"] = in_subagents(fields.get("subagents"))
        for where, names in named.items():
            others = [name for name in names if name != agent_id]
            if not others:
                continue
            found = await self._agents.find_many(others, principal.tenant)
            present = {agent["id"] for agent in found}
            missing = [name for name in others if name not in present]
            if missing:
                text = f"One or more agents referenced in {where} do not exist"
                raise HTTPError(400, {"error": text, "agent_ids": missing})
            unseen = await self._access_control.unseen(principal, found)
            if unseen:
                text = f"You do not have access to one or more agents referenced in {where}"
                raise HTTPError(403, {"error": text, "agent_ids": unseen})

    def _check_code(
        self, fields: Mapping[str, Any], agent: Mapping[str, Any] | None = None
    ) -> None:
        """Raise a 403 for a code environment that the deployment does not allow. The current one of
        an agent may stay until it is changed."""
        after = {**(agent or {}), **fields}
        if agent is not None:
            changed = any(
                name in fields and (fields[name] or None) != (agent.get(name) or None)
                for name in _CODE_FIELDS
            )
            begins = EXECUTE_CODE in (fields.get("tools") or ()) and EXECUTE_CODE not in (
                agent.get("tools") or ()
            )
            if not changed and not begins:
                return
        environment = after.get("stateful_code_environment") or DEFAULT_ENVIRONMENT
        if after.get("stateful_code_sessions") is not True:
            return
        if environment not in self.deployment.code_environments:
            text = "Stateful code environment is not allowed by this deployment"
            raise HTTPError(403, {"error": f"{text}: {environment}"})

    def _fit_callers(self, fields: Raw, after: Mapping[str, Any]) -> None:
        options = after.get("tool_options")
        fitting = code_callers_fit(options, after.get("tools"), self.deployment)
        if fitting is not options:
            fields["tool_options"] = fitting


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _stamp(moment: datetime) -> str:
    """Date and time as ``M/D/YY, HH:mm``."""
    return f"{moment.month}/{moment.day}/{moment:%y, %H:%M}"
