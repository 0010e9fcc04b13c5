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
    remembered_groups: int = option(
        20_000,
        "Prompts whose names and order are kept in memory for fast lists; in a database with "
        "more, lists read what they show. 0: never kept",
        ge=0,
    )
    remembered_bytes: int = option(
        16 * 1024 * 1024, "Memory for the rows of lists that were sent before, in bytes", ge=0
    )
    reread_seconds: float = option(
        300.0,
        "After how long everything that is kept in memory is read again. Changes are noticed "
        "at once; this is for programs that change documents without moving updatedAt",
        gt=0,
    )
