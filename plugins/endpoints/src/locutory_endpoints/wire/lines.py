"""From the bytes of a response to server-sent events, whatever the network cuts apart."""

LONGEST_EVENT = 16 * 1024 * 1024
"""Bytes that one event, or a whole unstreamed answer, may have."""

_LINE_COST = 64
"""Bytes that an unfinished event is charged for each of its lines, besides their text."""

_MARK = b"\xef\xbb\xbf"  # byte order mark


Event = tuple[list[bytes], bool]
"""The lines of one event's data, and ``True`` when the event is marked as an error."""


class EventLines:
    """Cuts a response into events. ``whole`` is ``True`` when it is not a stream of events but one
    JSON value, whose bytes `rest` returns. ``overflow``: an event, or that value, is longer than
    `LONGEST_EVENT`; nothing is read after that. ``noise``: there were lines that belong to no
    event."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._error = False
        self._first = True
        self.whole: bool | None = None
        self.overflow = False
        self.noise = False

    def feed(self, piece: bytes) -> list[Event]:
        """The events that the next bytes complete."""
        if self.whole is None:
            self._sniff(piece)
        if self.overflow:
            return []
        if self.whole or (b"\n" not in piece and b"\r" not in piece):
            self._keep(piece)
            return []
        if self._buffer:
            piece = bytes(self._buffer) + piece
            self._buffer.clear()
        held = b""
        if b"\r" in piece:
            if piece[-1:] == b"\r":  # perhaps half of CRLF
                piece, held = piece[:-1], b"\r"
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._first:
            self._first = False
            piece = piece.removeprefix(_MARK)
        lines = piece.split(b"\n")
        rest = lines.pop() + held
        found: list[Event] = []
        for line in lines:
            if line[:5] == b"data:" and not self._data:  # of nearly every line
                self._data.append(line[5:])
            elif line or self._error or not self._data:
                self._line(line, found)
            else:
                found.append((self._data, False))
                self._data, self._size = [], 0
        if rest:
            self._keep(rest)
        return found

    def _line(self, line: bytes, found: list[Event]) -> None:
        if line[:5] == b"data:":
            self._data.append(line[5:])
            if len(self._data) > 1:
                self._size += len(line) + _LINE_COST
                if self._size > LONGEST_EVENT:
                    self.overflow = True
                    self._data.clear()
        elif not line:
            if self._data:
                found.append((self._data, self._error))
                self._data, self._size = [], 0
            self._error = False
        elif line[:6] == b"event:":
            self._error = line[6:].strip() == b"error"
        elif line[:6] == b"error:":  # llama.cpp before its server spoke events
            found.append(([line[6:]], True))
        elif line[:1] != b":" and line[:3] != b"id:" and line[:6] != b"retry:":
            self.noise = True

    def rest(self) -> list[Event]:
        """The events that the end of the response completes."""
        found: list[Event] = []
        left = bytes(self._buffer)
        self._buffer.clear()
        if self.whole:
            return [([left.removeprefix(_MARK)], False)]
        for line in left.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
            self._line(line, found)
        self._line(b"", found)
        return found

    def _sniff(self, piece: bytes) -> None:
        """Detect an unstreamed response by its first character."""
        start = piece.lstrip(_MARK + b" \t\r\n")
        if start:
            self.whole = start[:1] in (b"{", b"[")

    def _keep(self, piece: bytes) -> None:
        if len(self._buffer) + len(piece) > LONGEST_EVENT:
            self.overflow = True
            self._buffer.clear()
            return
        self._buffer += piece
