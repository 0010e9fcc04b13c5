"""Stored files, as other plugins read them (files §4)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from locutory import Service

FileRecord = Mapping[str, Any]
"""A document of the collection ``files`` without ``text``: ``file_id``, ``filename``,
``filepath``, ``type``, ``bytes``, ``source`` (absent: ``local``), ``storageKey``,
``previewRevision``, ``width``, ``height``, … Dates are aware ``datetime``."""


class FileMissing(Exception):
    """The file has a record, but is not in the store any more."""


class NotReadable(Exception):
    """The store of this file does not support reading it as a stream (a provider's own store, for
    example)."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """The bytes of a file. ``size`` in bytes, ``None`` when the store does not report it. The
    caller of `Files.open` calls ``close`` when done, also when nothing was read."""

    chunks: AsyncIterator[bytes]
    size: int | None
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FilePreview:
    """A preview of a file as text. ``text`` and ``text_format`` (``html`` or ``text``) belong to
    the status ``ready``, ``error`` to ``failed``."""

    status: Literal["pending", "ready", "failed"]
    text: str | None = None
    text_format: str | None = None
    error: str | None = None


class Files(Protocol):
    """The files of one user at a time: ``user`` is the owner's id as text, and another user's files
    are never found, nor is an id of another form. The calling plugin decides who may see the files.
    """

    async def find(self, user: str, file_ids: Sequence[str]) -> Mapping[str, FileRecord]:
        """Records by ``file_id``, in one query; files that do not exist are left out."""
        ...

    async def open(self, record: FileRecord) -> OpenedFile:
        """The bytes of a record from `find`. Raises `FileMissing`, `NotReadable`."""
        ...

    async def address(self, record: FileRecord, filename: str) -> str | None:
        """An address from which a browser downloads the file as ``filename``, valid for a few
        minutes and on another origin than the server's; ``None`` when the store has no such
        addresses."""
        ...

    async def preview(self, user: str, file_id: str) -> FilePreview | None:
        """The preview of a file; ``None`` when there is no such file. A preview that has been
        pending for more than two minutes is marked failed (``orphaned``) first."""
        ...


FILES: Service[Files] = Service("files", "Stored files: records, bytes, previews")
