"""A stand-in for Meilisearch: the documented REST routes that are used, with tasks that are
carried out later and in order, keys, filters and their errors. It finds whole words and the
beginning of the last one."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import orjson

KEY = "a-master-key"

_ID = re.compile(r"[A-Za-z0-9_-]{1,511}")
_FILTER = re.compile(r'user = "((?:[^"\\]|\\.)*)"')

Answer = tuple[int, Any]


class Refused(Exception):
    def __init__(self, status: int, code: str, text: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.text = status, code, text or code


class FakeMeilisearch:
    """An ASGI application. ``requests``: (method, path, body) of everything but look-ups of
    tasks. ``down``: answers 503. ``delay``: seconds that a task takes."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(http_headers_timeout_ms=60_000)  # the server asks for it
        self.indexes: dict[str, dict[str, Any]] = {}
        self.tasks: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.down = False
        self.redirect = ""
        self.delay = 0.0
        self._turn = asyncio.Lock()
        self._working: set[asyncio.Task[None]] = set()

    def documents(self, uid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.indexes.get(uid, {}).get("documents", {})
        return found

    def sent(self, method: str, path: str) -> list[Any]:
        """Bodies of the requests of one kind."""
        return [body for m, p, body in self.requests if (m, p) == (method, path)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive()).get("more_body") or "body" in message:
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        parsed = orjson.loads(body) if body else None
        path, query = scope["path"], parse_qs(scope["query_string"].decode())
        self.headers.append(headers)
        if not path.startswith("/tasks"):
            self.requests.append((scope["method"], path, parsed))
        try:
            status, answer = self._answer(scope["method"], path, query, headers, parsed)
        except Refused as refused:
            status = refused.status
            answer = {"message": refused.text, "code": refused.code, "type": "invalid_request"}
        out = [(b"content-type", b"application/json")]
        if status == 307:
            out.append((b"location", self.redirect.encode()))
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    def _answer(
        self, method: str, path: str, query: Any, headers: dict[str, str], body: Any
    ) -> Answer:
        if self.redirect:
            return 307, {}
        if self.down:
            raise Refused(503, "", "down")
        if (method, path) == ("GET", "/health"):
            return 200, {"status": "available"}
        if "authorization" not in headers:
            raise Refused(401, "missing_authorization_header")
        if headers["authorization"] != f"Bearer {KEY}":
            raise Refused(403, "invalid_api_key", "The provided API key is invalid.")
        if (method, path) == ("GET", "/version"):
            return 200, {"commitSha": "0", "commitDate": "0", "pkgVersion": "1.15.0"}
        parts = path.strip("/").split("/")
        if parts[0] == "tasks" and method == "GET":
            return 200, self.tasks[int(parts[1])]
        if (method, path) == ("POST", "/indexes"):
            return self._task(self._make, body["uid"], body["primaryKey"])
        if parts[0] != "indexes":
            raise Refused(404, "not_found")
        return self._of_index(method, parts[1], "/".join(parts[2:]), query, body)

    def _of_index(self, method: str, uid: str, rest: str, query: Any, body: Any) -> Answer:
        if (method, rest) == ("POST", "documents"):
            assert isinstance(body, list)
            return self._task(self._add, uid, query["primaryKey"][0], body)
        if (method, rest) == ("POST", "documents/delete-batch"):
            assert isinstance(body, list)
            return self._task(self._remove, uid, body)
        if (method, rest) == ("POST", "documents/delete"):
            return self._task(self._remove_where, uid, body["filter"])
        if (method, rest) == ("DELETE", "documents"):
            return self._task(self._clear, uid)
        if (method, rest) == ("PUT", "settings/filterable-attributes"):
            return self._task(self._filterable, uid, body)
        index = self.indexes.get(uid)
        if index is None:
            raise Refused(404, "index_not_found", f"Index `{uid}` not found.")
        if (method, rest) == ("GET", ""):
            return 200, {"uid": uid, "primaryKey": index["key"]}
        if (method, rest) == ("GET", "settings/filterable-attributes"):
            return 200, index["filterable"]
        if (method, rest) == ("GET", "stats"):
            return 200, {"numberOfDocuments": len(index["documents"]), "isIndexing": False}
        if (method, rest) == ("POST", "documents/fetch"):
            found = self._filtered(index, body["filter"], "invalid_document_filter")
            page = found[body["offset"] : body["offset"] + body["limit"]]
            results = [{key: row[key] for key in body["fields"] if key in row} for row in page]
            return 200, {"results": results, "total": len(found), **body}
        if (method, rest) == ("POST", "search"):
            found = self._filtered(index, body["filter"], "invalid_search_filter")
            hits = [row for row in found if _matches(row, body["q"])][: body["limit"]]
            fields = body["attributesToRetrieve"]
            return 200, {"hits": [{key: row[key] for key in fields} for row in hits]}
        raise Refused(404, "not_found")

    def _filtered(self, index: dict[str, Any], condition: str, code: str) -> list[Any]:
        if "user" not in index["filterable"]:
            raise Refused(400, code, "Attribute `user` is not filterable.")
        parsed = _FILTER.fullmatch(condition)
        if parsed is None:
            raise Refused(400, code, "Was expecting an operation")
        user = re.sub(r"\\(.)", r"\1", parsed[1])
        return [row for row in index["documents"].values() if row.get("user") == user]

    def _task(self, work: Any, uid: str, *values: Any) -> Answer:
        number = len(self.tasks)
        task = {"uid": number, "indexUid": uid, "status": "enqueued", "error": None}
        self.tasks.append(task)
        running = asyncio.get_running_loop().create_task(self._carry_out(task, work, uid, *values))
        self._working.add(running)
        running.add_done_callback(self._working.discard)
        return 202, {"taskUid": number, "indexUid": uid, "status": "enqueued"}

    async def _carry_out(self, task: dict[str, Any], work: Any, *values: Any) -> None:
        async with self._turn:
            task["status"] = "processing"
            await asyncio.sleep(self.delay)
            try:
                work(*values)
                task["status"] = "succeeded"
            except Refused as refused:
                task["status"] = "failed"
                task["error"] = {"message": refused.text, "code": refused.code}

    def _make(self, uid: str, key: str) -> None:
        if uid in self.indexes:
            raise Refused(409, "index_already_exists")
        self.indexes[uid] = {"key": key, "filterable": [], "documents": {}}

    def _index(self, uid: str) -> dict[str, Any]:
        if uid not in self.indexes:
            raise Refused(404, "index_not_found")
        return self.indexes[uid]

    def _add(self, uid: str, key: str, rows: list[Any]) -> None:
        if uid not in self.indexes:
            self._make(uid, key)
        for row in rows:
            if not _ID.fullmatch(str(row.get(key, ""))):
                raise Refused(400, "invalid_document_id", f"Document id {row.get(key)!r}")
        self.indexes[uid]["documents"].update({row[key]: row for row in rows})

    def _remove(self, uid: str, ids: list[str]) -> None:
        for own in ids:
            self._index(uid)["documents"].pop(own, None)

    def _remove_where(self, uid: str, condition: str) -> None:
        index = self._index(uid)
        for row in self._filtered(index, condition, "invalid_document_filter"):
            del index["documents"][row[index["key"]]]

    def _clear(self, uid: str) -> None:
        self._index(uid)["documents"].clear()

    def _filterable(self, uid: str, attributes: list[str]) -> None:
        if uid not in self.indexes:
            self._make(uid, "")
        self.indexes[uid]["filterable"] = attributes

    def forget(self) -> None:
        """Start again without any data."""
        self.indexes.clear()


def _matches(row: dict[str, Any], text: str) -> bool:
    words = re.findall(r"\w+", " ".join(map(str, row.values())).lower())
    *whole, last = re.findall(r"\w+", text.lower())
    return set(whole) <= set(words) and any(word.startswith(last) for word in words)
