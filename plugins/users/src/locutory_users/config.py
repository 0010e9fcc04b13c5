"""Settings of the plugin."""

from pydantic import BaseModel, ConfigDict

from locutory import env


class UsersConfig(BaseModel):
    """Settings of the user routes."""

    model_config = ConfigDict(extra="forbid")

    allow_account_deletion: bool = env(
        "ALLOW_ACCOUNT_DELETION",
        True,
        "People may delete their own account; administrators always may",
    )
