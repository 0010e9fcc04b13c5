"""Settings of the plugin. LibreChat has none for prompts except ``interface.prompts``, which sets
permissions and is read by the plugin that stores these."""

from pydantic import BaseModel, ConfigDict

from locutory import option


class PromptsConfig(BaseModel):
    """Settings of prompts."""

    model_config = ConfigDict(extra="forbid")

    uses_per_minute: int = option(
        30, "How often a user may report the use of a prompt, each minute", ge=1
    )
