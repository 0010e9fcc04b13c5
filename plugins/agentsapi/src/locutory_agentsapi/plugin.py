"""The declaration of the plugin."""

from typing import TYPE_CHECKING, ClassVar

from beanie import Document
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
from locutory_agentsapi.account_data import ApiKeyData
from locutory_agentsapi.authenticator import GROUP, KeyAuthenticator
from locutory_agentsapi.config import (
    WELL_KNOWN,
    AgentsApiConfig,
    EndpointsSection,
    keys_enabled,
    oidc_of,
)
from locutory_agentsapi.documents import AgentApiKey
from locutory_agentsapi.owner import Owners
from locutory_agentsapi.routes.completions import Completions
from locutory_agentsapi.routes.keys import KeyRoutes
from locutory_agentsapi.routes.remote import RemoteRoutes
from locutory_agentsapi.routes.response_cache import ResponseCache
from locutory_agentsapi.routes.response_reader import ResponseReader
from locutory_agentsapi.routes.response_writer import ResponseWriter
from locutory_agentsapi.routes.responses import Responses
from locutory_agentsapi.routes.running import StreamTimeouts
from locutory_agentsapi.routes.threads import Threads
from locutory_agentsapi.service import Keys
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.accounts import ACCOUNT_STANDING, ACCOUNTS
from locutory_contracts.agents import AGENT_RUNS, STORED_AGENTS
from locutory_contracts.conversations import CONVERSATIONS
from locutory_contracts.sign_in import SIGN_INS

if TYPE_CHECKING:
    from locutory_agentsapi.access_tokens import AccessTokens


class AgentsApiPlugin(Plugin):
    """``/api/api-keys`` and ``/api/agents/v1``."""

    name = "agentsapi"
    summary = "API keys, and the OpenAI-compatible API that programs reach agents by"
    Config = AgentsApiConfig
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {"endpoints": EndpointsSection}
    provides = (AUTHENTICATORS, ACCOUNT_DATA)
    wants = (
        ACCOUNTS,
        ACCOUNT_STANDING,
        AGENT_RUNS,
        CONVERSATIONS,
        POLICY,
        SIGN_INS,
        STORED_AGENTS,
    )

    @hook
    def setup(self, ctx: Context[AgentsApiConfig]) -> None:
        config = ctx.config
        self._keys = Keys(ctx.database, config.max_keys)
        self._authenticator = KeyAuthenticator(
            self._keys,
            Owners(ctx.services),
            ctx.policy,
            ctx.routes,
            enabled=keys_enabled(ctx.section("endpoints")),
            tokens=_access_tokens(ctx),
        )
        self._cache = ResponseCache(
            ctx.cache, config.remembered_hours * 3600, config.remembered_mb * 1024 * 1024
        )
        self._account_data = ApiKeyData(self._keys, self._cache)

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
    def services(self) -> list[Provide]:
        return [
            Provide(AUTHENTICATORS, self._authenticator, "api-key"),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    @hook
    def subscriptions(self) -> list[On]:
        return account_events(self._account_data)

    @hook
    def routes(self, ctx: Context[AgentsApiConfig]) -> list[Route]:
        config = ctx.config
        own = KeyRoutes(self._keys, self._authenticator, config.max_keys)
        services, form = ctx.services, config.answer_form
        timeouts = StreamTimeouts(config.first_event_seconds, config.ping_seconds)
        threads = Threads(services, self._cache)
        writer = ResponseWriter(services, self._cache, ctx.log)
        remote = RemoteRoutes(
            services,
            Completions(services, form, timeouts, ctx.log),
            Responses(services, threads, writer, form, timeouts, ctx.log),
            ResponseReader(threads, self._cache),
        )
        return [*own.all(), *remote.all()]


def _access_tokens(ctx: Context[AgentsApiConfig]) -> "AccessTokens | None":
    """The checker of access tokens; ``None`` when none are accepted."""
    config = ctx.config
    oidc = oidc_of(ctx.section("endpoints"))
    if oidc is None or not oidc.issuer or not oidc.audience:
        return None
    # The library of signatures is only for those who want this.
    from locutory_agentsapi.access_tokens import AccessTokens, Demands
    from locutory_agentsapi.issuer_keys import IssuerKeys

    issuer, own = _normal(oidc.issuer), _normal(config.openid_issuer or "")
    keys = IssuerKeys(
        issuer,
        oidc.jwksUri or config.openid_jwks_url,
        config.openid_jwks_cache_ms / 1000 if config.openid_jwks_cache else 0,
        ctx.kernel.outgoing,
        ctx.log,
    )
    scopes = frozenset((oidc.scope or "").split())
    return AccessTokens(
        Demands(issuer, oidc.audience, scopes, issuer == own), keys, ctx.services, ctx.log
    )


def _normal(issuer: str) -> str:
    """An issuer as it is compared and stored."""
    return issuer.strip().rstrip("/").removesuffix(WELL_KNOWN).rstrip("/")
