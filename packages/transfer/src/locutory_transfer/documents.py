"""Documents as bytes: their identity, their fingerprint, and batches of them."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from locutory_transfer.reports import Amount, TransferError

RAW: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
ANY: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
"""Decodes anything that a database may hold, to show or to check it."""

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 + 16 * 1024
"""MongoDB's limit, with the reserve that its servers allow themselves above it."""

BATCH_DOCUMENTS = 1000
BATCH_BYTES = 8 * 1024 * 1024

_FIXED = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0,
    0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0,
}  # fmt: skip
"""The sizes of values with a fixed size in bytes, by BSON type."""
_COUNTED = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0C: 16, 0x0D: 4, 0x0E: 4, 0x0F: 0}
"""The bytes in addition to the length that a value begins with, by BSON type."""
_REGEX = 0x0B


def _end_of_value(raw: bytes, kind: int, at: int) -> int:
    if kind in _FIXED:
        return at + _FIXED[kind]
    if kind in _COUNTED:
        return at + int.from_bytes(raw[at : at + 4], "little") + _COUNTED[kind]
    if kind == _REGEX:
        return raw.index(b"\0", raw.index(b"\0", at) + 1) + 1
    raise TransferError(f"A document holds a value of the unknown type {kind}")


def identity(raw: bytes) -> bytes:
    """The type of a document's ``_id`` and its bytes; `TransferError` when there is none."""
    at = 4
    while at < len(raw) - 1:
        kind = raw[at]
        named = raw.index(b"\0", at + 1) + 1
        end = _end_of_value(raw, kind, named)
        if raw[at + 1 : named] == b"_id\0":
            return raw[at : at + 1] + raw[named:end]
        at = end
    raise TransferError("A document has no _id")


def shown_identity(raw: bytes) -> str:
    """A document's ``_id`` as text for a message, at most 200 characters."""
    return repr(bson.decode(raw, ANY).get("_id"))[:200]


def with_identities(identities: Iterable[bytes]) -> RawBSONDocument:
    """A filter for the documents with these ids, exactly as they are in BSON."""
    elements = b"".join(
        b"%c%d\0%b" % (each[0], number, each[1:]) for number, each in enumerate(identities)
    )
    array = _document(elements)
    inner = _document(b"\x04$in\0" + array)
    return RawBSONDocument(_document(b"\x03_id\0" + inner), RAW)


def _document(elements: bytes) -> bytes:
    return (len(elements) + 5).to_bytes(4, "little") + elements + b"\0"


@dataclass(slots=True)
class Fingerprint:
    """A fingerprint of documents in any order: two are equal if the documents are equal, byte by
    byte."""

    documents: int = 0
    size: int = 0
    total: int = 0

    def add(self, batch: Iterable[bytes]) -> None:
        """Add documents."""
        # The sum of hashes, not their exclusive or: a document that is there twice counts twice.
        for raw in batch:
            self.documents += 1
            self.size += len(raw)
            self.total += int.from_bytes(hashlib.sha256(raw).digest(), "little")
        self.total %= 1 << 256

    @property
    def amount(self) -> Amount:
        """The number of documents and bytes, without the hash."""
        return Amount(self.documents, self.size)


def is_well_formed(raw: bytes) -> bool:
    """``True`` when the document can be decoded."""
    try:
        bson.decode(raw, ANY)
    except (bson.errors.BSONError, ValueError, TypeError, OverflowError, RecursionError):
        return False
    return True


def batches(
    collection: Any,
    filter: Mapping[str, Any] | None = None,
    projection: Mapping[str, Any] | None = None,
    session: Any = None,
) -> AsyncIterator[list[bytes]]:
    """The documents of a raw collection in batches of limited size."""
    options = {} if session is None else {"session": session}
    cursor = collection.find(filter or {}, projection, batch_size=BATCH_DOCUMENTS, **options)
    return batches_of(cursor)


async def batches_of(cursor: Any) -> AsyncIterator[list[bytes]]:
    """The documents of a cursor over raw ones in batches; the cursor is closed at the end."""
    batch: list[bytes] = []
    size = 0
    try:
        async for document in cursor:
            raw = bytes(document.raw)  # the driver shows a large one in its reply's memory
            batch.append(raw)
            size += len(raw)
            if len(batch) == BATCH_DOCUMENTS or size > BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
    finally:
        await cursor.close()
