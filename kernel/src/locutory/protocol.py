"""The HTTP protocol of the server process: uvicorn's, with limits on the head of a request."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024


class Protocol(HttpToolsProtocol):
    """Closes a connection whose request head is larger than `MAX_HEAD_BYTES` (431), or not
    complete after the kernel's ``http_headers_timeout_ms`` (408)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kernel: Any = self.app
        self._seconds: float = kernel.config.http_headers_timeout_ms / 1000
        self._waiting: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            # The chunk that completes a head may hold a part of the body, so only what
            # came before it is counted.
            if self._head > MAX_HEAD_BYTES:
                self._refuse(431, b"The request head is too large")
                return
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._waiting is None:
            self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head = 1  # there is somebody to answer

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _wait(self) -> None:
        text = b"The request did not arrive in time"
        self._waiting = self.loop.call_later(self._seconds, self._refuse, 408, text)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: int, text: bytes) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if self._head and not busy:
            length = b"content-length: " + str(len(text)).encode()
            kind = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            self.transport.write(STATUS_LINE[status] + kind + length + b"\r\n\r\n" + text)
        self.transport.close()
