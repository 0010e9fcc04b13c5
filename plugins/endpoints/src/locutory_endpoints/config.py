"""Settings of the plugin (endpoints §3, keys.md)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from locutory import env, option

USER_PROVIDED = "user_provided"
"""The value of a key or address that every user enters for himself."""


class EndpointsConfig(BaseModel):
    """Keys may be the word ``user_provided``; secrets are left out of the representation."""

    model_config = ConfigDict(extra="forbid")

    endpoints: list[str] = env(
        "ENDPOINTS", list, "Built-in endpoints to offer, in order; 'custom' places the custom ones"
    )
    title_convo: bool = env("TITLE_CONVO", True, "Let models name new conversations")

    openai_api_key: str | None = env(
        "OPENAI_API_KEY",
        None,
        "Key of OpenAI; unset: the endpoint openAI is not offered",
        repr=False,
    )
    openai_reverse_proxy: str | None = env(
        "OPENAI_REVERSE_PROXY", None, "Address to use in place of https://api.openai.com/v1"
    )
    openai_models: list[str] = env("OPENAI_MODELS", list, "Models of openAI; unset: asked for")
    openai_organization: str | None = env("OPENAI_ORGANIZATION", None, "OpenAI organization")

    azure_api_key: str | None = env("AZURE_API_KEY", None, "Key of Azure OpenAI", repr=False)
    azure_instance: str | None = env(
        "AZURE_OPENAI_API_INSTANCE_NAME", None, "Instance name, as in <name>.openai.azure.com"
    )
    azure_deployment: str | None = env(
        "AZURE_OPENAI_API_DEPLOYMENT_NAME", None, "Deployment that answers"
    )
    azure_version: str | None = env("AZURE_OPENAI_API_VERSION", None, "API version of Azure OpenAI")
    azure_base_url: str | None = env(
        "AZURE_OPENAI_BASEURL",
        None,
        "Base address; may hold ${INSTANCE_NAME} and ${DEPLOYMENT_NAME}",
    )
    azure_default_model: str | None = env(
        "AZURE_OPENAI_DEFAULT_MODEL", None, "Model that Azure is always asked for"
    )
    azure_model_as_deployment: bool = env(
        "AZURE_USE_MODEL_AS_DEPLOYMENT_NAME", False, "The deployment is named like the model"
    )
    azure_models: list[str] = env("AZURE_OPENAI_MODELS", list, "Models of azureOpenAI")

    assistants_api_key: str | None = env(
        "ASSISTANTS_API_KEY", None, "Key of assistants", repr=False
    )
    assistants_base_url: str | None = env("ASSISTANTS_BASE_URL", None, "Address of assistants")
    assistants_models: list[str] = env("ASSISTANTS_MODELS", list, "Models of assistants")
    azure_assistants_api_key: str | None = env(
        "AZURE_ASSISTANTS_API_KEY", None, "Key of azureAssistants", repr=False
    )
    anthropic_api_key: str | None = env("ANTHROPIC_API_KEY", None, "Key of Anthropic", repr=False)
    anthropic_models: list[str] = env("ANTHROPIC_MODELS", list, "Models of anthropic")
    google_key: str | None = env("GOOGLE_KEY", None, "Key of Google", repr=False)
    google_models: list[str] = env("GOOGLE_MODELS", list, "Models of google")
    bedrock_bearer_token: str | None = env(
        "BEDROCK_AWS_BEARER_TOKEN", None, "Bearer token of Bedrock", repr=False
    )
    bedrock_secret_access_key: str | None = env(
        "BEDROCK_AWS_SECRET_ACCESS_KEY", None, "Secret access key of Bedrock", repr=False
    )
    bedrock_profile: str | None = env("BEDROCK_AWS_PROFILE", None, "AWS profile of Bedrock")
    bedrock_default_region: str | None = env(
        "BEDROCK_AWS_DEFAULT_REGION", None, "AWS region of Bedrock"
    )
    bedrock_models: list[str] = env("BEDROCK_AWS_MODELS", list, "Models of bedrock")

    ask_usage: bool = env(
        "LOCUTORY_ASK_USAGE",
        False,
        "Ask every custom endpoint to report token usage at the end of a stream",
    )
    need_finish_reason: bool = env(
        "LOCUTORY_NEED_FINISH_REASON",
        True,
        "A stream that ends without finish_reason or usage was cut off; false: it was complete",
    )
    guide: Literal["auto", "always", "never"] = env(
        "LOCUTORY_GUIDE",
        "auto",
        "Offer the built-in guide: auto = while nothing else is configured",
    )
    ollama: bool = env("LOCUTORY_OLLAMA", True, "Offer a local Ollama when one answers")
    ollama_url: str = env(
        "LOCUTORY_OLLAMA_URL", "http://127.0.0.1:11434", "Where Ollama is looked for"
    )
    connect_seconds: float = option(10.0, "Wait for a provider's connection at most", gt=0)
    idle_seconds: float = option(
        600.0,
        "Wait for the next piece of an answer at most; the whole answer may take longer",
        gt=0,
    )
    retries: int = option(3, "Further tries when a provider is busy or unreachable", ge=0, le=10)
    retry_seconds: float = option(0.5, "Wait before the first further try; doubles each time", ge=0)
    list_seconds: float = option(5.0, "Wait for a provider's model list at most", gt=0)
