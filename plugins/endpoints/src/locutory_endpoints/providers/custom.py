"""``endpoints.custom[]``: any OpenAI-compatible server that the operator named."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from locutory import Principal
from locutory_contracts.models import ChatModel, ModelRefused
from locutory_endpoints.deployment import CustomEndpoint, as_mapping
from locutory_endpoints.keystore import NO_KEY
from locutory_endpoints.providers.deps import ProviderDeps, bearer, secrets_of
from locutory_endpoints.wire.body import Dialect, request_base
from locutory_endpoints.wire.headers import fill, personal
from locutory_endpoints.wire.lists import Listing, ListRequest

log = structlog.get_logger("locutory.endpoints")

NO_URL = '{"type":"no_base_url"}'
_OPENROUTER_TITLE = {"X-Title": "Locutory"}


class CustomProvider:
    """`locutory_contracts.models.Provider` of the custom endpoints."""

    def __init__(self, deps: ProviderDeps) -> None:
        self._deps = deps
        self._entries: tuple[object, Mapping[str, Mapping[str, Any]]] = (None, {})
        self._models: tuple[tuple[object, ...], Mapping[str, Sequence[str]]] = ((), {})
        self._list_requests: dict[str, tuple[CustomEndpoint, ListRequest]] = {}

    async def entries(self, principal: Principal | None) -> Mapping[str, Mapping[str, Any]]:
        """The usable custom endpoints; the same object until the configuration changes."""
        deployment = self._deps.deployment
        if self._entries[0] is not deployment:
            found = {
                name: endpoint.entry()
                for name, endpoint in deployment.custom.items()
                if endpoint.problem is None
            }
            self._entries = (deployment, found)
        return self._entries[1]

    async def models(self, principal: Principal | None) -> Mapping[str, Sequence[str]]:
        """Model names; the same object as before while no list has changed."""
        custom = self._deps.deployment.custom
        listings = await self._all_listings(principal)
        state = (custom, *(listing.models for listing in listings.values()))
        before = self._models[0]
        if len(before) == len(state) and all(a is b for a, b in zip(before, state, strict=True)):
            return self._models[1]
        models = {
            name: list((listings[name].models if name in listings else ()) or endpoint.models)
            for name, endpoint in custom.items()
        }
        self._models = (state, models)
        return models

    async def _all_listings(self, principal: Principal | None) -> dict[str, Listing]:
        """Lists of the endpoints that are asked: known ones at once, the others together."""
        found: dict[str, Listing] = {}
        unknown: list[CustomEndpoint] = []
        for endpoint in self._deps.deployment.custom.values():
            if not endpoint.fetch or endpoint.problem is not None:
                continue
            listing = None
            if not self._personal(endpoint):
                listing = self._fresh(endpoint)
            if listing is None:
                unknown.append(endpoint)
                found[endpoint.name] = Listing()
            else:
                found[endpoint.name] = listing
        if len(unknown) == 1:
            found[unknown[0].name] = await self._listing(unknown[0], principal)
        elif unknown:
            answers = await asyncio.gather(*(self._listing(each, principal) for each in unknown))
            found.update(zip((each.name for each in unknown), answers, strict=True))
        return found

    async def token_config(
        self, endpoint: str, principal: Principal
    ) -> Mapping[str, Mapping[str, float]]:
        """Windows and prices from the model list; empty for most providers."""
        found = self._deps.deployment.custom.get(endpoint)
        if found is None or not found.fetch or found.problem is not None:
            return {}
        return (await self._listing(found, principal)).token_config

    async def open(
        self, endpoint: str, model: str, settings: Mapping[str, Any], principal: Principal
    ) -> ChatModel:
        """A connection to a model. `ModelRefused` for endpoints that cannot answer, and for keys
        and addresses that the user should have given."""
        found = self._deps.deployment.custom.get(endpoint)
        if found is None:
            raise ModelRefused(f"EndpointsConfig not found for the {endpoint} custom endpoint.")
        if found.problem is not None:
            raise ModelRefused(f"The endpoint {endpoint} cannot be used: {found.problem}.")
        key, url = await self._credentials(found, principal)
        if found.user_url:
            await self._deps.refuse_private(url)
        headers = bearer(self._headers(found), key)
        dialect = dialect_of(found, self._deps.deployment.config.ask_usage)
        direct = found.options.get("directEndpoint") is True
        return self._deps.connect(
            url if direct else f"{url}/chat/completions",
            guarded=found.user_url,
            headers=headers,
            base=request_base(model, settings, principal.id, dialect),
            dialect=dialect,
            principal=principal,
            reasoning=reasoning_keys(found.params),
            secrets=secrets_of(url, key, headers),
        )

    def describe(self, endpoint: str) -> Mapping[str, Any]:
        """The item of the configuration file."""
        found = self._deps.deployment.custom.get(endpoint)
        return {} if found is None else found.options

    def _headers(self, endpoint: CustomEndpoint) -> dict[str, str]:
        """Headers to send; none of the operator's go to an address that a user gave."""
        own = _OPENROUTER_TITLE if endpoint.openrouter else {}
        return {**own} if endpoint.user_url else {**own, **endpoint.headers}

    async def _credentials(self, endpoint: CustomEndpoint, principal: Principal) -> tuple[str, str]:
        key, url = endpoint.api_key, endpoint.base_url
        if not endpoint.user_key and not endpoint.user_url:
            return key, url
        stored = await self._deps.keys.values(principal.id, endpoint.name)
        if stored is None or not stored.api_key:
            raise ModelRefused(NO_KEY)
        if endpoint.user_url:
            url = stored.base_url.rstrip("/")
            if not url:
                raise ModelRefused(NO_URL)
        return stored.api_key, url

    def _personal(self, endpoint: CustomEndpoint) -> bool:
        """``True`` when the model list depends on the caller."""
        return (
            endpoint.user_key
            or endpoint.user_url
            or endpoint.user_query
            or personal(endpoint.headers)
        )

    def _fresh(self, endpoint: CustomEndpoint) -> Listing | None:
        try:
            return self._deps.lists.fresh(self._shared_request(endpoint))
        except Exception:
            return None  # `_listing` says why

    async def _listing(self, endpoint: CustomEndpoint, principal: Principal | None) -> Listing:
        """The list of an endpoint; empty when it cannot be had. A fault of one takes nothing
        from the others."""
        try:
            return await self._fetch_listing(endpoint, principal)
        except Exception:
            log.exception("models.endpoint_failed", endpoint=endpoint.name)
            return Listing()

    async def _fetch_listing(
        self, endpoint: CustomEndpoint, principal: Principal | None
    ) -> Listing:
        if not self._personal(endpoint):
            return await self._deps.lists.ask(self._shared_request(endpoint))
        if principal is None:
            return Listing()
        try:
            key, url = await self._credentials(endpoint, principal)
        except ModelRefused:
            return Listing()
        return await self._deps.lists.ask(self._list_request(endpoint, key, url, principal))

    def _shared_request(self, endpoint: CustomEndpoint) -> ListRequest:
        """The question of an endpoint that answers everybody alike."""
        known = self._list_requests.get(endpoint.name)
        if known is None or known[0] is not endpoint:
            request = self._list_request(endpoint, endpoint.api_key, endpoint.base_url, None)
            known = self._list_requests[endpoint.name] = (endpoint, request)
        return known[1]

    def _list_request(
        self, endpoint: CustomEndpoint, key: str, url: str, principal: Principal | None
    ) -> ListRequest:
        if endpoint.options.get("directEndpoint") is True:
            url = root_of(url)
        headers = self._headers(endpoint)
        if principal is not None:
            headers = fill(headers, principal)
        owner = "" if principal is None else principal.id
        return ListRequest(
            name=endpoint.name,
            base=url,
            client=self._deps.guarded() if endpoint.user_url else self._deps.configured(url),
            headers=bearer(headers, key),
            owner=owner,
            query=f"?user={owner}" if endpoint.user_query and owner else "",
            ollama=endpoint.name.lower().startswith("ollama"),
            redirect_client=self._deps.redirect_client(url, guarded=endpoint.user_url),
        )


def root_of(url: str) -> str:
    """The root of a direct address: the part before ``/chat/completions``, else up to and including
    ``/v1``."""
    for end in ("/chat/completions", "/completions", "/responses"):
        if url.endswith(end):
            return url[: -len(end)]
    head, mark, _ = url.partition("/v1")
    return head + mark


def dialect_of(endpoint: CustomEndpoint, usage: bool) -> Dialect:
    """The dialect of a custom endpoint."""
    params = endpoint.params or {}
    options = endpoint.options
    added = as_mapping(options.get("addParams"))
    vercel = "ai-gateway.vercel.sh" in endpoint.base_url or "vercel" in endpoint.name.lower()
    return Dialect(
        # As upstream: many servers refuse stream_options, so the operator asks for it.
        usage=usage or added.get("streamUsage") is True,
        openrouter=endpoint.openrouter,
        reasoning_format=params.get("reasoningFormat")
        or ("reasoning_object" if vercel else "reasoning_effort"),
        extra=added,
        dropped=tuple(str(name) for name in options.get("dropParams") or ()),
        defaults=defaults_of(endpoint),
        reasoning_in_turn=params.get("includeReasoningContent") is True,
        reasoning_in_history=params.get("includeReasoningHistory") is True,
    )


def defaults_of(endpoint: CustomEndpoint) -> dict[str, Any]:
    """Defaults that the operator set in ``paramDefinitions``; the panel's own do not count."""
    found = {"promptCache": True} if endpoint.openrouter else {}
    for item in as_mapping(endpoint.options.get("customParams")).get("paramDefinitions") or ():
        if item.get("default") not in (None, ""):
            found[str(item.get("key"))] = item["default"]
    return found


def reasoning_keys(params: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The members that hold reasoning, the configured one first."""
    both = ("reasoning_content", "reasoning")
    chosen = (params or {}).get("reasoningKey")
    return both[::-1] if chosen == "reasoning" else both
