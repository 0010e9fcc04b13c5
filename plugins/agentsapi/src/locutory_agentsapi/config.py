"""Settings: LibreChat's section ``endpoints.agents.remoteApi``, its variables for OpenID keys,
and options of our own."""

# ruff: noqa: N815  (names of librechat.yaml)

from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator

from locutory import env, option
from locutory_agentsapi.routes.form import Name

WELL_KNOWN = "/.well-known/openid-configuration"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def acceptable(url: str) -> bool:
    """Encrypted, or on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    here = parts.hostname in _LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))


class AgentsApiConfig(BaseModel):
    """Settings of the plugin."""

    model_config = ConfigDict(extra="forbid")

    max_keys: int = option(100, "API keys that a user may have", ge=1)
    answer_form: Name = option(
        "openai",
        "What answers hold when the request header X-Answer-Form does not say: openai, what "
        "OpenAI's SDKs understand; librechat, also the tool calls that the server ran, and "
        "reasoning under LibreChat's event names",
    )
    first_event_seconds: float = option(
        5,
        "How long a stream waits for the model's first word, so that a failure can be told by "
        "its status",
        ge=0,
        le=30,
    )
    ping_seconds: float = option(
        10, "A silent stream gets a comment this often, for the proxies on its way", gt=0, le=60
    )
    remembered_hours: float = option(
        24,
        "How long a response without `store` can be gone on from by previous_response_id; kept "
        "in memory or Redis, never in the database; 0: not at all",
        ge=0,
    )
    remembered_mb: int = option(
        64, "Memory for these responses, in MiB for each process; the oldest go first", ge=1
    )
    openid_issuer: str | None = env(
        "OPENID_ISSUER", None, "Issuer that people sign in with; accounts without one are its"
    )
    openid_jwks_url: str | None = env(
        "OPENID_JWKS_URL", None, "Keys of the issuer of access tokens, when the file names none"
    )
    openid_jwks_cache: bool = env(
        "OPENID_JWKS_URL_CACHE_ENABLED", True, "Remember the issuer's keys"
    )
    openid_jwks_cache_ms: int = env(
        "OPENID_JWKS_URL_CACHE_TIME", 60_000, "For how long, in ms", ge=0
    )


def _address(value: str) -> str:
    if not acceptable(value):
        raise ValueError("must be an https:// address (http:// only on localhost)")
    return value


Address = Annotated[str, AfterValidator(_address)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class ApiKeySwitch(_Part):
    """``endpoints.agents.remoteApi.auth.apiKey``."""

    enabled: StrictBool = Field(True, description="API keys are accepted")


class OidcSwitch(_Part):
    """``endpoints.agents.remoteApi.auth.oidc``."""

    enabled: StrictBool = Field(False, description="Access tokens of an issuer are accepted")
    issuer: Address | None = Field(None, description="Who signs them")
    audience: str | None = Field(None, description="For whom they are")
    jwksUri: Address | None = Field(None, description="Where the issuer's keys are")
    scope: str | None = Field(None, description="Scopes that they must have, space-separated")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and not (self.issuer and self.audience):
            raise ValueError("issuer and audience are needed")
        return self


class RemoteAuth(_Part):
    """``endpoints.agents.remoteApi.auth``."""

    apiKey: ApiKeySwitch | None = None
    oidc: OidcSwitch | None = None


class RemoteApi(_Part):
    """``endpoints.agents.remoteApi``."""

    auth: RemoteAuth | None = None


class AgentsEndpoint(_Part):
    """``endpoints.agents``."""

    remoteApi: RemoteApi | None = None


class EndpointsSection(_Part):
    """The part of ``endpoints`` that this plugin reads; other plugins read the rest."""

    agents: AgentsEndpoint | None = None


def remote_auth(endpoints: Any) -> Mapping[str, Any]:
    """``endpoints.agents.remoteApi.auth`` as written, or an empty mapping."""
    found = endpoints
    for name in ("agents", "remoteApi", "auth"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def keys_enabled(endpoints: Any) -> bool:
    """``True`` when API keys are accepted, which is the default."""
    switch = remote_auth(endpoints).get("apiKey")
    return not (isinstance(switch, Mapping) and switch.get("enabled") is False)


def oidc_of(endpoints: Any) -> OidcSwitch | None:
    """The issuer whose access tokens are accepted; ``None`` when that is off."""
    given = remote_auth(endpoints).get("oidc")
    if not isinstance(given, Mapping) or given.get("enabled") is not True:
        return None
    return OidcSwitch.model_validate(given)
