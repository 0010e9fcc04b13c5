"""Response bodies: decompressed in small pieces, and limited in size."""

import zlib
from collections.abc import AsyncIterator, Iterator

import httpx2

ACCEPTED = "gzip, deflate"
"""The accepted encodings. With others, a few bytes could become gigabytes in one piece."""

_PIECE = 64 * 1024
_GZIP, _ZLIB, _RAW = 31, 15, -15
_WINDOWS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class BodyTooLarge(httpx2.RequestError):
    """A response has more bytes than the client accepts."""


class _Unpacker:
    """Decompresses a body piece by piece; no piece that it returns is larger than `_PIECE`
    bytes."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._unpacker = zlib.decompressobj(window)
        self._begun = False

    def pieces(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._unpacker.eof:
                if self._window != _GZIP:
                    return
                # A gzip file may have several members, one after the other.
                self._unpacker = zlib.decompressobj(_GZIP)
            piece = self._unpack(packed)
            packed = self._unpacker.unused_data or self._unpacker.unconsumed_tail
            if piece:
                yield piece

    def _unpack(self, packed: bytes) -> bytes:
        try:
            piece = self._unpacker.decompress(packed, _PIECE)
        except zlib.error as error:
            if self._begun or self._window != _ZLIB:
                raise httpx2.DecodingError(f"the body cannot be unpacked: {error}") from error
            # "deflate" is often sent without the head that it should have.
            self._begun, self._unpacker = True, zlib.decompressobj(_RAW)
            return self._unpack(packed)
        self._begun = True
        return piece


class _Body(httpx2.AsyncByteStream):
    def __init__(
        self, stream: httpx2.AsyncByteStream, unpacker: _Unpacker | None, most: int | None
    ) -> None:
        self._stream = stream
        self._unpacker = unpacker
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for sent in self._stream:
            for piece in (sent,) if self._unpacker is None else self._unpacker.pieces(sent):
                size += len(piece)
                if self._most is not None and size > self._most:
                    raise BodyTooLarge(f"the answer has more than {self._most} bytes")
                yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Unreadable(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise httpx2.DecodingError("the body is packed in a way that was not asked for")
        yield b""

    async def aclose(self) -> None:
        await self._stream.aclose()


def bounded(response: httpx2.Response, most: int | None) -> httpx2.Response:
    """The response with a decompressed body, which raises `BodyTooLarge` after ``most`` bytes.
    Reading raises `httpx2.DecodingError` for an encoding that was not accepted; status and headers
    are available in any case."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    packed = encoding not in ("", "identity")
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101  (for the type only)
    if not packed and most is None:
        return response
    dropped = (b"content-encoding", b"content-length") if packed else ()
    body: httpx2.AsyncByteStream
    if packed and encoding not in _WINDOWS:
        body = _Unreadable(stream)
    else:
        body = _Body(stream, _Unpacker(_WINDOWS[encoding]) if packed else None, most)
    return httpx2.Response(
        status_code=response.status_code,
        headers=[item for item in response.headers.raw if item[0].lower() not in dropped],
        stream=body,
        extensions=response.extensions,
    )
