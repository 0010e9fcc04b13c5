"""The declaration of the plugin."""

from typing import ClassVar

from beanie import Document
from bson import ObjectId
from pydantic import BaseModel

from locutory import (
    AUTHENTICATORS,
    POLICY,
    Action,
    Context,
    On,
    PermissionGroup,
    Plugin,
    Provide,
    Route,
    hook,
)
from locutory_agentsapi.authenticator import GROUP, KeyAuthenticator
from locutory_agentsapi.config import Config, EndpointsSection, keys_enabled
from locutory_agentsapi.documents import AgentApiKey
from locutory_agentsapi.owner import Owners
from locutory_agentsapi.routes.completions import Completions
from locutory_agentsapi.routes.keys import KeyRoutes
from locutory_agentsapi.routes.remote import RemoteRoutes
from locutory_agentsapi.routes.responses import Responses
from locutory_agentsapi.service import Keys
from locutory_contracts.accounts import ACCOUNT_STANDING, ACCOUNTS, AccountDeleted
from locutory_contracts.agents import AGENT_RUNS, STORED_AGENTS
from locutory_contracts.conversations import CONVERSATIONS


class AgentsApiPlugin(Plugin):
    """``/api/api-keys`` and ``/api/agents/v1``."""

    name = "agentsapi"
    summary = "API keys, and the OpenAI-compatible API that programs reach agents by"
    Config = Config
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {"endpoints": EndpointsSection}
    provides = (AUTHENTICATORS,)
    wants = (ACCOUNTS, ACCOUNT_STANDING, AGENT_RUNS, CONVERSATIONS, POLICY, STORED_AGENTS)

    @hook
    def documents(self) -> list[type[Document]]:
        return [AgentApiKey]

    @hook
    def permissions(self) -> list[PermissionGroup]:
        actions = {
            "USE": Action(user=False, summary="Make API keys and reach agents by them"),
            "CREATE": Action(user=False, summary="Offer agents to programs"),
            "SHARE": Action(user=False, summary="Let others reach an agent by their keys"),
            "SHARE_PUBLIC": Action(user=False, summary="Let everybody do so"),
        }
        return [PermissionGroup(GROUP, actions, "Agents from outside, by API key")]

    @hook
    def services(self, ctx: Context) -> list[Provide]:
        config: Config = ctx.config
        self._keys = Keys(ctx.database, config.max_keys)
        self._authenticator = KeyAuthenticator(
            self._keys,
            Owners(ctx.services),
            ctx.services,
            ctx.permission_groups,
            enabled=keys_enabled(ctx.section("endpoints")),
        )
        return [Provide(AUTHENTICATORS, self._authenticator, "api-key")]

    @hook
    def subscriptions(self) -> list[On]:
        async def account_deleted(fact: AccountDeleted) -> None:
            if ObjectId.is_valid(fact.user_id):
                await self._keys.delete_all(ObjectId(fact.user_id))

        return [On(AccountDeleted, account_deleted)]

    @hook
    def routes(self, ctx: Context) -> list[Route]:
        config: Config = ctx.config
        own = KeyRoutes(self._keys, self._authenticator, config.max_keys)
        remote = RemoteRoutes(
            ctx.services, Completions(ctx.services, ctx.log), Responses(ctx.services, ctx.log)
        )
        return [*own.all(), *remote.all()]
