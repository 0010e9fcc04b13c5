"""Azure OpenAI: which resource serves a model, and how it is addressed (endpoints §4.3)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from locutory_contracts.models import ModelRefused
from locutory_endpoints.config import EndpointsConfig
from locutory_endpoints.deployment import Deployment, as_list, as_mapping
from locutory_endpoints.keystore import INVALID_KEY
from locutory_endpoints.wire.headers import expand

DEFAULT_BASE = "https://${INSTANCE_NAME}.openai.azure.com/openai/deployments/${DEPLOYMENT_NAME}"


@dataclass(frozen=True, slots=True)
class Resource:
    """The address, key and parameters with which one model of Azure is reached."""

    url: str
    model: str
    key: str = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def model_names(deployment: Deployment) -> list[str]:
    """Models of the configured groups, in their order."""
    return [
        str(model) for group in _groups(deployment) for model in as_mapping(group.get("models"))
    ]


def assistant_models(deployment: Deployment) -> list[str]:
    """Models of the groups that serve assistants."""
    found = []
    for group in _groups(deployment):
        for model, value in as_mapping(group.get("models")).items():
            if group.get("assistants") is True or as_mapping(value).get("assistants") is True:
                found.append(str(model))
    return found


def _groups(deployment: Deployment) -> list[Mapping[str, Any]]:
    azure = as_mapping(deployment.section.get("azureOpenAI"))
    return [as_mapping(group) for group in as_list(azure.get("groups"))]


def from_groups(deployment: Deployment, model: str) -> Resource | None:
    """The resource of a configured group; ``None`` when no group has the model.

    `ModelRefused` when its environment is missing.
    """
    for group in _groups(deployment):
        models = as_mapping(group.get("models"))
        if model not in models:
            continue
        own = as_mapping(models[model])

        def value(name: str, group: Mapping[str, Any] = group, own: Mapping[str, Any] = own) -> str:
            text = expand(str(own.get(name) or group.get(name) or ""), deployment.environment)
            if "${" in text and name != "baseURL":
                raise ModelRefused(f"azureOpenAI: {name} of this model is not set on the server.")
            return text

        serverless = group.get("serverless") is True
        version = value("version")
        key = value("apiKey")
        headers = {
            **deployment.filled(as_mapping(group.get("additionalHeaders"))),
            "api-key": key,
        }
        if serverless:
            url, served = f"{value('baseURL').rstrip('/')}/chat/completions", model
        else:
            served = value("deploymentName") or model
            base = value("baseURL") or DEFAULT_BASE
            url = f"{_addressed(base, value('instanceName'), served)}/chat/completions"
        return Resource(
            url=url,
            model=served,
            key=key,
            query={"api-version": version} if version else {},
            headers=headers,
            extra=as_mapping(group.get("addParams")),
            dropped=tuple(str(name) for name in as_list(group.get("dropParams"))),
        )
    return None


def from_environment(config: EndpointsConfig, model: str, stored_key: str | None) -> Resource:
    """The resource of the environment form; ``stored_key`` is the user's stored replacement.
    `ModelRefused` when something is missing."""
    key, instance = config.azure_api_key or "", config.azure_instance or ""
    served, version = config.azure_deployment or "", config.azure_version or ""
    if stored_key is not None:
        own = _credentials(stored_key)
        key = own.get("azureOpenAIApiKey", "")
        instance = own.get("azureOpenAIApiInstanceName") or instance
        served = own.get("azureOpenAIApiDeploymentName") or served
        version = own.get("azureOpenAIApiVersion") or version
    if config.azure_model_as_deployment or not served:
        served = model.replace(".", "")
    if not key or not version or not (instance or config.azure_base_url):
        raise ModelRefused("azureOpenAI API Key not provided.")
    base = config.azure_base_url or DEFAULT_BASE
    return Resource(
        url=f"{_addressed(base, instance, served)}/chat/completions",
        model=config.azure_default_model or served,
        key=key,
        query={"api-version": version},
        headers={"api-key": key},
    )


def _addressed(base: str, instance: str, served: str) -> str:
    host = instance.removesuffix(".openai.azure.com")
    url = base.replace("${INSTANCE_NAME}", host).replace("${DEPLOYMENT_NAME}", served)
    return url.rstrip("/")


def _credentials(text: str) -> dict[str, str]:
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ModelRefused(INVALID_KEY)
    return {name: value for name, value in parsed.items() if isinstance(value, str)}
