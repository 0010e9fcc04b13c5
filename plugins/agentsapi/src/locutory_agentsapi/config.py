"""Settings: LibreChat's section ``endpoints.agents.remoteApi``, and one limit of our own."""

# ruff: noqa: N815  (names of librechat.yaml)

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from locutory import option


class Config(BaseModel):
    """Settings of the plugin."""

    model_config = ConfigDict(extra="forbid")

    max_keys: int = option(100, "API keys that a user may have", ge=1)


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class ApiKeySwitch(_Part):
    """``endpoints.agents.remoteApi.auth.apiKey``."""

    enabled: StrictBool = Field(True, description="API keys are accepted")


class RemoteAuth(_Part):
    """``endpoints.agents.remoteApi.auth``."""

    apiKey: ApiKeySwitch | None = None


class RemoteApi(_Part):
    """``endpoints.agents.remoteApi``."""

    auth: RemoteAuth | None = None


class AgentsEndpoint(_Part):
    """``endpoints.agents``."""

    remoteApi: RemoteApi | None = None


class EndpointsSection(_Part):
    """What this plugin reads of ``endpoints``; the rest is other plugins'."""

    agents: AgentsEndpoint | None = None


def remote_auth(endpoints: Any) -> Mapping[str, Any]:
    """``endpoints.agents.remoteApi.auth`` as written, or an empty mapping."""
    found = endpoints
    for name in ("agents", "remoteApi", "auth"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def keys_enabled(endpoints: Any) -> bool:
    """Are API keys accepted? So long as nothing says otherwise."""
    switch = remote_auth(endpoints).get("apiKey")
    return not (isinstance(switch, Mapping) and switch.get("enabled") is False)
