"""Declaration of the plugin."""

from collections.abc import Iterable
from typing import ClassVar

from beanie import Document
from pydantic import BaseModel

from locutory import (
    POLICY,
    Action,
    Context,
    On,
    PermissionGroup,
    PhaseTask,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_agentbuilder.access_control import AccessControl
from locutory_agentbuilder.account_data import AgentData
from locutory_agentbuilder.account_deletion import OwnershipTransfer
from locutory_agentbuilder.authored import AuthoredAgents
from locutory_agentbuilder.categories import Categories
from locutory_agentbuilder.config import AgentBuilderConfig, EndpointsSection, read_deployment
from locutory_agentbuilder.definition.resources import Resources
from locutory_agentbuilder.documents import Agent, AgentCategory, PendingTransfer
from locutory_agentbuilder.editor import AgentEditor
from locutory_agentbuilder.listing.lists import Lists
from locutory_agentbuilder.listing.tools import ToolList
from locutory_agentbuilder.owner_contacts import OwnerContacts
from locutory_agentbuilder.resource_kind import KIND, REMOTE, AgentResource
from locutory_agentbuilder.routes.agents import AgentRoutes
from locutory_agentbuilder.routes.lists import ListRoutes
from locutory_agentbuilder.service import Agents
from locutory_agentbuilder.stored_agents import StoredAgentService
from locutory_contracts.access import ACCESS, AUTHORED, RESOURCE_KINDS
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNTS
from locutory_contracts.agents import AGENTS_PERMISSIONS, STORED_AGENTS
from locutory_contracts.files import FILES
from locutory_contracts.offers import AGENT_TOOLS
from locutory_contracts.people import PEOPLE


class AgentBuilderPlugin(Plugin):
    """Stored agents and their versions."""

    name = "agentbuilder"
    summary = "Agents that users make: versions, sharing, the marketplace and its categories"
    Config = AgentBuilderConfig
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {"endpoints": EndpointsSection}
    reloads = ("endpoints",)
    provides = (STORED_AGENTS, AUTHORED, RESOURCE_KINDS, ACCOUNT_DATA)
    wants = (ACCESS, ACCOUNTS, AGENT_TOOLS, FILES, PEOPLE, POLICY, RESOURCE_KINDS)

    @hook
    def setup(self, ctx: Context[AgentBuilderConfig]) -> None:
        config = ctx.config
        self._agents = Agents(ctx.database, ctx.services, config.max_agent_bytes, ctx.log)
        self._access_control = AccessControl(self._agents, ctx.services, ctx.policy, ctx.log)
        deployment = read_deployment(ctx.section("endpoints"))
        resources = Resources(ctx.services)
        self._editor = AgentEditor(self._agents, self._access_control, resources, deployment)
        self._categories = Categories(ctx.database)
        ownership_transfer = OwnershipTransfer(self._agents, ctx.database, ctx.services)
        self._account_data = AgentData(self._agents, ctx.services, ownership_transfer)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [Agent, AgentCategory, PendingTransfer]

    @hook
    def permissions(self) -> Iterable[PermissionGroup]:
        market = Action(user=False, summary="See the marketplace")
        marketplace = PermissionGroup("MARKETPLACE", {"USE": market}, "The marketplace of agents")
        return [marketplace, AGENTS_PERMISSIONS]

    @hook
    def services(self, ctx: Context) -> Iterable[Provide]:
        return [
            Provide(STORED_AGENTS, StoredAgentService(self._agents, self._access_control)),
            Provide(RESOURCE_KINDS, AgentResource(ctx.database), KIND),
            Provide(RESOURCE_KINDS, AgentResource(ctx.database, remote=True), REMOTE),
            Provide(AUTHORED, AuthoredAgents(self._agents), KIND),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> Iterable[On]:
        return account_events(self._account_data)

    @hook
    def routes(self, ctx: Context) -> Iterable[Route]:
        owner_contacts = OwnerContacts(ctx.services, ctx.log)
        lists = Lists(self._agents, self._access_control, owner_contacts)
        return [
            *ListRoutes(lists, self._categories, ToolList(ctx.services, ctx.log)).all(),
            *AgentRoutes(self._agents, self._access_control, self._editor, owner_contacts).all(),
        ]

    @hook
    def phases(self) -> Iterable[PhaseTask]:
        return [PhaseTask("permissions", "categories of agents", self._categories.seed)]

    @hook
    def reload(self, ctx: Context) -> None:
        self._editor.deployment = read_deployment(ctx.section("endpoints"))
