"""Options of the driver's methods."""

from collections.abc import Mapping
from typing import Any

from locutory_sqlite.errors import not_supported

# What the driver takes and what has no meaning here.
_IGNORED = frozenset(
    {
        "session", "comment", "batch_size", "batchSize", "max_time_ms", "maxTimeMS", "allowDiskUse",
        "allow_disk_use", "no_cursor_timeout", "cursor_type", "bypass_document_validation",
        "maxAwaitTimeMS",
    }
)  # fmt: skip
_UNSUPPORTED = ("collation", "array_filters", "let")


def check_options(options: Mapping[str, Any], *known: str) -> None:
    """``OperationFailure`` for an option that would change the meaning; ``TypeError`` for one
    that the driver does not have either."""
    for name, value in options.items():
        if name in _IGNORED or name in known:
            continue
        if name in _UNSUPPORTED:
            if value is not None:
                raise not_supported(f"the option {name}")
            continue
        raise TypeError(f"unknown option {name!r}")
