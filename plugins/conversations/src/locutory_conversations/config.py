"""Settings of the plugin (contract convos §6), including its parts of ``librechat.yaml``."""

# ruff: noqa: N815  (names of librechat.yaml)

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from locutory import env, option

DEFAULT_RETENTION_HOURS = 720.0
MEGABYTE = 1024 * 1024
LARGEST_IMPORT = 250 * MEGABYTE


class ImportLimits(BaseModel):
    """``rateLimits.conversationsImport``; an invalid number counts as absent."""

    model_config = ConfigDict(extra="allow")

    ipMax: Any = Field(None, description="Imports per address")
    ipWindowInMinutes: Any = Field(None, description="Window of that limit, minutes")
    userMax: Any = Field(None, description="Imports per user")
    userWindowInMinutes: Any = Field(None, description="Window of that limit, minutes")


class RateLimits(BaseModel):
    """The part of ``rateLimits`` that this plugin reads."""

    model_config = ConfigDict(extra="allow")

    conversationsImport: ImportLimits | None = Field(None, description="Limits of imports")


class InterfaceRetention(BaseModel):
    """The part of ``interface`` that this plugin reads."""

    model_config = ConfigDict(extra="allow")

    temporaryChatRetention: Any = Field(None, description="Life of a temporary chat, hours")
    retentionMode: Any = Field(None, description="'all': every chat is temporary")


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
    fork_ip_max: int = env("FORK_IP_MAX", 30, "Forks and duplicates per address", ge=1)
    fork_ip_window: float = env("FORK_IP_WINDOW", 1, "Window of that limit, minutes", gt=0)
    fork_user_max: int = env("FORK_USER_MAX", 7, "Forks and duplicates per user", ge=1)
    fork_user_window: float = env("FORK_USER_WINDOW", 1, "Window of that limit, minutes", gt=0)
    fork_violation_score: float = env(
        "FORK_VIOLATION_SCORE", 1, "Score of exceeding the limits of forks"
    )
    import_ip_max: int = env("IMPORT_IP_MAX", 100, "Imports per address", ge=1)
    import_ip_window: float = env("IMPORT_IP_WINDOW", 15, "Window of that limit, minutes", gt=0)
    import_user_max: int = env("IMPORT_USER_MAX", 50, "Imports per user", ge=1)
    import_user_window: float = env("IMPORT_USER_WINDOW", 15, "Window of that limit, minutes", gt=0)
    import_violation_score: float = env(
        "IMPORT_VIOLATION_SCORE", 1, "Score of exceeding the limits of imports"
    )
    import_max_bytes: int = env(
        "CONVERSATION_IMPORT_MAX_FILE_SIZE_BYTES",
        LARGEST_IMPORT,
        "Largest file to import, bytes; 0: 250 MiB",
    )
    import_answer_seconds: float = option(
        40, "After this an import is answered with 202 and goes on; proxies wait 60 s", gt=0
    )
    largest_conversation_bytes: int = option(
        64 * MEGABYTE, "Largest single conversation of an import, bytes of JSON", ge=MEGABYTE
    )
    export_user_max: int = option(20, "Exports of one user in an hour", ge=1)
    title_hold_seconds: float = option(
        15.5, "How long GET /api/convos/gen_title waits for a title", ge=0, le=60
    )
    largest_page: int = option(500, "Rows of one page at most", ge=100, le=10_000)

    @field_validator("access_violation_score")
    @classmethod
    def _not_negative(cls, value: float) -> float:
        return max(0.0, value)

    @field_validator("import_max_bytes")
    @classmethod
    def _usable(cls, value: int) -> int:
        return value if value > 0 else LARGEST_IMPORT
