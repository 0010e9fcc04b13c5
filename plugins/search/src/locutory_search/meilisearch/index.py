"""Meilisearch as a back end (contract search §3)."""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import structlog
from pymongo.errors import PyMongoError

from locutory_contracts.search import MessageHit, SearchFailed
from locutory_http import Outgoing
from locutory_search.backend import DeletionTarget
from locutory_search.config import SearchConfig
from locutory_search.entries import KINDS, Entry, Kind
from locutory_search.history_reader import HistoryReader, entries
from locutory_search.indexing_queue import IndexingQueue
from locutory_search.meilisearch.client import Meilisearch, MeilisearchFailed, owned_by
from locutory_search.meilisearch.records import Records
from locutory_search.tasks import FailureLog, Tasks

UIDS: Mapping[Kind, str] = {"conversations": "convos", "messages": "messages"}
KEYS: Mapping[Kind, str] = {"conversations": "conversationId", "messages": "messageId"}

LONGEST = 1000
"""Characters of a search that are sent."""

ATTEMPTS = (0.0, 2.0, 4.0)
"""Pauses in seconds before the attempts to send saved documents."""

_IDS = 1000
_HEALTH_SECONDS = 5.0
_ADVICE_SECONDS = 2.0
_DELETION_SECONDS = 10.0
_PREPARING_SECONDS = 30.0
_VALID = re.compile(r"[A-Za-z0-9_-]{1,511}")


class MeilisearchIndex:
    """`Backend` on a Meilisearch server that any number of Locutory servers share."""

    def __init__(
        self,
        config: SearchConfig,
        records: Records,
        history: HistoryReader,
        outgoing: Outgoing,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._config = config
        self._address = config.meili_host or ""
        self._records = records
        self._history = history
        self._outgoing = outgoing
        self._log = log
        self._meili = self._connect(config.meili_timeout_seconds)
        self._queue = IndexingQueue(self._save, lambda: None, config.meili_sync_batch_size)
        self._tasks = Tasks(log)
        self._failures = FailureLog(log)
        self._health: tuple[float, bool] = (0.0, False)

    def _connect(self, seconds: float) -> Meilisearch:
        key = self._config.meili_master_key or ""
        return Meilisearch(self._outgoing, self._address, key, seconds)

    async def conversations(self, user: str, text: str, limit: int) -> Sequence[str]:
        """Contract `locutory_contracts.search.Search`."""
        rows = await self._search("conversations", user, text, limit)
        return [row["conversationId"] for row in rows if _has(row, "conversationId")]

    async def messages(self, user: str, text: str, limit: int) -> Sequence[MessageHit]:
        """Contract `locutory_contracts.search.Search`."""
        rows = await self._search("messages", user, text, limit)
        return [
            MessageHit(row["messageId"], row["conversationId"])
            for row in rows
            if _has(row, "messageId", "conversationId")
        ]

    async def _search(
        self, kind: Kind, user: str, text: str, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        if limit < 1 or not text.strip():
            return []
        fields = ("conversationId",) if kind == "conversations" else ("messageId", "conversationId")
        words = _clean(text[:LONGEST])
        try:
            return await self._meili.search(UIDS[kind], words, owned_by(user), fields, limit)
        except MeilisearchFailed as error:
            raise SearchFailed(str(error)) from error

    def take(self, entry: Entry) -> None:
        """Queue a change."""
        self._queue.put(entry)

    async def _save(self, batch: Sequence[Entry]) -> None:
        for pause in ATTEMPTS:
            await asyncio.sleep(pause)
            try:
                await self._send(batch)
                return
            except (MeilisearchFailed, PyMongoError) as error:
                reason = str(error)
        self._log.warning("search.not_sent", documents=len(batch), reason=reason)

    async def _send(self, batch: Sequence[Entry], *, wait: bool = False) -> None:
        """Add, replace and remove documents. ``wait``: until it is done."""
        tasks = []
        wanted = [entry for entry in batch if entry.wanted and _fits(entry)]
        await self._records.note_ends(wanted)
        for kind in KINDS:
            lasting = [e.id for e in batch if e.kind == kind and not (e.wanted and e.expires)]
            await self._records.forget_ends(kind, lasting)
            add = [_document(entry) for entry in wanted if entry.kind == kind]
            away = [_id(entry) for entry in batch if entry.kind == kind and not entry.wanted]
            if add:
                tasks.append(await self._meili.add(UIDS[kind], KEYS[kind], add))
            tasks += await self._remove(kind, away)
        # What was deleted since it was read is told afterwards, so that no deletion slips
        # through between the look and the sending.
        for entry in await self._records.gone(wanted):
            tasks += await self._remove(entry.kind, [_id(entry)])
        if wait:
            for task in tasks:
                await self._meili.finished(task)

    async def _remove(self, kind: Kind, ids: Sequence[str]) -> list[Any]:
        valid = [own for own in ids if _VALID.fullmatch(own)]
        return [
            await self._meili.remove(UIDS[kind], valid[start : start + _IDS])
            for start in range(0, len(valid), _IDS)
        ]

    async def added(self, user: str, conversation_ids: Sequence[str]) -> None:
        """The sync reads and sends them."""
        await self._records.note_added(user, conversation_ids)

    async def deleted(self, target: DeletionTarget, user: str, ids: Sequence[str] = ()) -> None:
        """Delete, and wait for it; raises when it takes too long, so that it is tried again."""
        if target != "user" and not ids:
            return
        await self._records.note_gone(target, user, ids)
        try:
            async with asyncio.timeout(_DELETION_SECONDS):
                if target == "user":
                    await self._delete_user(user)
                elif target == "message":
                    await self._away("messages", ids)
                else:
                    await self._away("conversations", [own.replace("|", "--") for own in ids])
                    await self._away("messages", await self._messages_in(user, set(ids)))
        except TimeoutError:
            raise MeilisearchFailed("Meilisearch is busy; it is tried again") from None

    async def _delete_user(self, user: str) -> None:
        for uid in UIDS.values():
            await self._finished(await self._meili.remove_where(uid, owned_by(user)))
        await self._records.forget_user(user)

    async def _away(self, kind: Kind, ids: Sequence[str]) -> None:
        for task in await self._remove(kind, ids):
            await self._finished(task)
        await self._records.forget_ends(kind, ids)

    async def _finished(self, task: Any) -> None:
        try:
            await self._meili.finished(task)
        except MeilisearchFailed as error:
            if error.code != "index_not_found":
                raise

    async def _messages_in(self, user: str, conversations: set[str]) -> list[str]:
        """Ids of a user's indexed messages in conversations. The database does not have them
        any more, and the index cannot be filtered by conversation."""
        found: list[str] = []
        offset = 0
        while True:
            try:
                rows = await self._meili.documents(
                    "messages", owned_by(user), ("messageId", "conversationId"), offset, _IDS
                )
            except MeilisearchFailed as error:
                if error.code == "index_not_found":
                    return []
                raise
            found += [
                row["messageId"]
                for row in rows
                if _has(row, "messageId") and row.get("conversationId") in conversations
            ]
            offset += len(rows)
            if len(rows) < _IDS:
                return found

    async def start(self) -> None:
        """Create the indexes in the background, and begin to send saved documents."""
        self._tasks.spawn(self._prepare_until_done(), "preparing Meilisearch")
        self._tasks.spawn(self._queue.run(), "sending")

    async def _prepare_until_done(self) -> None:
        while True:
            try:
                await self._prepare()
                return
            except (MeilisearchFailed, PyMongoError) as error:
                self._failures.failed(error)
            await asyncio.sleep(_PREPARING_SECONDS)

    async def _prepare(self) -> None:
        """Indexes and their setting; with a new one everything is sent again."""
        for kind in KINDS:
            made = await self._meili.make_index(UIDS[kind], KEYS[kind])
            filterable = await self._meili.filterable(UIDS[kind])
            if "user" not in filterable:
                await self._meili.set_filterable(UIDS[kind], [*filterable, "user"])
                made = True
            if made:
                await self._records.forget_positions()

    async def sync(self) -> None:
        """Bring Meilisearch up to date, from where it was left; on one server at a time."""
        try:
            await self._prepare()
            await self._send_added()
            await self._remove_ended()
            for kind in KINDS:
                await self._send_changes(kind)
            self._failures.recovered()
        except (MeilisearchFailed, PyMongoError) as error:
            self._failures.failed(error)

    async def _send_changes(self, kind: Kind) -> None:
        """The feed from the stored position to its end."""
        feed, config = self._history.feed, self._config
        position = await self._records.position(kind)
        if feed is None:
            return
        more = True
        while more:
            page = await feed.changes(kind, position, config.meili_sync_batch_size)
            if page.documents:
                await self._send(entries(kind, page.documents), wait=True)
            if page.position != position and not await self._records.move(
                kind, position, page.position
            ):
                return  # the next sync begins where it should
            position, more = page.position, page.more
            if more:
                await asyncio.sleep(config.meili_sync_delay_ms / 1000)

    async def _send_added(self) -> None:
        size = self._config.meili_sync_batch_size
        while rows := await self._records.additions(20):
            for row in rows:
                found = await self._history.conversation(row["user"], row["id"])
                for start in range(0, len(found), size):
                    await self._send(found[start : start + size], wait=True)
                await self._records.is_added(row)

    async def _remove_ended(self) -> None:
        while rows := await self._records.ended(500):
            for kind in KINDS:
                await self._away(kind, [row["id"] for row in rows if row["kind"] == kind])

    async def drain(self) -> None:
        """Send the waiting documents, if possible."""
        await self._queue.flush()

    async def stop(self) -> None:
        """End every task, close the connections."""
        await self._tasks.stop()
        await self._meili.close()

    async def is_available(self) -> bool:
        """``True`` when Meilisearch reports that it is healthy, which is asked every few seconds at
        most."""
        checked_at, healthy = self._health
        if time.monotonic() - checked_at > _HEALTH_SECONDS or not checked_at:
            healthy = await self._meili.healthy()
            self._health = (time.monotonic(), healthy)
        return healthy

    async def advice(self) -> str | None:
        """Asks the server, over a connection of its own: the kernel may not be started."""
        meili = self._connect(_ADVICE_SECONDS)
        try:
            await meili.version()
        except MeilisearchFailed as error:
            return (
                f"{error}: start it, correct MEILI_HOST and MEILI_MASTER_KEY, or unset MEILI_HOST "
                "to use the built-in index"
            )
        finally:
            await meili.close()
        return None

    async def status(self) -> Mapping[str, Any]:
        """Numbers of the indexed documents."""
        found: dict[str, Any] = {"engine": "Meilisearch", "address": _shown(self._address)}
        try:
            found["version"] = await self._meili.version()
            for kind in KINDS:
                found[kind] = await self._meili.count(UIDS[kind])
        except MeilisearchFailed as error:
            found["state"] = str(error)
        finally:
            await self._meili.close()
        found["position"] = {kind: await self._records.position(kind) for kind in KINDS}
        return found

    async def rebuild(self) -> None:
        """Empty both indexes; the next sync of a server fills them again."""
        try:
            for uid in UIDS.values():
                await self._finished(await self._meili.remove_all(uid))
            # Only now: what a server sent before this is gone, too.
            await self._records.forget_positions()
        finally:
            await self._meili.close()


def _document(entry: Entry) -> dict[str, Any]:
    """An entry as it is sent."""
    first, second = _clean(entry.first), _clean(entry.second)
    if entry.kind == "messages":
        return {
            "messageId": entry.id,
            "conversationId": _clean(entry.conversation_id.replace("|", "--")),
            "user": entry.user,
            "sender": first,
            "text": second,
        }
    tags = [_clean(tag) for tag in entry.tags]
    return {"conversationId": _id(entry), "title": first, "user": entry.user, "tags": tags}


def _clean(text: str) -> str:
    """Half surrogates, which no JSON text may have, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _id(entry: Entry) -> str:
    return entry.id.replace("|", "--") if entry.kind == "conversations" else entry.id


def _fits(entry: Entry) -> bool:
    """One id that Meilisearch does not take would make it refuse the whole batch."""
    return _VALID.fullmatch(_id(entry)) is not None


def _has(row: Mapping[str, Any], *fields: str) -> bool:
    return all(isinstance(row.get(field), str) for field in fields)


def _shown(address: str) -> str:
    """An address without a name and password in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
