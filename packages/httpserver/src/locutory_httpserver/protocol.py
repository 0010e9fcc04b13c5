"""The HTTP protocol of the server process: uvicorn's, with every message read according to its
framing headers.

uvicorn's httptools flavour costs a third of its h11 flavour (40 against 120 µs a request, 3 against
7 µs a piece of a stream), but leaves some messages half read: see `Protocol`.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 500
_LINGER_SECONDS = 1.0
_FRAMING = (b"content-length", b"transfer-encoding", b"connection")


class Protocol(HttpToolsProtocol):
    """One response for each request of a connection, in order, with the body that its framing
    headers announce.

    Offers to change the protocol (``Upgrade``) are ignored, as RFC 9110 §7.8 allows. Anything that
    is not a request is answered after the requests before it, then the connection is closed: 400;
    431 for a head or trailer larger than `MAX_HEAD_BYTES` or `MAX_HEADERS`; 408 for a head that is
    not complete after the kernel's ``http_headers_timeout_ms``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kernel: Any = self.app
        self._seconds: float = kernel.config.http_headers_timeout_ms / 1000
        self._waiting: asyncio.TimerHandle | None = None
        self._in_head = True
        self._in_body = False
        self._replayed = False
        # Bytes since the last piece of a body, or since the start of a head.
        self._outside = 0
        self._running: RequestResponseCycle | None = None
        self._last_words: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.pipeline.clear()
        if self._running is not None:
            _give_up(self._running)  # uvicorn tells only the newest
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._last_words is not None:
            return
        # A piece may hold the end of one thing and the start of the next, so only what came
        # before it is counted.
        if self._outside > MAX_HEAD_BYTES:
            self._refuse(431, b"The request head is too large")
            return
        self._outside += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(400, b"Invalid HTTP request received.")
            return
        if self._in_head:
            if self._waiting is None:
                self._wait()
        elif self.cycle.response_complete:  # answered before its body had come
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]
                self._ignore_offer()

    def _ignore_offer(self) -> None:
        """Continue after a head with an offer to upgrade. httptools ends such a request there,
        whatever its framing headers announce, so a new parser receives the same framing headers
        without the offer."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        lines = [b"POST / HTTP/%b" % self.scope["http_version"].encode()]
        lines += [b"%b: %b" % line for line in self.scope["headers"] if line[0] in _FRAMING]
        self._replayed = True
        try:
            self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))
        finally:
            self._replayed = False

    def on_message_begin(self) -> None:
        if self._replayed:
            return
        super().on_message_begin()
        self._in_head = True
        self._outside = 1  # there is somebody to answer

    def on_headers_complete(self) -> None:
        if self._replayed:
            return
        if self.parser.get_method() == b"CONNECT" or self.parser.get_http_version() == "0.9":
            raise ValueError("a tunnel, or a request without headers")
        # A head that comes in one piece has not been counted yet.
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refuse(431, b"The request head is too large")
            raise ValueError("too large a head")
        self._stop_waiting()
        super().on_headers_complete()
        self._in_head = False
        self._in_body = True
        self.headers = []  # those of a trailer are no headers of the request

    def on_body(self, body: bytes) -> None:
        self._outside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._outside = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if not cycle.waiting_for_100_continue:
            super()._start_asgi_task(cycle, app)
            return

        async def decided(scope: Any, receive: Any, send: Any) -> None:
            async def answer(message: Any) -> None:
                # Without the 100 nobody knows whether the client sends its body or another
                # request next.
                if cycle.waiting_for_100_continue and cycle.more_body and not cycle.body:
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, answer)

        super()._start_asgi_task(cycle, decided)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._last_words is not None and not self._busy:
            self._end()

    @property
    def _busy(self) -> bool:
        running = self._running
        return running is not None and not (running.response_complete or running.disconnected)

    def _wait(self) -> None:
        text = b"The request did not arrive in time"
        self._waiting = self.loop.call_later(self._seconds, self._refuse, 408, text)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer unreadable bytes, after the requests before them have been answered, and close."""
        self._stop_waiting()
        if self._last_words is not None or self.transport.is_closing():
            return
        length = b"content-length: " + str(len(text)).encode()
        kind = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        self._last_words = STATUS_LINE[status] + kind + length + b"\r\n\r\n" + text
        if self._in_head and not self._outside:
            self._last_words = b""  # nobody asked
        if self._in_body:  # the fault is in the newest request
            if self.cycle is not self._running:
                self.pipeline.popleft()
            else:
                if self.cycle.response_started:
                    self._last_words = b""
                _give_up(self.cycle)
        if not self._busy:
            self._end()

    def _end(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(self._last_words or b"")
        # To close with something unread would reset the connection, and the answer with it.
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def _give_up(cycle: RequestResponseCycle) -> None:
    """Report a disconnect to the application, since the rest of its request will not arrive."""
    cycle.disconnected = not cycle.response_complete
    cycle.message_event.set()
