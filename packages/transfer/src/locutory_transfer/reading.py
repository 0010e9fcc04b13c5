"""Reading an archive that is not trusted: memory is bounded, and members that are not in the
manifest are refused."""

import hashlib
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from locutory_transfer.archive import MANIFEST, Entry, Manifest, decode_metadata
from locutory_transfer.documents import (
    BATCH_BYTES,
    BATCH_DOCUMENTS,
    MAX_DOCUMENT_BYTES,
    Fingerprint,
    identity,
    is_well_formed,
)
from locutory_transfer.interface import Described
from locutory_transfer.reports import TransferError

_AT_ONCE = 8 * 1024 * 1024
"""The maximum bytes of one read. The list of members is read in one, and can name 40,000
collections."""
_MANIFEST_BYTES = 64 * 1024 * 1024
_METADATA_BYTES = 16 * 1024 * 1024
_CHUNK = 1024 * 1024

_FAULTS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError,
    ValueError, OverflowError, IndexError, MemoryError,
)  # fmt: skip
"""The exceptions that Python's readers raise for damaged files; `NotImplementedError` is a
`RuntimeError`."""


class _BoundedFile(io.BufferedReader):
    """A file that is never read into memory as a whole, whatever its headers say."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; raises ``BadZipFile`` when more bytes are requested than memory should hold."""
        if size is None or size < 0:
            size = _AT_ONCE
        if size > _AT_ONCE:
            raise zipfile.BadZipFile("a part of it is too large")
        return super().read(size)


def _damaged(text: str) -> TransferError:
    return TransferError(f"The archive is damaged: {text}.")


class ArchiveReader:
    """An open archive, whose members are those of its ``manifest``. A context manager. Its methods
    block, so do not call them on the event loop."""

    def __init__(self, path: Path) -> None:
        """Open an archive; `TransferError` for a file that is no archive of this version."""
        try:
            self._file = _BoundedFile(io.FileIO(path))
        except OSError as error:
            raise TransferError(f"{path} cannot be read: {error.strerror}.") from error
        try:
            self._open(path)
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: Path) -> None:
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            raise TransferError(f"{path} is not a file.")
        if self._file.read(4) != b"PK\3\4":
            raise TransferError(f"{path} is no backup of a Locutory database.")
        try:
            self._zip = zipfile.ZipFile(self._file)
        except _FAULTS as error:
            raise _damaged(f"its list of members cannot be read ({error})") from error
        self._members = self._checked()
        if MANIFEST not in self._members:
            raise TransferError(
                f"{path} has no {MANIFEST}: it is no backup of a Locutory database, or a part"
                " of one. What mongodump wrote can be restored by mongorestore."
            )
        content = self._small(MANIFEST, _MANIFEST_BYTES)
        self.manifest = Manifest.decode(content)
        self.identity = hashlib.sha256(content).hexdigest()
        self._compare_names()

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        """The members by name; `TransferError` when two have one name, one is inside another, or
        one is encrypted."""
        found: dict[str, zipfile.ZipInfo] = {}
        end = 0
        for info in sorted(self._zip.infolist(), key=lambda info: info.header_offset):
            if info.filename in found or info.orig_filename != info.filename:
                raise _damaged(f"the member {info.filename!r} is there twice, or has two names")
            if info.header_offset < end:
                raise _damaged(f"the member {info.filename!r} lies inside another")
            if info.flag_bits & 0x1:
                raise _damaged(f"the member {info.filename!r} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _damaged(f"the member {info.filename!r} is packed in an unknown way")
            end = info.header_offset + info.compress_size
            found[info.filename] = info
        return found

    def _compare_names(self) -> None:
        wanted = {MANIFEST}
        for entry in self.manifest.collections:
            wanted |= {entry.documents_member, entry.metadata_member}
        for name in self._members.keys() - wanted:
            raise _damaged(f"it has a member {name!r} that its manifest does not name")
        for name in wanted - self._members.keys():
            raise _damaged(f"the member {name!r} is missing")
        for entry in self.manifest.collections:
            if self._members[entry.documents_member].file_size != entry.bytes:
                raise _damaged(f"the member {entry.documents_member!r} has not the size it had")

    def __enter__(self) -> "ArchiveReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def _small(self, name: str, most: int) -> bytes:
        """The whole content of a member."""
        if self._members[name].file_size > most:
            raise _damaged(f"the member {name!r} is too large")
        found = b"".join(self._chunks(name, most))
        if len(found) != self._members[name].file_size:
            raise _damaged(f"the member {name!r} has another size than it says")
        return found

    def _chunks(self, name: str, most: int) -> Iterator[bytes]:
        """The content of a member in pieces; `TransferError` as soon as it has more than ``most``
        bytes."""
        left = most
        stream = self._read(name, lambda: self._zip.open(self._members[name]))
        with stream:
            while chunk := self._read(name, lambda: stream.read(_CHUNK)):
                left -= len(chunk)
                if left < 0:
                    raise _damaged(f"the member {name!r} is larger than it says")
                yield chunk

    @staticmethod
    def _read(name: str, work: "Callable[[], Any]") -> Any:
        try:
            return work()
        except _FAULTS as error:
            raise _damaged(f"the member {name!r} cannot be read ({error})") from error

    def metadata(self, entry: Entry) -> tuple[Described, list[dict[str, Any]]]:
        """The description of a collection, and its indexes."""
        content = self._small(entry.metadata_member, _METADATA_BYTES)
        if hashlib.sha256(content).hexdigest() != entry.metadata_sha256:
            raise _damaged(f"the indexes of {entry.name} are not those that were backed up")
        return decode_metadata(entry.name, content)

    def batches(self, entry: Entry) -> Iterator[list[bytes]]:
        """The documents of a collection in batches."""
        rest = b""
        batch: list[bytes] = []
        size = 0
        for chunk in self._chunks(entry.documents_member, entry.bytes):
            rest += chunk
            at = 0
            while (length := _length(rest, at, entry.name)) and at + length <= len(rest):
                batch.append(rest[at : at + length])
                at += length
                size += length
                if len(batch) == BATCH_DOCUMENTS or size > BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
            rest = rest[at:]
        if rest:
            raise _damaged(f"the last document of {entry.name} is cut off")
        if batch:
            yield batch

    def verify(self, entry: Entry, seen: Callable[[int], None]) -> Fingerprint:
        """Read a whole collection, compare it with the manifest, and return its fingerprint.
        ``seen`` is called repeatedly with the number of documents that were read."""
        fingerprint = Fingerprint()
        digest = hashlib.sha256()
        for batch in self.batches(entry):
            for raw in batch:
                digest.update(raw)
                if not is_well_formed(raw):
                    raise _damaged(f"document {fingerprint.documents} of {entry.name} is no BSON")
                identity(raw)
            fingerprint.add(batch)
            seen(fingerprint.documents)
        counted = (fingerprint.documents, fingerprint.size, digest.hexdigest())
        if counted != (entry.documents, entry.bytes, entry.sha256):
            raise _damaged(
                f"the documents of {entry.name} are not those that were backed up"
                f" ({fingerprint.documents} of {entry.documents} were found)"
            )
        return fingerprint


def _length(content: bytes, at: int, name: str) -> int:
    """The length of the document that begins at ``at``, in bytes; 0 when it is not known yet."""
    if len(content) - at < 4:
        return 0
    length = int.from_bytes(content[at : at + 4], "little")
    if not 5 <= length <= MAX_DOCUMENT_BYTES:
        raise _damaged(f"a document of {name} has {length} bytes")
    return length
