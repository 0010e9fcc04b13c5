"""Helpers for plugins whose resources can be shared."""

from locutory_resources.ownership import OwnedResources, OwnershipTransfer
from locutory_resources.rights import (
    FAILED,
    NO_PERMISSION,
    CallerRights,
    missing,
    object_id,
    refused,
)

__all__ = [
    "FAILED",
    "NO_PERMISSION",
    "CallerRights",
    "OwnedResources",
    "OwnershipTransfer",
    "missing",
    "object_id",
    "refused",
]
