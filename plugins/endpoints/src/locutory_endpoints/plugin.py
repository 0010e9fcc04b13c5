"""Declaration of the plugin ``endpoints``."""

from collections.abc import Iterable
from typing import ClassVar

from beanie import Document
from pydantic import BaseModel

from locutory import (
    NEXT_STEPS,
    Check,
    Context,
    On,
    PhaseTask,
    Plugin,
    Principal,
    Provide,
    Route,
    hook,
)
from locutory_contracts.account_data import ACCOUNT_DATA, account_events
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.models import CATALOGUE, LLM_PROVIDERS, MODELS_IN_USE, TOKENS
from locutory_contracts.offers import AGENT_CAPABILITIES
from locutory_contracts.startup import STARTUP_CONFIG
from locutory_endpoints.account_data import KeyData
from locutory_endpoints.config import EndpointsConfig
from locutory_endpoints.deployment import read_deployment
from locutory_endpoints.documents import UserKey
from locutory_endpoints.keystore import KeyStore
from locutory_endpoints.providers.custom import CustomProvider
from locutory_endpoints.providers.deps import ProviderDeps
from locutory_endpoints.providers.guide import ENDPOINT as GUIDE
from locutory_endpoints.providers.guide import GuideProvider
from locutory_endpoints.providers.ollama import OllamaProvider
from locutory_endpoints.providers.openai import OpenAIProvider
from locutory_endpoints.routes import Routes
from locutory_endpoints.sections import EndpointsSection, ModelSpecsSection
from locutory_endpoints.service import ModelCatalogue
from locutory_endpoints.startup import ModelStartup
from locutory_endpoints.tokens import O200kCounter
from locutory_endpoints.wire.connections import Connections
from locutory_endpoints.wire.lists import ModelLists

_AT_THE_START = {"connect_seconds", "idle_seconds", "list_seconds"}


class EndpointsPlugin(Plugin):
    """Language models: the picker, model lists, users' keys, OpenAI-compatible providers."""

    name = "endpoints"
    summary = "Language models: endpoints, model lists, user keys, OpenAI-compatible providers"
    Config = EndpointsConfig
    sections: ClassVar[dict[str, type[BaseModel] | None]] = {
        "endpoints": EndpointsSection,
        "modelSpecs": ModelSpecsSection,
    }
    reloads = ("endpoints", "modelSpecs", *(EndpointsConfig.model_fields.keys() - _AT_THE_START))
    provides = (CATALOGUE, LLM_PROVIDERS, TOKENS, STARTUP_CONFIG, NEXT_STEPS, ACCOUNT_DATA)
    wants = (AGENT_CAPABILITIES, STORED_AGENTS, LLM_PROVIDERS, MODELS_IN_USE)

    @hook
    def setup(self, ctx: Context[EndpointsConfig]) -> None:
        config = ctx.config
        self._config_ref = config_ref = ctx.config_ref(read_deployment)
        self._keys = KeyStore(ctx.database, ctx.credentials)
        self._account_data = KeyData(self._keys)
        self._connections = Connections(
            ctx.kernel.outgoing, config.connect_seconds, config.idle_seconds
        )
        self._lists = ModelLists(config.list_seconds)
        deps = ProviderDeps(config_ref, self._connections, self._lists, self._keys)
        self._custom = CustomProvider(deps)
        self._openai = OpenAIProvider(deps)
        self._ollama = OllamaProvider(deps)
        self._tokens = O200kCounter()
        self._catalogue = ModelCatalogue(config_ref, ctx.services)

    @hook
    def documents(self) -> Iterable[type[Document]]:
        return [UserKey]

    @hook
    def services(self) -> Iterable[Provide]:
        return [
            Provide(CATALOGUE, self._catalogue),
            Provide(TOKENS, self._tokens),
            Provide(LLM_PROVIDERS, self._openai, "openai"),
            Provide(LLM_PROVIDERS, self._custom, "custom"),
            Provide(LLM_PROVIDERS, self._ollama, "ollama"),
            Provide(LLM_PROVIDERS, GuideProvider(self._config_ref, self._tokens), "guide"),
            Provide(STARTUP_CONFIG, ModelStartup(self._config_ref), "endpoints"),
            Provide(NEXT_STEPS, self._next_step, "endpoints"),
            Provide(ACCOUNT_DATA, self._account_data, self.name),
        ]

    async def _next_step(self) -> str | None:
        nobody = Principal("")
        if set(await self._catalogue.entries(nobody)) - {"agents", GUIDE}:
            return None
        return "say hello to the Guide, which explains how to add a language model"

    @hook
    def subscriptions(self) -> Iterable[On]:
        return account_events(self._account_data)

    @hook
    def routes(self) -> Iterable[Route]:
        return Routes(self._catalogue, self._keys).all()

    @hook
    def phases(self) -> Iterable[PhaseTask]:
        return [
            PhaseTask("post-startup tasks", "connections", self._probe_ollama, self._close),
        ]

    @hook
    def checks(self) -> Iterable[Check]:
        def says(text: str | None) -> Check:
            async def warn() -> str | None:
                return text

            return Check("models", warn, offline=True)

        warnings = self._config_ref.current.warnings
        return [
            *([says(warning) for warning in warnings] or [says(None)]),
            Check("capabilities", self._catalogue.advice, offline=True),
        ]

    @hook
    def reload(self) -> None:
        self._lists.forget()

    async def _probe_ollama(self) -> None:
        self._ollama.probe()

    async def _close(self) -> None:
        await self._ollama.close()
        await self._lists.close()
        await self._connections.close()
