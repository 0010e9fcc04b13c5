# ruff: noqa: N815  (keys of the file)
"""The permitted content of ``librechat.yaml`` under ``endpoints`` and ``modelSpecs``.

Strict at the root of ``endpoints`` and in ``customParams``, tolerant elsewhere (config-yaml §1).
These models only validate: the raw values are used.
"""

import ipaddress
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from locutory_endpoints.tables.definitions import PANELS, keys_of_panel

BUILT_IN = (
    "openAI",
    "azureOpenAI",
    "google",
    "anthropic",
    "assistants",
    "azureAssistants",
    "agents",
    "bedrock",
    "custom",
)

_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})")


def private_authority(entry: str) -> str:
    """Check one entry of ``allowedAddresses``: ``host:port`` or ``[ipv6]:port``."""
    match = _AUTHORITY.fullmatch(entry)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise ValueError(f"'{entry}' is not host:port (no scheme, path, network or blank)")
    try:
        address = ipaddress.ip_address(match["six"] or match["host"])
    except ValueError:
        if match["six"]:
            raise ValueError(f"'{entry}' is not an address") from None
        return entry
    if not (address.is_private or address.is_loopback or address.is_link_local):
        raise ValueError(f"'{entry}' is public; only private addresses need an exemption")
    return entry


def _titled(template: str) -> str:
    if "{convo}" not in template:
        raise ValueError("must contain {convo}")
    return template


Authority = Annotated[str, AfterValidator(private_authority)]
Number = Annotated[float, Field(ge=0)]
Headers = dict[str, str]
ModelEntry = StrictStr | dict[str, Any]


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="allow")


class Common(_Tolerant):
    """Options of every endpoint (endpoints §4.1)."""

    streamRate: Number | None = None
    baseURL: StrictStr | None = None
    headers: Headers | None = None
    titleConvo: StrictBool | None = None
    titleModel: StrictStr | None = None
    titleMethod: Literal["completion", "functions", "structured"] | None = None
    titleEndpoint: StrictStr | None = None
    titlePrompt: StrictStr | None = None
    titlePromptTemplate: Annotated[StrictStr, AfterValidator(_titled)] | None = None
    titleTiming: Literal["immediate", "final"] | None = None
    maxToolResultChars: Number | None = None


class Anthropic(Common):
    """Options of anthropic; ``vertex`` and ``vertexConfig`` are two names of one block."""

    models: list[StrictStr] | None = None


class Bedrock(Common):
    """Options of bedrock."""

    models: list[StrictStr] | None = None
    availableRegions: list[StrictStr] | None = None


class AzureGroup(_Tolerant):
    """One resource of Azure and the models that it serves (endpoints §4.3)."""

    group: StrictStr
    apiKey: StrictStr
    instanceName: StrictStr | None = None
    deploymentName: StrictStr | None = None
    version: StrictStr | None = None
    baseURL: StrictStr | None = None
    serverless: StrictBool = False
    assistants: StrictBool = False
    addParams: dict[str, Any] | None = None
    dropParams: list[StrictStr] | None = None
    additionalHeaders: Headers | None = None
    models: dict[str, StrictBool | dict[str, Any]]

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.serverless and not self.baseURL:
            raise ValueError("a serverless group needs baseURL")
        if not self.serverless and not self.instanceName and not self.baseURL:
            raise ValueError("instanceName is missing (only serverless groups go without)")
        return self


class Azure(Common):
    """Options of azureOpenAI."""

    assistants: StrictBool | None = None
    groups: Annotated[list[AzureGroup], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [group.group for group in self.groups]
        models = [model for group in self.groups for model in group.models]
        for what, values in (("group", names), ("model", models)):
            doubled = next((value for value in values if values.count(value) > 1), None)
            if doubled is not None:
                raise ValueError(f"{what} '{doubled}' is named twice")
        return self


class Assistants(Common):
    """Options of assistants and azureAssistants."""

    version: StrictStr | float | None = None
    supportedIds: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    excludedIds: Annotated[list[StrictStr], Field(min_length=1)] | None = None
    privateAssistants: StrictBool | None = None
    disableBuilder: StrictBool | None = None
    retrievalModels: list[StrictStr] | None = None
    capabilities: list[StrictStr] | None = None


class CodeSessions(_Tolerant):
    """The code environments that may be chosen."""

    allowedEnvironments: (
        Annotated[list[Literal["user", "agent-user", "conversation"]], Field(min_length=1)] | None
    ) = None


class Agents(Common):
    """Options of agents that this plugin shows to clients; the rest belongs to agents."""

    disableBuilder: StrictBool | None = None
    allowedProviders: list[StrictStr] | None = None
    capabilities: list[StrictStr] | None = None
    statefulCodeSessions: CodeSessions | None = None


class ModelList(_Tolerant):
    """The sources of a custom endpoint's models."""

    default: Annotated[list[ModelEntry], Field(min_length=1)] | None = None
    fetch: StrictBool | None = None
    userIdQuery: StrictBool | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.default is None and not self.fetch:
            raise ValueError("give default names, or fetch: true")
        for entry in self.default or ():
            if isinstance(entry, dict) and not isinstance(entry.get("name"), str):
                raise ValueError("a model is a name, or an object with a name")
        return self


class CustomParams(BaseModel):
    """Names, display and transmission of a custom endpoint's parameters."""

    model_config = ConfigDict(extra="forbid")

    defaultParamsEndpoint: StrictStr = "custom"
    reasoningFormat: Literal["disabled", "reasoning_effort", "reasoning_object"] | None = None
    reasoningKey: Literal["reasoning", "reasoning_content"] | None = None
    includeReasoningContent: StrictBool | None = None
    includeReasoningHistory: StrictBool | None = None
    paramDefinitions: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        panel = self.defaultParamsEndpoint
        if panel not in PANELS:
            raise ValueError(
                f"defaultParamsEndpoint '{panel}' is unknown; one of {', '.join(sorted(PANELS))}"
            )
        known = keys_of_panel(panel)
        for definition in self.paramDefinitions or ():
            key = definition.get("key")
            if key not in known:
                raise ValueError(
                    f"paramDefinitions: '{key}' is no parameter of {panel}; one of "
                    f"{', '.join(sorted(known))}"
                )
        return self


class Rates(_Tolerant):
    """Prices in USD per million tokens, and the context window in tokens."""

    prompt: Number
    completion: Number
    context: Number
    cacheRead: Number | None = None
    cacheWrite: Number | None = None


class Custom(Common):
    """One item of ``endpoints.custom`` (endpoints §4.2)."""

    name: Annotated[StrictStr, Field(min_length=1)]
    apiKey: StrictStr | None = None
    baseURL: Annotated[StrictStr, Field(min_length=1)]
    models: ModelList
    iconURL: StrictStr | None = None
    modelDisplayLabel: StrictStr | None = None
    provider: Literal["anthropic"] | None = None
    addParams: dict[str, Any] | None = None
    dropParams: list[StrictStr] | None = None
    customParams: CustomParams | None = None
    directEndpoint: StrictBool | None = None
    titleMessageRole: Literal["system", "user", "assistant"] | None = None
    tokenConfig: dict[str, Rates] | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.name in BUILT_IN:
            raise ValueError(f"name '{self.name}' is taken by a built-in endpoint")
        if self.addParams and not isinstance(self.addParams.get("web_search", False), bool):
            raise ValueError("addParams.web_search must be true or false")
        return self


def _as_it_is(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:
        return value


Item = Annotated[Custom, WrapValidator(_as_it_is)]
"""A wrong custom endpoint does not invalidate the others: the deployment leaves it out with a
warning."""


class EndpointsSection(BaseModel):
    """The key ``endpoints``."""

    model_config = ConfigDict(extra="forbid")

    allowedAddresses: list[Authority] | None = None
    all: Common | None = None
    openAI: Common | None = None
    google: Common | None = None
    anthropic: Anthropic | None = None
    azureOpenAI: Azure | None = None
    azureAssistants: Assistants | None = None
    assistants: Assistants | None = None
    agents: Agents | None = None
    custom: list[Item] | None = None
    bedrock: Bedrock | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give at least one endpoint, or leave the key out")
        return self


class Subagents(_Tolerant):
    """Subagents of a spec."""

    enabled: StrictBool | None = None
    allowSelf: StrictBool | None = None
    agent_ids: list[StrictStr] | None = None


class Spec(_Tolerant):
    """One model spec (config-yaml §5)."""

    name: Annotated[StrictStr, Field(min_length=1)]
    label: StrictStr
    preset: dict[str, Any]
    order: float | None = None
    default: StrictBool | None = None
    softDefault: StrictBool | None = None
    description: StrictStr | None = None
    group: StrictStr | None = None
    groupIcon: StrictStr | None = None
    showIconInMenu: StrictBool | None = None
    showIconInHeader: StrictBool | None = None
    showOnLanding: StrictBool | None = None
    showInMenu: StrictBool | None = None
    conversation_starters: list[StrictStr] | None = None
    iconURL: StrictStr | None = None
    authType: Literal["override_auth", "user_provided", "system_defined"] | None = None
    hideBadgeRow: StrictBool | None = None
    webSearch: StrictBool | None = None
    fileSearch: StrictBool | None = None
    executeCode: StrictBool | None = None
    memory: StrictBool | None = None
    askUserQuestion: StrictBool | None = None
    runInBackground: StrictBool | list[StrictStr] | None = None
    describeIntent: StrictBool | list[StrictStr] | None = None
    artifacts: StrictBool | StrictStr | None = None
    mcpServers: list[StrictStr] | None = None
    skills: StrictBool | list[StrictStr] | None = None
    subagents: Subagents | None = None


class ModelSpecsSection(_Tolerant):
    """The key ``modelSpecs``."""

    enforce: StrictBool = False
    prioritize: StrictBool = True
    addedEndpoints: list[StrictStr] | None = None
    specs: list[Spec] = Field(default_factory=list, alias="list")

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [spec.name for spec in self.specs]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise ValueError(f"spec '{doubled}' is named twice")
        return self
