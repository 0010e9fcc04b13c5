"""Writing an archive: one file that is either complete or does not exist."""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from locutory_transfer.archive import MANIFEST, Entry, Manifest, file_of
from locutory_transfer.reports import TransferError

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread and return its result. A cancelled caller waits for it, so that
    files are not closed while a thread still uses them."""
    task = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()
        raise


@contextlib.contextmanager
def naming_faults(path: Path) -> Iterator[None]:
    """Raise `TransferError` in place of an error of the file system."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"The disk is full: {path} was not written."
        elif error.errno == errno.EFBIG:
            text = f"{path} was not written: files may not become that large here."
        else:
            text = f"{path} was not written: {error.strerror or error}."
        raise TransferError(text) from error


class _File(io.RawIOBase):
    """The file under a ZIP. Once it is given up, further writes of the ZIP are discarded."""

    def __init__(self, descriptor: int) -> None:
        self._file = io.FileIO(descriptor, "w", closefd=False)
        self.given_up = False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0 if self.given_up else self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return 0 if self.given_up else self._file.seek(offset, whence)

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        view = memoryview(data)
        while view and not self.given_up:
            view = view[self._file.write(view) or 0 :]
        return len(data)


class ArchiveWriter:
    """An archive that is being written, beside ``path`` until `finish`. A context manager, which
    leaves no file behind when it ends without `finish`. Its methods block, so do not call them on
    the event loop."""

    def __init__(self, path: Path, *, replace: bool) -> None:
        self.path = path
        self._replace = replace
        self._part = path.with_name(f".{path.name}.part")
        self._descriptor = -1
        self._file: _File
        self._zip: zipfile.ZipFile
        self._names: set[str] = set()

    def __enter__(self) -> "ArchiveWriter":
        with naming_faults(self.path):
            self._refuse_existing()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._part, flags, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(self._descriptor), self._part.stat()):
                    raise BlockingIOError  # its writer has just finished and renamed it
                os.fchmod(self._descriptor, 0o600)
                os.truncate(self._descriptor, 0)  # what a killed backup has left
            except OSError as error:
                os.close(self._descriptor)
                if isinstance(error, BlockingIOError | FileNotFoundError):
                    raise TransferError(f"Another backup to {self.path} is running.") from error
                raise
        self._file = _File(self._descriptor)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        return self

    def _refuse_existing(self) -> None:
        if self.path.is_dir():
            raise TransferError(f"{self.path} is a folder: give the name of a file.")
        if not os.path.lexists(self.path):
            return
        if not self._replace:
            raise TransferError(f"{self.path} is there already; --replace replaces a backup.")
        if self.path.exists() and self.path.stat().st_size and not zipfile.is_zipfile(self.path):
            raise TransferError(f"{self.path} is no backup, so it is not replaced.")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor < 0:
            return
        self.give_up()
        with contextlib.suppress(OSError):
            self._part.unlink()
        # What could not be written may have left the archive in any state.
        with contextlib.suppress(OSError, ValueError, struct.error):
            self._zip.close()
        self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def collection(self, database: str, name: str, metadata: bytes) -> "CollectionWriter":
        """Begin a collection; the previous one must be closed."""
        file = file_of(database, name)
        if file in self._names:
            raise TransferError(f"The name of the collection {name} has a double in the archive.")
        self._names.add(file)
        with naming_faults(self.path):
            self._write(f"{file}.metadata.json", metadata)
            stream = self._zip.open(self._info(f"{file}.bson"), "w", force_zip64=True)
        return CollectionWriter(self, stream, name, file, metadata)

    def give_up(self) -> None:
        """Discard everything that is written from now on."""
        self._file.given_up = True

    @staticmethod
    def _info(name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info

    def _write(self, name: str, content: bytes) -> None:
        with self._zip.open(self._info(name), "w") as stream:
            stream.write(content)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and, when the file is on the disk, give it its name."""
        with naming_faults(self.path):
            self._write(MANIFEST, manifest.encode())
            self._zip.close()
            os.fsync(self._descriptor)
            if self._replace:
                self._part.replace(self.path)
            else:
                self._name_anew()
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._close()

    def _name_anew(self) -> None:
        """Give the file its name without replacing a file that has appeared meanwhile."""
        try:
            os.link(self._part, self.path)
        except FileExistsError:
            raise TransferError(f"{self.path} is there already.") from None
        except OSError:  # a file system without links
            self._refuse_existing()
            self._part.rename(self.path)
        else:
            self._part.unlink()


class CollectionWriter:
    """Writes the documents of one collection into an archive."""

    def __init__(
        self, writer: ArchiveWriter, stream: IO[bytes], name: str, file: str, metadata: bytes
    ) -> None:
        self._writer = writer
        self._stream = stream
        self._name, self._file = name, file
        self._metadata = hashlib.sha256(metadata).hexdigest()
        self._hash = hashlib.sha256()
        self._documents = self._bytes = 0

    def __enter__(self) -> "CollectionWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._writer.give_up()
        with naming_faults(self._writer.path):
            self._stream.close()

    def write(self, batch: list[bytes]) -> None:
        """Add documents."""
        content = b"".join(batch)
        self._hash.update(content)
        self._documents += len(batch)
        self._bytes += len(content)
        with naming_faults(self._writer.path):
            self._stream.write(content)

    @property
    def entry(self) -> Entry:
        """The entry of the manifest for the documents that were written."""
        return Entry(
            self._name,
            self._file,
            self._documents,
            self._bytes,
            self._hash.hexdigest(),
            self._metadata,
        )
