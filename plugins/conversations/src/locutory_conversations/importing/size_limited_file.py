"""A file that is read once, from its beginning, and measured while it is."""

from typing import BinaryIO

from locutory_conversations.importing.errors import BrokenFile

CHUNK = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MAX_VALUES = 4_000_000


class SizeLimitedFile:
    """Counts the bytes that are read, and refuses a conversation of more than ``max_bytes``
    bytes."""

    def __init__(self, file: BinaryIO, size: int, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self.size = size
        self.read_bytes = 0
        self.rewind()

    def rewind(self) -> None:
        """Begin again, behind a byte order mark."""
        self._file.seek(0)
        if self._file.read(3) != _BYTE_ORDER_MARK:
            self._file.seek(0)
        self.next_conversation()

    def next_conversation(self) -> None:
        """Reset the count: the next bytes belong to another conversation."""
        self._bytes = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Read at most ``size`` bytes."""
        chunk = self._file.read(size)
        self.read_bytes = self._file.tell()
        self._bytes += len(chunk)
        if self._bytes > self._max_bytes + CHUNK:
            raise BrokenFile(f"A conversation is larger than {self._max_bytes // 1024**2} MiB")
        return chunk

    def line(self) -> bytes:
        """The next line, at most as long as one conversation; empty at the end."""
        line = self._file.readline(self._max_bytes + 1)
        self.read_bytes = self._file.tell()
        if len(line) > self._max_bytes:
            raise BrokenFile(f"A line is longer than {self._max_bytes // 1024**2} MiB")
        # Each may become an object of a hundred bytes.
        if line.count(b",") + line.count(b"[") + line.count(b"{") > _MAX_VALUES:
            raise BrokenFile("A line has too many parts")
        return line

    def head(self) -> bytes:
        """The first bytes; the file is at its beginning afterwards."""
        self.rewind()
        head = self._file.read(CHUNK)
        self.rewind()
        return head
