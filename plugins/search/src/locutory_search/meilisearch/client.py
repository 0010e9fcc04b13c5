"""The few calls of Meilisearch's REST API that are used."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import orjson

from locutory_http import Outgoing
from locutory_search.backend import IndexFailed

TASK_SECONDS = 60.0
"""The seconds for which a task is waited for; it then continues alone."""

_FIRST_LOOK = 0.05
_LAST_LOOK = 1.0


class MeilisearchFailed(IndexFailed):
    """Meilisearch does not answer, or refuses. ``code``: its error code, or ''."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class Meilisearch:
    """One server. The key goes nowhere else: redirects are not followed, proxies not used."""

    def __init__(self, outgoing: Outgoing, address: str, key: str, seconds: float) -> None:
        self._client = outgoing.client(
            seconds,
            direct=True,
            base_url=address.rstrip("/"),
            headers={"authorization": f"Bearer {key}"},
            limits=httpx2.Limits(max_connections=10, max_keepalive_connections=4),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def healthy(self) -> bool:
        """``True`` when Meilisearch reports that it is available."""
        try:
            found = await self._call("GET", "/health")
        except MeilisearchFailed:
            return False
        return isinstance(found, dict) and found.get("status") == "available"

    async def version(self) -> str:
        """Its version; fails with a wrong key, which `healthy` does not."""
        return str((await self._object("GET", "/version")).get("pkgVersion"))

    async def make_index(self, uid: str, primary_key: str) -> bool:
        """Create a missing index; ``True`` when it was created."""
        try:
            await self._call("GET", f"/indexes/{uid}")
            return False
        except MeilisearchFailed as error:
            if error.code != "index_not_found":
                raise
        task = await self._call("POST", "/indexes", {"uid": uid, "primaryKey": primary_key})
        try:
            await self.finished(task)
        except MeilisearchFailed as error:
            if error.code != "index_already_exists":  # another server was faster
                raise
            return False
        return True

    async def filterable(self, uid: str) -> list[Any]:
        """The attributes that filters may name."""
        found = await self._call("GET", f"/indexes/{uid}/settings/filterable-attributes")
        return found if isinstance(found, list) else []

    async def set_filterable(self, uid: str, attributes: Sequence[str]) -> None:
        """Set them, and wait."""
        path = f"/indexes/{uid}/settings/filterable-attributes"
        await self.finished(await self._call("PUT", path, list(attributes)))

    async def add(self, uid: str, key: str, documents: Sequence[Mapping[str, Any]]) -> Any:
        """Add or replace documents; the task."""
        return await self._call("POST", f"/indexes/{uid}/documents?primaryKey={key}", documents)

    async def remove(self, uid: str, ids: Sequence[str]) -> Any:
        """Remove documents by id; the task."""
        return await self._call("POST", f"/indexes/{uid}/documents/delete-batch", list(ids))

    async def remove_where(self, uid: str, condition: str) -> Any:
        """Remove the documents that a filter finds; the task."""
        return await self._call("POST", f"/indexes/{uid}/documents/delete", {"filter": condition})

    async def remove_all(self, uid: str) -> Any:
        """Remove every document; the task."""
        return await self._call("DELETE", f"/indexes/{uid}/documents")

    async def documents(
        self, uid: str, condition: str, fields: Sequence[str], offset: int, limit: int
    ) -> list[Mapping[str, Any]]:
        """Some documents that a filter finds, whole or some fields of them."""
        query = {"filter": condition, "fields": list(fields), "offset": offset, "limit": limit}
        found = await self._object("POST", f"/indexes/{uid}/documents/fetch", query)
        return [row for row in found.get("results", ()) if isinstance(row, dict)]

    async def search(
        self, uid: str, text: str, condition: str, fields: Sequence[str], limit: int
    ) -> list[Mapping[str, Any]]:
        """Documents by relevance."""
        query = {
            "q": text,
            "filter": condition,
            "limit": limit,
            "attributesToRetrieve": list(fields),
        }
        found = await self._object("POST", f"/indexes/{uid}/search", query)
        return [row for row in found.get("hits", ()) if isinstance(row, dict)]

    async def count(self, uid: str) -> int:
        """The number of documents."""
        found = await self._object("GET", f"/indexes/{uid}/stats")
        return int(found.get("numberOfDocuments", 0))

    async def finished(self, task: Any) -> None:
        """Wait for a task; `MeilisearchFailed` when it failed or takes too long."""
        number = task.get("taskUid") if isinstance(task, dict) else None
        if not isinstance(number, int):
            raise MeilisearchFailed("Meilisearch answered without a task")
        until, pause = time.monotonic() + TASK_SECONDS, _FIRST_LOOK
        while True:
            found = await self._object("GET", f"/tasks/{number}")
            status = found.get("status")
            if status == "succeeded":
                return
            if status in ("failed", "canceled"):
                error = found.get("error") or {}
                raise MeilisearchFailed(
                    f"task {number} {status}: {error.get('message', '')}", error.get("code", "")
                )
            if time.monotonic() > until:
                raise MeilisearchFailed(f"task {number} takes more than {TASK_SECONDS:.0f} s")
            await asyncio.sleep(pause)
            pause = min(_LAST_LOOK, pause * 1.5)

    async def _object(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A call whose answer is an object."""
        found = await self._call(method, path, body)
        if not isinstance(found, dict):
            raise MeilisearchFailed("this is no Meilisearch: it answers with something else")
        return found

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else orjson.dumps(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            answer = await self._client.request(method, path, content=content, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise MeilisearchFailed(
                f"Meilisearch does not answer: {str(error) or type(error).__name__}"
            ) from error
        try:
            found = orjson.loads(answer.content) if answer.content else {}
        except orjson.JSONDecodeError:
            found = {}
        if answer.is_success:
            return found
        failure = found if isinstance(found, dict) else {}
        raise MeilisearchFailed(
            f"Meilisearch answers {answer.status_code}: {failure.get('message', '')}".rstrip(": "),
            str(failure.get("code", "")),
        )


def owned_by(user: str) -> str:
    """The filter for documents of a user; nothing in the id is taken as an operator."""
    escaped = user.replace("\\", "\\\\").replace('"', '\\"')
    return f'user = "{escaped}"'
