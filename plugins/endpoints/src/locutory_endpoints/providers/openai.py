"""The built-in endpoints ``openAI`` and ``azureOpenAI`` (endpoints §1.1, §3, §4.3)."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from locutory import Principal
from locutory_contracts.models import ChatModel, ModelRefused
from locutory_endpoints.config import USER_PROVIDED
from locutory_endpoints.keystore import NO_KEY, UserCredentials
from locutory_endpoints.providers import azure
from locutory_endpoints.providers.custom import NO_URL
from locutory_endpoints.providers.deps import OPENAI_BASE, ProviderDeps, bearer, secrets_of
from locutory_endpoints.tables import defaults
from locutory_endpoints.wire.body import Dialect, request_base
from locutory_endpoints.wire.headers import personal
from locutory_endpoints.wire.lists import Listing, ListRequest


class OpenAIProvider:
    """`locutory_contracts.models.Provider` of openAI and azureOpenAI; also knows the lists
    of the assistants endpoints, which come from the same place."""

    def __init__(self, deps: ProviderDeps) -> None:
        self._deps = deps
        self._entries: tuple[object, Mapping[str, Mapping[str, Any]]] = (None, {})
        self._models: tuple[tuple[object, ...], Mapping[str, Sequence[str]]] = ((), {})
        self._list_requests: tuple[object, list[ListRequest | None]] = (None, [])

    async def entries(self, principal: Principal | None) -> Mapping[str, Mapping[str, Any]]:
        """openAI and azureOpenAI where they are configured."""
        deployment = self._deps.deployment
        if self._entries[0] is deployment:
            return self._entries[1]
        config = deployment.config
        found: dict[str, Mapping[str, Any]] = {}
        if config.openai_api_key:
            found["openAI"] = _entry(config.openai_api_key, config.openai_reverse_proxy)
        if deployment.section.get("azureOpenAI") is not None:
            found["azureOpenAI"] = {"userProvide": False}
        elif config.azure_api_key:
            found["azureOpenAI"] = _entry(config.azure_api_key, config.azure_base_url)
        self._entries = (deployment, found)
        return found

    async def models(self, principal: Principal | None) -> Mapping[str, Sequence[str]]:
        """Lists of openAI, azureOpenAI, assistants and azureAssistants (models §2)."""
        deployment = self._deps.deployment
        config = deployment.config
        requests = self._requests_for_lists()
        listings = [
            Listing() if request is None else await self._deps.lists.ask(request)
            for request in requests
        ]
        state = (deployment, *(listing.models for listing in listings))
        before = self._models[0]
        if len(before) == len(state) and all(a is b for a, b in zip(before, state, strict=True)):
            return self._models[1]
        openai, assistants = (listing.models for listing in listings)
        models: dict[str, Sequence[str]] = {
            "openAI": config.openai_models or list(openai or defaults.OPENAI),
            "azureOpenAI": azure.model_names(deployment)
            or config.azure_models
            or list(defaults.OPENAI_SHARED),
            "assistants": config.assistants_models or list(assistants or defaults.ASSISTANTS),
            "azureAssistants": azure.assistant_models(deployment)
            or config.openai_models
            or list(openai or defaults.OPENAI_SHARED),
        }
        self._models = (state, models)
        return models

    def _requests_for_lists(self) -> list[ListRequest | None]:
        """Questions for the lists of openAI and assistants; ``None`` where nothing is asked."""
        deployment = self._deps.deployment
        if self._list_requests[0] is deployment:
            return self._list_requests[1]
        config = deployment.config
        key = config.openai_api_key
        askable = bool(key) and key != USER_PROVIDED
        wanted = (
            ("openAI", askable and not config.openai_models, config.openai_reverse_proxy),
            (
                "assistants",
                askable and bool(config.assistants_api_key) and not config.assistants_models,
                config.assistants_base_url,
            ),
        )
        requests = [
            self._list_request(name, str(key), base) if ask and base != USER_PROVIDED else None
            for name, ask, base in wanted
        ]
        self._list_requests = (deployment, requests)
        return requests

    def _list_request(self, name: str, key: str, base: str | None) -> ListRequest:
        url = _list_root(base) if base else OPENAI_BASE
        configured = self._deps.deployment.headers("openAI")
        headers = bearer({} if personal(configured) else configured, key)
        return ListRequest(
            name=name,
            base=url,
            client=self._deps.configured(url),
            headers={**headers, **self._organization(url)},
            official=url == OPENAI_BASE,
            redirect_client=self._deps.redirect_client(url, guarded=False),
        )

    def _organization(self, url: str) -> dict[str, str]:
        organization = self._deps.deployment.config.openai_organization
        host = urlsplit(url).hostname or ""
        return {"OpenAI-Organization": organization} if organization and "openai" in host else {}

    async def open(
        self, endpoint: str, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        """A connection to a model; `ModelRefused` for missing keys and addresses."""
        if endpoint == "azureOpenAI":
            return await self._open_azure(model, settings, principal)
        config = self._deps.deployment.config
        stored = await self._user_credentials(
            endpoint, principal, config.openai_api_key, config.openai_reverse_proxy
        )
        own_key = config.openai_api_key == USER_PROVIDED
        own_url = config.openai_reverse_proxy == USER_PROVIDED
        key = (stored.api_key if own_key else config.openai_api_key) or ""
        url = (stored.base_url if own_url else config.openai_reverse_proxy) or ""
        if own_url and not url:
            raise ModelRefused(NO_URL)
        if not key:
            raise ModelRefused(NO_KEY if own_key else f"{endpoint} API Key not provided.")
        if own_url:
            await self._deps.refuse_private(url)
        url = (url or OPENAI_BASE).rstrip("/")
        configured = {} if own_url else self._deps.deployment.headers(endpoint)
        headers = {**bearer(configured, key), **self._organization(url)}
        dialect = Dialect(
            official=True, usage=config.ask_usage, openrouter="openrouter" in url.lower()
        )
        return self._deps.connect(
            f"{url}/chat/completions",
            guarded=own_url,
            headers=headers,
            base=request_base(model, settings, principal.id, dialect),
            dialect=dialect,
            principal=principal,
            secrets=secrets_of(url, key, configured),
        )

    async def _open_azure(
        self, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        deployment = self._deps.deployment
        config = deployment.config
        guarded = False
        if deployment.section.get("azureOpenAI") is not None:
            resource = azure.from_groups(deployment, model)
            if resource is None:
                raise ModelRefused(f"azureOpenAI has no model '{model}'.")
        else:
            stored = await self._user_credentials(
                "azureOpenAI", principal, config.azure_api_key, config.azure_base_url
            )
            own_key = config.azure_api_key == USER_PROVIDED
            if own_key and not stored.api_key:
                raise ModelRefused(NO_KEY)
            # With a user's key the instance in the host name is the user's too.
            base_url = config.azure_base_url or azure.DEFAULT_BASE
            guarded = base_url == USER_PROVIDED or (own_key and "${INSTANCE_NAME}" in base_url)
            if config.azure_base_url == USER_PROVIDED:
                if not stored.base_url:
                    raise ModelRefused(NO_URL)
                config = config.model_copy(update={"azure_base_url": stored.base_url})
            resource = azure.from_environment(config, model, stored.api_key if own_key else None)
            if guarded:
                await self._deps.refuse_private(resource.url)
        common = deployment.filled(
            {} if guarded else (deployment.section.get("all") or {}).get("headers") or {}
        )
        headers = {**common, **resource.headers}
        dialect = Dialect(
            official=True,
            usage=config.ask_usage,
            extra=resource.extra,
            dropped=resource.dropped,
        )
        base = request_base(model, settings, principal.id, dialect)
        return self._deps.connect(
            resource.url,
            guarded=guarded,
            headers=headers,
            base={**base, "model": resource.model},
            dialect=dialect,
            principal=principal,
            query=resource.query,
            secrets=secrets_of(resource.url, resource.key, headers),
        )

    async def _user_credentials(
        self, endpoint: str, principal: Principal, key: str | None, url: str | None
    ) -> UserCredentials:
        """Key and address that the user stored; empty when nothing has to be stored. `ModelRefused`
        ``no_user_key`` when it is missing."""
        if USER_PROVIDED not in (key, url):
            return UserCredentials()
        found = await self._deps.keys.values(principal.id, endpoint)
        if found is None:
            raise ModelRefused(NO_KEY)
        return found

    def describe(self, endpoint: str) -> Mapping[str, Any]:
        """The endpoint's block of the configuration file."""
        found = self._deps.deployment.section.get(endpoint)
        return found if isinstance(found, Mapping) else {}


def _entry(key: str, url: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"userProvide": key == USER_PROVIDED}
    if url:
        entry["userProvideURL"] = url == USER_PROVIDED
    return entry


def _list_root(url: str) -> str:
    """The address of a reverse proxy's model list: cut after ``/v1``."""
    head, mark, _ = url.partition("/v1")
    return head + mark if mark else url.rstrip("/")
