"""The operator's configuration, read once and made ready for use.

A `Deployment` never changes; a reload makes a new one.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from locutory import Context, Environment, http_address
from locutory_configfile import dotted, faults_of
from locutory_endpoints.config import USER_PROVIDED, EndpointsConfig
from locutory_endpoints.sections import Custom
from locutory_endpoints.specs import Specs, read_specs
from locutory_endpoints.tables.defaults import BUILT_IN_ORDER
from locutory_endpoints.tables.definitions import overridden
from locutory_endpoints.wire.headers import expand, unset_variable

Options = Mapping[str, Any]

_NEAR = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".svc")
"""Ends of names that no public name has."""


@dataclass(frozen=True, slots=True)
class CustomEndpoint:
    """One usable item of ``endpoints.custom``, with its environment variables replaced.
    ``problem``: the reason why it cannot answer; such an endpoint is not offered."""

    name: str
    api_key: str = field(repr=False)
    base_url: str
    options: Options
    headers: Mapping[str, str] = field(repr=False)
    params: Options | None
    models: tuple[str, ...]
    fetch: bool
    user_query: bool
    problem: str | None = None

    @property
    def user_key(self) -> bool:
        """``True`` when every user provides their own key."""
        return self.api_key == USER_PROVIDED

    @property
    def user_url(self) -> bool:
        """``True`` when every user provides their own address."""
        return self.base_url == USER_PROVIDED

    @property
    def openrouter(self) -> bool:
        """``True`` when this endpoint uses OpenRouter's dialect."""
        panel = (self.params or {}).get("defaultParamsEndpoint")
        if panel in ("anthropic", "google"):
            return False
        return panel == "openrouter" or "openrouter" in f"{self.name} {self.base_url}".lower()

    def entry(self) -> dict[str, Any]:
        """This endpoint in ``GET /api/endpoints``, without ``order``."""
        entry: dict[str, Any] = {
            "type": "custom",
            "userProvide": self.user_key or self.user_url,
            "userProvideURL": self.user_url,
        }
        if self.params is not None:
            entry["customParams"] = self.params
        for name in ("modelDisplayLabel", "iconURL"):
            if self.options.get(name):
                entry[name] = self.options[name]
        return entry


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything the operator decided about models."""

    config: EndpointsConfig
    environment: Environment = field(repr=False)
    section: Options = field(repr=False)
    specs: Specs
    custom: Mapping[str, CustomEndpoint]
    order: tuple[str, ...]
    custom_order: int
    allowed_addresses: tuple[str, ...]
    context_cost: bool
    show_prices: bool
    warnings: tuple[str, ...]

    def options(self, endpoint: str) -> Options:
        """Options of an endpoint, ``endpoints.all`` on top (endpoints §4.1)."""
        custom = self.custom.get(endpoint)
        own = custom.options if custom is not None else as_mapping(self.section.get(endpoint))
        common = {
            key: value
            for key, value in as_mapping(self.section.get("all")).items()
            if value is not None and key != "baseURL"
        }
        return {**own, **common}

    def chosen(self, endpoint: str, model: str) -> bool:
        """``True`` when the operator names this model, as a default of its endpoint or for titles.
        The endpoint's server need not list it then."""
        custom = self.custom.get(endpoint)
        if custom is not None and model in custom.models:
            return True
        for name in {*self.custom, *self.section, endpoint} - {"all", "custom"}:
            options = self.options(name)
            target = options.get("titleEndpoint") or name
            if target == endpoint and options.get("titleModel") == model:
                return True
        return False

    def headers(self, endpoint: str) -> dict[str, str]:
        """Configured headers of an endpoint over those of ``endpoints.all``."""
        custom = self.custom.get(endpoint)
        if custom is not None:
            return dict(custom.headers)
        merged = {
            **as_mapping(as_mapping(self.section.get("all")).get("headers")),
            **as_mapping(as_mapping(self.section.get(endpoint)).get("headers")),
        }
        return self.filled(merged)

    def filled(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Operator-written headers with the environment filled in."""
        return {str(name): expand(str(value), self.environment) for name, value in values.items()}


def as_mapping(value: Any) -> Options:
    """``value`` when it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """``value`` when it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def normal_name(name: str) -> str:
    """The name an endpoint is known by: ``ollama`` in any case is ``ollama``."""
    return "ollama" if name.lower() == "ollama" else name


def read_deployment(ctx: Context[EndpointsConfig]) -> Deployment:
    """Read configuration and environment of a kernel. Unusable parts become warnings."""
    config = ctx.config
    section = as_mapping(ctx.section("endpoints"))
    custom: dict[str, CustomEndpoint] = {}
    warnings: list[str] = []
    for number, item in enumerate(as_list(section.get("custom"))):
        wrong = _wrong(item, custom)
        if wrong:
            name = as_mapping(item).get("name") or number
            warnings.append(f"endpoints.custom.{number}: '{name}' is left out: {wrong}")
        else:
            endpoint = _custom(item, ctx.environment, warnings)
            custom[endpoint.name] = endpoint
    specs, dropped = read_specs(ctx.section("modelSpecs"), set(custom))
    warnings += dropped
    warnings += _without_plugin(config)
    reverse = config.openai_reverse_proxy
    if reverse and reverse != USER_PROVIDED and not http_address(reverse):
        warnings.append("OPENAI_REVERSE_PROXY is no address (https://host/v1)")
    order = tuple(config.endpoints) or BUILT_IN_ORDER
    interface = as_mapping(ctx.section("interface"))
    balance = as_mapping(ctx.section("balance"))
    balanced = balance.get("enabled", ctx.environment.get("CHECK_BALANCE", "").lower() == "true")
    cost = interface.get("contextCost") is True
    return Deployment(
        config=config,
        environment=ctx.environment,
        section=section,
        specs=specs,
        custom=custom,
        order=order,
        custom_order=order.index("custom") if "custom" in order else 9999,
        allowed_addresses=tuple(str(entry) for entry in as_list(section.get("allowedAddresses"))),
        context_cost=cost,
        show_prices=cost or balanced is True,
        warnings=tuple(warnings),
    )


def _wrong(item: Any, others: Mapping[str, CustomEndpoint]) -> str:
    """The errors of an item of ``endpoints.custom``; "" when it is valid."""
    faults = [
        ": ".join(filter(None, (dotted(fault.path), fault.text)))
        + (f" ({fault.fix})" if fault.fix else "")
        for fault in faults_of(Custom, item)
    ]
    if not faults and normal_name(item["name"]) in others:
        faults = ["another one has this name"]
    return "; ".join(faults)


def _needs_key(url: str) -> bool:
    """``True`` when the name of a server suggests that it is outside of this machine and its
    network."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return "." in host and not host.endswith(_NEAR)


def _custom(item: Options, environment: Environment, warnings: list[str]) -> CustomEndpoint:
    """A custom endpoint. A fault that keeps it from answering is a warning, and its ``problem``."""
    models = as_mapping(item.get("models"))
    name, key, url = item.get("name"), item.get("apiKey") or "", item.get("baseURL")
    name = normal_name(str(name))
    key, url = expand(str(key), environment), expand(str(url), environment).rstrip("/")
    problem = None
    for what, text in (("apiKey", key), ("baseURL", url)):
        missing = unset_variable(text)
        if missing is not None:
            problem = f"{what} needs the environment variable {missing}, which is not set"
    if problem is None and url != USER_PROVIDED:
        if not http_address(url):
            problem = "baseURL is no address (https://host/v1)"
        elif not key and not item.get("headers") and _needs_key(url):
            problem = "apiKey is missing; only servers of the own network can go without"
    if item.get("provider") == "anthropic":
        problem = (
            "'provider: anthropic' (the native protocol) needs a plugin that is not installed; "
            "use the OpenAI-compatible address of the provider without 'provider'"
        )
    if problem is not None:
        warnings.append(f"the endpoint '{name}' is not offered: {problem}")
    headers = {
        str(header): expand(str(value), environment)
        for header, value in as_mapping(item.get("headers")).items()
    }
    return CustomEndpoint(
        name=name,
        api_key=key,
        base_url=url,
        options=item,
        headers=headers,
        params=_params(item, url),
        models=tuple(_model_names(models.get("default"))),
        fetch=models.get("fetch") is True,
        user_query=models.get("userIdQuery") is True,
        problem=problem,
    )


def _model_names(value: Any) -> list[str]:
    names = [item.get("name") if isinstance(item, Mapping) else item for item in as_list(value)]
    return [name for name in names if isinstance(name, str) and name]


def _params(item: Options, url: str) -> Options | None:
    """``customParams`` as clients see them: completed definitions, dialects recognised."""
    given = item.get("customParams")
    params = dict(as_mapping(given))
    panel = params.get("defaultParamsEndpoint") or "custom"
    if panel == "custom" and item.get("provider") == "anthropic":
        panel = "anthropic"
    definitions = list(as_list(params.get("paramDefinitions")))
    is_openrouter = "openrouter" in f"{item.get('name')} {url}".lower()
    if is_openrouter and panel in ("custom", "openrouter"):
        panel = "openrouter"
        if not any(as_mapping(each).get("key") == "promptCache" for each in definitions):
            definitions.append({"key": "promptCache", "default": True})
    elif given is None and panel == "custom":
        return None
    params["defaultParamsEndpoint"] = panel
    params["paramDefinitions"] = overridden(panel, [as_mapping(each) for each in definitions])
    return params


def _without_plugin(config: EndpointsConfig) -> list[str]:
    """Warnings for keys whose provider this installation does not have."""
    found = {
        "assistants": ("ASSISTANTS_API_KEY", config.assistants_api_key),
        "azureAssistants": ("AZURE_ASSISTANTS_API_KEY", config.azure_assistants_api_key),
        "anthropic": ("ANTHROPIC_API_KEY", config.anthropic_api_key),
        "google": ("GOOGLE_KEY", config.google_key),
        "bedrock": (
            "BEDROCK_AWS_…",
            config.bedrock_bearer_token
            or config.bedrock_secret_access_key
            or config.bedrock_profile
            or config.bedrock_default_region,
        ),
    }
    return [
        f"{variable} is set, but no installed plugin speaks to '{endpoint}': the endpoint is not "
        "offered"
        for endpoint, (variable, value) in found.items()
        if value
    ]
