"""Documents as they are stored: a collection read with ``document_class=RawBSONDocument``.

Only fields that a filter or a sort needs are decoded, and written documents keep their bytes.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from locutory_sqlite.catalog import STORED
from locutory_sqlite.connection import clock
from locutory_sqlite.writing import with_id

BATCH_BYTES = 16 * 1024 * 1024
"""A batch of raw documents ends above this, as a server's does."""


def is_raw(codec: "CodecOptions[Any]") -> bool:
    """``True`` when documents are returned as they are stored."""
    return issubclass(codec.document_class, RawBSONDocument)


def working_codec(codec: "CodecOptions[Any]") -> "CodecOptions[dict[str, Any]]":
    """The options with which filters and updates read documents, whatever the caller receives."""
    return STORED if is_raw(codec) else codec


def raw_bytes(document: Any) -> bytes:
    """The bytes to store of a raw document; ``_id`` comes first, and is made if there is none."""
    raw = bytes(document.raw)  # the driver's may be a view of a larger piece of memory
    if raw[5:9] == b"_id\0":
        return raw
    return bson.encode(with_id(bson.decode(raw, STORED)))


def as_raw(document: dict[str, Any], codec: "CodecOptions[Any]") -> RawBSONDocument:
    """A document that was computed, in the form of the stored ones."""
    return RawBSONDocument(bson.encode(document), codec)


def portion(
    rows: Iterator[Any], most: int | None, until: float = math.inf
) -> tuple[list[Any], bool]:
    """The next ``most`` of the rows, and whether there are no more. It ends before that at a
    moment by `clock`, but not without a row; and where they are raw, above `BATCH_BYTES`: a hundred
    documents may be more than a gigabyte."""
    if most is None and until == math.inf:
        return list(rows), True
    found: list[Any] = []
    size = 0
    for row in rows if most is None else islice(rows, most):
        found.append(row)
        if clock() > until:
            return found, False
        if most is not None and type(row) is RawBSONDocument:
            size += len(row.raw)
            if size > BATCH_BYTES:
                return found, False
    return found, most is None or len(found) < most
