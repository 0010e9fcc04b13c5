"""The layout of an archive: names of its members, and its manifest.

A ZIP of the files that ``mongodump`` writes into a folder: ``<database>/<collection>.bson`` and
``<collection>.metadata.json``. The last member, ``manifest.json``, lists the others.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.json_util import JSONMode, JSONOptions

from locutory_transfer.interface import Described
from locutory_transfer.reports import TransferError

MANIFEST = "manifest.json"
KIND = "locutory-database-backup"
FORMAT = 1

_JSON = JSONOptions(
    json_mode=JSONMode.CANONICAL,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_UNESCAPED = "$&+=:@"
"""The characters that Go's ``url.PathEscape``, and so mongodump, does not escape, besides letters,
digits and ``-_.~``."""
_LONGEST, _KEPT = 238, 208


@dataclass(frozen=True, slots=True)
class Entry:
    """A collection of an archive. ``file``: the path of its members without their endings; the
    hashes are SHA-256, in hexadecimal."""

    name: str
    file: str
    documents: int
    bytes: int
    sha256: str
    metadata_sha256: str

    @property
    def documents_member(self) -> str:
        """The name of the member with its documents, one after the other."""
        return f"{self.file}.bson"

    @property
    def metadata_member(self) -> str:
        """The name of the member with its options and indexes."""
        return f"{self.file}.metadata.json"


@dataclass(slots=True)
class Manifest:
    """The content of an archive. ``made_at`` is in UTC; ``source``: ``kind`` and ``version`` of the
    database's server; ``one_moment``: ``True`` when all collections are of the same moment."""

    database: str
    made_at: str
    source: dict[str, str]
    one_moment: bool
    collections: list[Entry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def encode(self) -> bytes:
        """The manifest as a member of the archive."""
        return json.dumps(
            {"kind": KIND, "format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1
        ).encode()

    @classmethod
    def decode(cls, text: bytes) -> "Manifest":
        """Parse a manifest; raises `TransferError` for one that is damaged, of something else, or
        of a newer version."""
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TransferError("The archive is damaged: its manifest cannot be read.") from error
        if not isinstance(given, dict) or given.get("kind") != KIND:
            raise TransferError("The archive is no backup of a Locutory database.")
        number: int = _member(given, "format", int)
        if number > FORMAT:
            raise TransferError(
                f"The archive was written by a newer version (format {number}; this version reads"
                f" up to {FORMAT}): restore it with that version."
            )
        found = cls(
            database=_member(given, "database", str),
            made_at=_member(given, "made_at", str),
            source={str(key): str(value) for key, value in _member(given, "source", dict).items()},
            one_moment=_member(given, "one_moment", bool),
            collections=[_entry(each) for each in _member(given, "collections", list)],
            left_out=[str(each) for each in _member(given, "left_out", list)],
        )
        if len({entry.name for entry in found.collections}) != len(found.collections):
            raise TransferError("The archive is damaged: its manifest names a collection twice.")
        return found


def _member(given: Mapping[str, Any], name: str, kind: type) -> Any:
    value: Any = given.get(name)
    proper = isinstance(value, kind)
    if proper and kind is int:
        proper = not isinstance(value, bool) and value >= 0
    if not proper:
        raise TransferError(f"The archive is damaged: its manifest has no proper {name!r}.")
    return value


def _entry(given: Any) -> Entry:
    if not isinstance(given, dict):
        raise TransferError("The archive is damaged: its manifest has no proper 'collections'.")
    entry = Entry(
        name=_member(given, "name", str),
        file=_member(given, "file", str),
        documents=_member(given, "documents", int),
        bytes=_member(given, "bytes", int),
        sha256=_member(given, "sha256", str),
        metadata_sha256=_member(given, "metadata_sha256", str),
    )
    parts = entry.file.split("/")
    if not entry.name or len(parts) != 2 or not all(parts) or {".", ".."} & set(parts):
        raise TransferError(f"The archive is damaged: it names a file {entry.file!r}.")
    return entry


def file_of(database: str, collection: str) -> str:
    """The path of a collection's members without their endings, as in mongodump."""
    folder = quote(database, safe=_UNESCAPED).replace(".", "%2E")
    name = quote(collection, safe=_UNESCAPED)
    if len(name) > _LONGEST:
        digest = hashlib.sha1(collection.encode(), usedforsecurity=False).digest()
        name = f"{name[:_KEPT]}%24{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    return f"{folder}/{name}"


def encode_metadata(described: Described, indexes: list[dict[str, Any]]) -> bytes:
    """The options and indexes of a collection in the form that mongorestore reads."""
    content = {
        "indexes": indexes,
        "uuid": described.uuid,
        "collectionName": described.name,
        "type": "collection",
        "options": described.options,
    }
    if not described.uuid:
        del content["uuid"]
    return json_util.dumps(content, json_options=_JSON).encode()


def decode_metadata(name: str, text: bytes) -> tuple[Described, list[dict[str, Any]]]:
    """Parse the metadata of the collection ``name``: its options and its indexes. Raises
    `TransferError`."""
    try:
        content = json_util.loads(text, json_options=_JSON)
        options = dict(content.get("options") or {})
        indexes = [dict(index) for index in content["indexes"]]
        if not all(isinstance(index["key"], dict) for index in indexes):
            raise ValueError("an index without keys")
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as e:
        raise TransferError(f"The archive is damaged: the indexes of {name} cannot be read.") from e
    return Described(name, options), indexes
