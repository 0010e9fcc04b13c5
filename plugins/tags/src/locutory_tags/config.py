"""Settings of the plugin."""

from pydantic import BaseModel, ConfigDict

from locutory import option


class TagsConfig(BaseModel):
    """Settings of bookmarks."""

    model_config = ConfigDict(extra="forbid")

    most: int = option(2000, "Bookmarks of one user at most, since they are all sent at once", ge=1)
