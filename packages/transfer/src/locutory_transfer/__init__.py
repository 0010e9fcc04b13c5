"""Copies, backs up, restores and verifies databases with the interface of pymongo's driver."""

from locutory_transfer.backup import backup
from locutory_transfer.checking import check, count
from locutory_transfer.copying import copy
from locutory_transfer.interface import Database
from locutory_transfer.reports import (
    Amount,
    BackupReport,
    CopyReport,
    Progress,
    ProgressCallback,
    RestoreReport,
    TransferError,
)
from locutory_transfer.restore import restore
from locutory_transfer.state import unfinished

__all__ = [
    "Amount",
    "BackupReport",
    "CopyReport",
    "Database",
    "Progress",
    "ProgressCallback",
    "RestoreReport",
    "TransferError",
    "backup",
    "check",
    "copy",
    "count",
    "restore",
    "unfinished",
]
