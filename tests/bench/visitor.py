"""Somebody who is signed in: requests one after another on one connection."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.bench.measure import Running
from tests.bench.routes import BROWSER, post

PASSWORD = "password123"
_TIMEOUT = 900.0
_IDLE = 2.0  # the server closes a connection that nobody used for five seconds
_PIECE = 1 << 20


class Visitor:
    """Signs in on creation. ``email``: of an account that is there; without, one is made."""

    def __init__(self, server: Running, email: str = "") -> None:
        self.url = server.url
        if not email:
            email = f"{uuid4().hex}@example.com"
            fields = {"name": "Bench", "username": "", "email": email, "password": PASSWORD}
            post(self.url, "/api/auth/register", {**fields, "confirm_password": PASSWORD})
        self.email = email
        self._connection: http.client.HTTPConnection | None = None
        self._until = 0.0
        self.headers = {"user-agent": BROWSER}
        answer = self.json("POST", "/api/auth/login", {"email": email, "password": PASSWORD})
        self.id, self.token = str(answer["user"]["_id"]), str(answer["token"])
        self.headers["authorization"] = f"Bearer {self.token}"

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request; the answer, whose body is still to be read. ``RuntimeError`` where it
        is none of 2xx."""
        if self._connection is None or time.monotonic() > self._until:
            host, port = self.url.removeprefix("http://").split(":")
            self._connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = {**self.headers, **(headers or {})}
        if isinstance(body, dict):
            body, sent["content-type"] = json.dumps(body).encode(), "application/json"
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        self._until = time.monotonic() + _IDLE
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.read(300)!r}")
        return answer

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON."""
        return json.loads(self.send(method, path, body).read())

    def seconds(self, method: str, path: str, body: Any = None) -> float:
        """Time on the clock until all of the answer is there."""
        started = time.perf_counter()
        self.send(method, path, body).read()
        return time.perf_counter() - started

    def size(self, path: str) -> int:
        """Bytes of an answer to GET that is too large to keep."""
        answer, size = self.send("GET", path), 0
        while piece := answer.read(_PIECE):
            size += len(piece)
        return size

    def upload(self, path: str, file: Path) -> Any:
        """Send a file as a form's field ``file``; the answer's JSON."""
        boundary = uuid4().hex
        begin = (
            f"--{boundary}\r\ncontent-disposition: form-data; name=file; filename=export.json\r\n"
            "content-type: application/json\r\n\r\n"
        ).encode()
        end = f"\r\n--{boundary}--\r\n".encode()
        length = len(begin) + file.stat().st_size + len(end)

        def pieces() -> Iterator[bytes]:
            yield begin
            with file.open("rb") as content:
                while piece := content.read(_PIECE):
                    yield piece
            yield end

        headers = {
            "content-type": f"multipart/form-data; boundary={boundary}",
            "content-length": str(length),
        }
        return json.loads(self.send("POST", path, pieces(), headers).read())

    def bring(self, file: Path) -> None:
        """Import a file and wait until all of it is there. ``RuntimeError`` when it failed."""
        self.upload("/api/convos/import", file)
        while (found := self.json("GET", "/api/convos/import/progress"))["state"] == "running":
            time.sleep(0.5)
        if found["state"] != "done" or found["failed"]:
            raise RuntimeError(f"the import failed: {found}")
