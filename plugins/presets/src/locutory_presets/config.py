"""Settings of the plugin."""

from pydantic import BaseModel, ConfigDict

from locutory import option


class PresetsConfig(BaseModel):
    """Settings of presets."""

    model_config = ConfigDict(extra="forbid")

    most: int = option(1000, "Presets of one user at most, since they are all sent at once", ge=1)
    largest_bytes: int = option(256 * 1024, "Size of one preset at most", ge=1024)
