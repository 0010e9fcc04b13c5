"""Settings of the plugin. LibreChat has none for prompts but ``interface.prompts``, which is
about permissions and read by whoever keeps these."""

from pydantic import BaseModel, ConfigDict

from locutory import option


class PromptsConfig(BaseModel):
    """Settings of prompts."""

    model_config = ConfigDict(extra="forbid")

    uses_per_minute: int = option(
        30, "How often a user may report the use of a prompt, each minute", ge=1
    )
