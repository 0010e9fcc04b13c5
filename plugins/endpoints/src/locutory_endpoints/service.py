"""All providers as one: the picker, the model lists, and models ready for a turn."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from locutory import ConfigRef, Principal, Services, encode
from locutory_contracts.agents import STORED_AGENTS
from locutory_contracts.models import (
    LLM_PROVIDERS,
    MODELS_IN_USE,
    ModelRefused,
    PreparedModel,
    Provider,
    TitleSettings,
)
from locutory_contracts.offers import active_capabilities
from locutory_contracts.prices import shown_prices
from locutory_endpoints.agents_entry import agents_entry, place_agents, wanted_capabilities
from locutory_endpoints.deployment import Deployment, as_list, as_mapping
from locutory_endpoints.keystore import refuse_expired
from locutory_endpoints.labels import sender
from locutory_endpoints.parameters import accepted, family
from locutory_endpoints.providers.guide import ENDPOINT as GUIDE
from locutory_endpoints.specs import TOOL_SWITCHES, applied
from locutory_endpoints.tables import defaults
from locutory_endpoints.tables.windows import UNKNOWN, window

log = structlog.get_logger("locutory.endpoints")

Entries = Mapping[str, Mapping[str, Any]]
Models = Mapping[str, Sequence[str]]

_PROVIDER_SECONDS = 15.0
_WITHOUT_ENTRY = frozenset(("assistants", "azureAssistants"))
_PRICE_NAMES = ("prompt", "completion", "cacheWrite", "cacheRead")


@dataclass(frozen=True, slots=True)
class _Memo:
    """Something made of other objects, good as long as they are the same objects."""

    sources: tuple[object, ...] = ()
    value: Any = None
    body: bytes = b""

    def is_from(self, sources: tuple[object, ...]) -> bool:
        """``True`` when this was made of these very objects."""
        kept = self.sources
        return len(kept) == len(sources) and all(a is b for a, b in zip(kept, sources, strict=True))


def _memo(sources: tuple[object, ...], value: Any) -> _Memo:
    return _Memo(sources, value, encode(value))


class ModelCatalogue:
    """`locutory_contracts.models.Catalogue`.

    Providers give the same mapping object as long as nothing changed; the merged answers
    and their JSON are kept as long as that holds, so the hot routes do not build anything.
    A provider that raises is left out and logged.
    """

    def __init__(self, config_ref: ConfigRef[Deployment], services: Services) -> None:
        self._config_ref = config_ref
        self._services = services
        self._served: frozenset[str] = frozenset()
        self._entries = _Memo()
        self._models = _Memo()
        self._tokens = _Memo()

    @property
    def _deployment(self) -> Deployment:
        return self._config_ref.current

    def providers(self) -> Mapping[str, Provider]:
        """Every provider by name."""
        return self._services.all(LLM_PROVIDERS)

    async def entries(self, principal: Principal) -> Entries:
        """The body of ``GET /api/endpoints``."""
        memo = await self._build_entries(principal)
        found: Entries = memo.value
        return found

    async def entries_body(self, principal: Principal) -> bytes:
        """The same as JSON."""
        return (await self._build_entries(principal)).body

    async def models(self, principal: Principal) -> Models:
        """The body of ``GET /api/models``."""
        memo = await self._build_models(principal)
        found: Models = memo.value
        return found

    async def models_body(self, principal: Principal) -> bytes:
        """The same as JSON."""
        return (await self._build_models(principal)).body

    async def _provider_parts(
        self, kind: str, principal: Principal
    ) -> dict[str, Mapping[str, Any]]:
        """Provider → its entries or models; one that fails or hangs is left out."""
        parts: dict[str, Mapping[str, Any]] = {}
        for name, provider in self.providers().items():
            try:
                async with asyncio.timeout(_PROVIDER_SECONDS):
                    parts[name] = await getattr(provider, kind)(principal)
            except Exception:
                log.exception("models.provider_failed", provider=name, asked=kind)
        return parts

    async def _build_entries(self, principal: Principal) -> _Memo:
        deployment = self._deployment
        parts = await self._provider_parts("entries", principal)
        sources = (deployment, self._capabilities(), *parts.values())
        found = self._entries
        if not found.is_from(sources):
            merged = self._merge_entries(deployment, parts.values())
            self._entries = found = _memo(sources, merged)
        return found

    async def advice(self) -> str | None:
        """A warning about features that the configuration offers without effect."""
        agents = as_mapping(self._deployment.section.get("agents"))
        if agents.get("capabilities") is None:
            return None
        vain = [name for name in wanted_capabilities(agents) if name not in self._capabilities()]
        if not vain:
            return None
        return f"endpoints.agents.capabilities: no enabled plugin serves {', '.join(vain)}"

    def _capabilities(self) -> frozenset[str]:
        """Capabilities of agents that plugins serve; the same object as long as it is the same."""
        found = active_capabilities(self._services)
        if found != self._served:
            self._served = found
        return self._served

    def _merge_entries(
        self, deployment: Deployment, parts: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        offered: dict[str, Mapping[str, Any]] = {}
        for part in parts:
            offered.update(part)
        offered.pop("agents", None)
        if deployment.config.guide == "auto" and len(offered) > 1:
            offered.pop(GUIDE, None)
        offered["agents"] = agents_entry(
            as_mapping(deployment.section.get("agents")),
            self._capabilities(),
            builder=self._services.find(STORED_AGENTS) is not None,
        )
        order = {name: place for place, name in enumerate(deployment.order)}
        merged: dict[str, dict[str, Any]] = {}
        for name, entry in offered.items():
            if name in defaults.BUILT_IN_ORDER:
                if name not in order and name != "agents":
                    continue
                place = order.get(name, len(order))
            else:
                place = deployment.custom_order
            merged[name] = {**entry, "order": place}
        place_agents(merged, ordered=bool(deployment.config.endpoints))
        return dict(sorted(merged.items(), key=lambda item: item[1]["order"]))

    async def _build_models(self, principal: Principal) -> _Memo:
        deployment = self._deployment
        parts = await self._provider_parts("models", principal)
        shown = await self._guide_shown(principal)
        sources = (deployment, shown, *parts.values())
        found = self._models
        if not found.is_from(sources):
            config = deployment.config
            bedrock = [
                str(name)
                for name in as_list(as_mapping(deployment.section.get("bedrock")).get("models"))
            ]
            merged: dict[str, Sequence[str]] = {
                "openAI": list(defaults.OPENAI),
                "google": config.google_models or list(defaults.GOOGLE),
                "anthropic": _vertex_models(deployment)
                or config.anthropic_models
                or list(defaults.ANTHROPIC),
                "azureOpenAI": list(defaults.OPENAI_SHARED),
                "assistants": list(defaults.ASSISTANTS),
                "azureAssistants": list(defaults.OPENAI_SHARED),
                "bedrock": bedrock or config.bedrock_models or list(defaults.BEDROCK),
            }
            for part in parts.values():
                merged.update(part)
            if not shown:
                merged.pop(GUIDE, None)
            self._models = found = _memo(sources, merged)
        return found

    async def _guide_shown(self, principal: Principal) -> bool:
        return GUIDE in (await self._build_entries(principal)).value

    async def token_config_body(self, principal: Principal) -> bytes:
        """The body of ``GET /api/endpoints/token-config``: windows, and prices if shown."""
        deployment = self._deployment
        models = await self.models(principal)
        configs = {name: await self._token_config(name, principal) for name in deployment.custom}
        sources = (deployment, models, *configs.values())
        found = self._tokens
        if not found.is_from(sources):
            costs = deployment.context_cost
            value = {
                endpoint: {
                    model: _token_entry(model, configs.get(endpoint) or {}, costs)
                    for model in names
                }
                for endpoint, names in models.items()
            }
            self._tokens = found = _memo(sources, value)
        return found.body

    async def _token_config(self, endpoint: str, principal: Principal) -> Mapping[str, Any]:
        """Windows and prices of an endpoint's models: the operator's, else the provider's."""
        own = self._deployment.options(endpoint).get("tokenConfig")
        if isinstance(own, Mapping):
            return own
        for provider in self.providers().values():
            ask = getattr(provider, "token_config", None)
            if ask is not None:
                found = await ask(endpoint, principal)
                if found:
                    return as_mapping(found)
        return {}

    def spec(self, body: Mapping[str, Any]) -> str | None:
        """The name of the model spec for a request body, or ``None``. Raises `ModelRefused`."""
        name, endpoint = body.get("spec"), body.get("endpoint")
        specs = self._deployment.specs
        chosen = specs.choose(name if isinstance(name, str) else None, str(endpoint))
        return None if chosen is None else str(chosen["name"])

    async def prepare(
        self, body: Mapping[str, Any], principal: Principal, *, internal: bool = False
    ) -> PreparedModel:
        """Settle endpoint, model, spec and parameters of a chat request body (see the contract).

        Raises `ModelRefused`: denials for specs, payloads of models §4 for models, of
        endpoints §5 for keys.
        """
        deployment = self._deployment
        endpoint = body.get("endpoint")
        if not isinstance(endpoint, str) or not endpoint:
            raise ModelRefused("Error parsing conversation", denial=True)
        custom = deployment.custom.get(endpoint)
        names = family(endpoint, None if custom is None else custom.params)
        settings = accepted(body, names)
        wanted = settings.get("spec") or body.get("spec")
        wanted = wanted if isinstance(wanted, str) else None
        spec = None if internal else deployment.specs.choose(wanted, endpoint)
        icon = None
        if spec is not None:
            enforce = deployment.specs.enforce
            settings = accepted(applied(spec, settings, enforce=enforce), names)
            icon = spec.get("iconURL") or None
            if icon is not None:
                settings["iconURL"] = icon
        model = settings.get("model") or await self._only_model(endpoint, principal)
        if not isinstance(model, str) or not model:
            raise ModelRefused(_payload("missing_model", endpoint))
        settings["model"] = model
        owner, provider = await self._owner(endpoint, model, principal)
        entry = as_mapping((await self.entries(principal)).get(endpoint))
        if entry.get("userProvide") or entry.get("userProvideURL"):
            refuse_expired(body.get("key"), endpoint)
        settings.setdefault("resendFiles", True)
        chat = await provider.open(endpoint, model, settings, principal)
        token_config = as_mapping((await self._token_config(endpoint, principal)).get(model))
        options = {**provider.describe(endpoint), **deployment.options(endpoint)}
        output = (
            settings.get("max_tokens")
            or settings.get("maxOutputTokens")
            or settings.get("maxTokens")
        )
        return PreparedModel(
            endpoint=endpoint,
            endpoint_type="custom" if entry.get("type") == "custom" else None,
            model=model,
            provider=_provider_name(owner, endpoint, custom is not None and custom.openrouter),
            sender=sender(
                endpoint,
                model,
                settings,
                None if spec is None else spec.get("label"),
                entry.get("modelDisplayLabel"),
            ),
            chat=chat,
            settings=settings,
            context_tokens=_context_tokens(settings, options, token_config, model),
            output_tokens=int(output) if output else None,
            prices=_prices(model, token_config) if deployment.show_prices else {},
            icon_url=icon,
            spec=None if spec is None else str(spec["name"]),
            spec_tools={}
            if spec is None
            else {key: spec[key] for key in TOOL_SWITCHES if spec.get(key) is not None},
            stream_rate_ms=_milliseconds(options.get("streamRate")),
            title=_title(options, deployment.config.title_convo),
        )

    async def _only_model(self, endpoint: str, principal: Principal) -> str | None:
        """The model of an endpoint that has no other, such as the guide."""
        names = (await self.models(principal)).get(endpoint) or ()
        return names[0] if len(names) == 1 else None

    def _named(self, endpoint: str, model: str) -> bool:
        """``True`` when the operator names this model somewhere."""
        uses = self._services.all(MODELS_IN_USE).values()
        return self._deployment.chosen(endpoint, model) or any(
            use() == (endpoint, model) for use in uses
        )

    async def _owner(self, endpoint: str, model: str, principal: Principal) -> tuple[str, Provider]:
        """The provider of an endpoint and its name, after checking that it has the model."""
        models = await self.models(principal)
        names = models.get(endpoint)
        if names is None:
            raise ModelRefused(_payload("endpoint_models_not_loaded", endpoint))
        if model not in names and not self._named(endpoint, model):
            raise ModelRefused(
                _payload("illegal_model_request", f"{endpoint}|{model}"),
                violation="illegal_model_request",
            )
        for kind in ("entries", "models"):  # one that is not offered can say why it refuses
            for name, part in (await self._provider_parts(kind, principal)).items():
                if endpoint in part and (kind == "entries" or endpoint not in _WITHOUT_ENTRY):
                    return name, self.providers()[name]
        raise ModelRefused(f"No installed plugin speaks to '{endpoint}'.")


def _payload(kind: str, info: str) -> str:
    escaped = encode(info).decode()
    return f'{{ "type": "{kind}", "info": {escaped} }}'


def _vertex_models(deployment: Deployment) -> list[str]:
    anthropic = as_mapping(deployment.section.get("anthropic"))
    vertex = as_mapping(anthropic.get("vertexConfig") or anthropic.get("vertex"))
    models = vertex.get("models") or anthropic.get("models")
    return [str(name) for name in models] if isinstance(models, list | Mapping) else []


def _token_entry(model: str, config: Mapping[str, Any], costs: bool) -> dict[str, float]:
    own = as_mapping(config.get(model))
    entry: dict[str, float] = {}
    context = own.get("context") or window(model)
    if context:
        entry["context"] = context
    if costs:
        entry.update(_prices(model, own))
    return entry


def _prices(model: str, config: Mapping[str, Any]) -> dict[str, float]:
    """Prices of the token configuration as a whole, else those of the table."""
    source = config if "prompt" in config or "completion" in config else shown_prices(model)
    return {name: source[name] for name in _PRICE_NAMES if source.get(name) is not None}


def _context_tokens(
    settings: Mapping[str, Any], options: Mapping[str, Any], config: Mapping[str, Any], model: str
) -> int:
    preset = next(
        (
            item.get("default")
            for item in as_list(as_mapping(options.get("customParams")).get("paramDefinitions"))
            if as_mapping(item).get("key") == "maxContextTokens"
        ),
        None,
    )
    for value in (settings.get("maxContextTokens"), preset, config.get("context"), window(model)):
        if isinstance(value, int | float) and value > 0:
            return int(value)
    return UNKNOWN


def _milliseconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


_SPEAKS_OPENAI = frozenset(("openai", "custom", "ollama"))


def _provider_name(owner: str, endpoint: str, openrouter: bool) -> str:
    """The name of the provider in usage events: of one that another plugin brought its own name."""
    if openrouter:
        return "openrouter"
    if owner not in _SPEAKS_OPENAI:
        return owner
    return endpoint if endpoint in defaults.BUILT_IN_ORDER else "openAI"


def _title(options: Mapping[str, Any], on: bool) -> TitleSettings:
    def text(name: str) -> str | None:
        value = options.get(name)
        return value if isinstance(value, str) and value else None

    model = text("titleModel")
    return TitleSettings(
        enabled=on and options.get("titleConvo") is not False,
        model=None if model == "current_model" else model,
        endpoint=text("titleEndpoint"),
        prompt=text("titlePrompt"),
        prompt_template=text("titlePromptTemplate"),
        method=text("titleMethod") or "completion",
        timing=text("titleTiming") or "immediate",
        message_role=text("titleMessageRole"),
    )
