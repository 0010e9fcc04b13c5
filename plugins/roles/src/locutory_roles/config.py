"""Settings of the plugin, and the parts of ``librechat.yaml`` that it reads."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictBool

from locutory import env, option


class RolesConfig(BaseModel):
    """Settings under ``plugins.roles``."""

    model_config = ConfigDict(extra="forbid")

    cache_seconds: float = option(
        5.0,
        "How long a role or its grants may be remembered, in seconds. Changes made by this server "
        "are seen at once, and with Redis those of every server",
        ge=0,
        le=300,
    )
    user_principals_cache_ttl_ms: int = env(
        "USER_PRINCIPALS_CACHE_TTL_MS",
        300_000,
        "How long the groups of a user may be remembered, in milliseconds; 0: never. Changes made "
        "by this server are seen at once, and with Redis those of every server",
        ge=0,
    )

    permissions: dict[str, dict[str, dict[str, StrictBool]]] = option(
        dict,
        "Permissions that every start writes into roles: role → permission type → permission → "
        "true or false, as {USER: {POLLS: {CREATE: true}}}. For the types of plugins, and for "
        "roles of your own; they win over `interface`",
    )


class _Section(BaseModel):
    """Other keys of the section belong to other plugins."""

    model_config = ConfigDict(extra="allow")


class Sharing(_Section):
    """``{use, create, share, public}`` of a feature; ``configureObo`` for MCP servers."""

    use: StrictBool | None = None
    create: StrictBool | None = None
    share: StrictBool | None = None
    public: StrictBool | None = None
    configureObo: StrictBool | None = None  # noqa: N815  (the key of the file)


class Links(_Section):
    """``{create, share, public}`` of shared links."""

    create: StrictBool | None = None
    share: StrictBool | None = None
    public: StrictBool | None = None


class Market(_Section):
    """``{use}`` of the agent marketplace."""

    use: StrictBool | None = None


class People(_Section):
    """``{users, groups, roles}`` that the people picker may show."""

    users: StrictBool | None = None
    groups: StrictBool | None = None
    roles: StrictBool | None = None


def _use(value: Any) -> Any:
    return {"use": value} if isinstance(value, bool) else value


def _every_link(value: Any) -> Any:
    return {"create": value, "share": value, "public": value} if isinstance(value, bool) else value


Feature = Annotated[Sharing, BeforeValidator(_use, json_schema_input_type=bool | Sharing)]

EveryLink = Annotated[Links, BeforeValidator(_every_link, json_schema_input_type=bool | Links)]


class InterfacePermissions(_Section):
    """The keys of ``interface`` that are written into the system roles (config-yaml §3)."""

    bookmarks: StrictBool | None = None
    multiConvo: StrictBool | None = None  # noqa: N815
    temporaryChat: StrictBool | None = None  # noqa: N815
    runCode: StrictBool | None = None  # noqa: N815
    webSearch: StrictBool | None = None  # noqa: N815
    fileSearch: StrictBool | None = None  # noqa: N815
    fileCitations: StrictBool | None = None  # noqa: N815
    memories: StrictBool | None = None
    prompts: Feature | None = None
    agents: Feature | None = None
    skills: Feature | None = None
    mcpServers: Feature | None = None  # noqa: N815
    remoteAgents: Feature | None = None  # noqa: N815
    marketplace: Market | None = None
    peoplePicker: People | None = None  # noqa: N815
    sharedLinks: EveryLink | None = None  # noqa: N815


class MemoryPermissions(_Section):
    """The keys of ``memory`` that decide on the permission group ``MEMORIES``."""

    disabled: StrictBool | None = None
    personalize: StrictBool | None = None
