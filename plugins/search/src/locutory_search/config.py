"""Settings: LibreChat's variables of its search."""

from pydantic import BaseModel, ConfigDict

from locutory import env, option


class SearchConfig(BaseModel):
    """Settings of the plugin (contract search §5)."""

    model_config = ConfigDict(extra="forbid")

    search: bool | None = env(
        "SEARCH",
        None,
        "Offer search. Unset: the built-in index is on, Meilisearch off; anything but 'true' "
        "switches both off",
    )
    meili_host: str | None = env(
        "MEILI_HOST", None, "Address of a Meilisearch server; unset: the built-in index"
    )
    meili_master_key: str | None = env(
        "MEILI_MASTER_KEY", None, "Key of the Meilisearch server; needed with MEILI_HOST"
    )
    meili_no_sync: bool = env(
        "MEILI_NO_SYNC",
        False,
        "This server does not bring Meilisearch up to date; it only sends what it changes itself",
    )
    meili_sync_threshold: int = env(
        "MEILI_SYNC_THRESHOLD",
        1000,
        "Accepted, without effect: the sync goes on where it was and has no threshold",
    )
    meili_sync_batch_size: int = env(
        "MEILI_SYNC_BATCH_SIZE", 100, "Documents of one batch to Meilisearch", ge=1, le=10_000
    )
    meili_sync_delay_ms: int = env(
        "MEILI_SYNC_DELAY_MS", 100, "Pause between two batches to Meilisearch, ms", ge=0
    )
    meili_timeout_seconds: float = option(
        5.0, "How long Meilisearch may take to answer a request", gt=0
    )
    follow_seconds: float = option(
        30.0,
        "How often the history is looked through for changes that were not told: those of a "
        "process that died, of LibreChat on the same database",
        gt=0,
    )
    purge_hours: float = option(
        24.0,
        "How often words of deleted and changed messages are removed from the built-in index for "
        "good; those of a deleted user are removed at once",
        gt=0,
    )

    @property
    def uses_meilisearch(self) -> bool:
        """Both the address and the key are given."""
        return bool(self.meili_host and self.meili_master_key)

    @property
    def is_on(self) -> bool:
        """``True`` when users may search. LibreChat's search needs SEARCH=true."""
        return bool(self.search) if self.uses_meilisearch else self.search is not False
