"""Files that readers of a link may load, recorded when it is published (contract share §8)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from locutory import Raw, Services
from locutory_contracts.conversations import Document
from locutory_contracts.files import FILES
from locutory_share.documents import FileSnapshot
from locutory_share.links import LinkStore
from locutory_share.redaction import file_ids

LOCAL = "local"
_SERVABLE = frozenset({LOCAL, "s3", "cloudfront", "azure_blob", "firebase"})
"""Stores that keep a file by itself, so that it can be read without its owner's keys."""

_FIELDS = tuple(FileSnapshot.model_fields)

Snapshot = Mapping[str, Any]


class Snapshots:
    """Builds snapshots. They contain no bytes, only the data for checking that a file is still the
    one that was published."""

    def __init__(self, store: LinkStore, services: Services) -> None:
        self._store = store
        self._services = services

    async def of(self, owner: str, messages: Sequence[Document]) -> list[Snapshot] | None:
        """Snapshots of the owner's own files in ``messages``; ``None`` while nobody provides
        files, and then they are looked for when the link is next read."""
        files = self._services.find(FILES)
        if files is None:
            return None
        wanted = list(dict.fromkeys(name for message in messages for name in file_ids(message)))
        if not wanted:
            return []
        records = await files.find(owner, wanted)
        return [
            _snapshot(records[name])
            for name in wanted
            if name in records and (records[name].get("source") or LOCAL) in _SERVABLE
        ]

    async def fill_in(self, link: Raw, messages: Sequence[Document]) -> list[Snapshot]:
        """The snapshots of a link, created now if they are missing. ``updatedAt`` stays, since the
        revision is that of the publication. If the owner publishes meanwhile, that takes
        precedence."""
        stored = link.get("fileSnapshots")
        if isinstance(stored, list):
            return stored
        made = await self.of(str(link.get("user") or ""), messages)
        if made is None:
            return []
        unmade = {
            "_id": link["_id"],
            "fileSnapshots": {"$exists": False},
            "snapshotFiles": {"$ne": False},
        }
        if await self._store.change(unmade, {"fileSnapshots": made}):
            return made
        fields = {"fileSnapshots": 1, "snapshotFiles": 1, "expiredAt": 1}
        current = await self._store.by_id(link["_id"], fields)
        if current is None or current.get("snapshotFiles") is False:
            return []
        return list(current.get("fileSnapshots") or ())


def _snapshot(record: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: record[name] for name in _FIELDS if record.get(name) is not None}
    found.setdefault("source", LOCAL)
    return found


def entity_tag(snapshot: Snapshot) -> str:
    """The ETag of a file under a link. It changes with the file and with where it lies."""
    parts = ("file_id", "previewRevision", "bytes", "storageKey", "filepath")
    identity = "\0".join(_plain(snapshot.get(name)) for name in parts)
    return f'"share-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"'


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_unchanged(snapshot: Snapshot, record: Mapping[str, Any]) -> bool:
    """``True`` when a file is still the one that was published, as far as its record shows."""
    if snapshot.get("previewRevision") != record.get("previewRevision"):
        return False
    sizes = (snapshot.get("bytes"), record.get("bytes"))
    return None in sizes or sizes[0] == sizes[1]
