"""Settings of the plugin (contract convos §6)."""

from pydantic import BaseModel, ConfigDict, field_validator

from locutory import env, option

DEFAULT_RETENTION_HOURS = 720.0


class ConversationsConfig(BaseModel):
    """Settings of conversations."""

    model_config = ConfigDict(extra="forbid")

    allow_shared_links: bool = env(
        "ALLOW_SHARED_LINKS", True, "Show in the list which conversations are shared"
    )
    temporary_hours: float = env(
        "TEMP_CHAT_RETENTION_HOURS",
        DEFAULT_RETENTION_HOURS,
        "Life of a temporary chat in hours, 1 to 8760; interface.temporaryChatRetention wins",
    )
    access_violation_score: float = env(
        "CONVO_ACCESS_VIOLATION_SCORE", 0.0, "Score of naming another user's conversation"
    )
    title_hold_seconds: float = option(
        15.5, "How long GET /api/convos/gen_title waits for a title", ge=0, le=60
    )
    largest_page: int = option(500, "Rows of one page at most", ge=100, le=10_000)

    @field_validator("access_violation_score")
    @classmethod
    def _not_negative(cls, value: float) -> float:
        return max(0.0, value)
