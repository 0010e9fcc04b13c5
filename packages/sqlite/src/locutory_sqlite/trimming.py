"""Removing fields that a query does not need from a document's BSON, before it is decoded.

A conversation contains the ids of all its messages: decoding a thousand of them takes longer than
the rest of a page of the list.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from locutory_sqlite.paths import split

SMALL = 640
"""Bytes that are decoded as quickly as they are looked through."""

_SIZES = {
    0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16,
    0x7F: 0, 0xFF: 0,
}  # fmt: skip
"""Of values by their type, where it is always the same."""

_LENGTHS = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0D: 4, 0x0E: 4, 0x0F: 0}
"""Of values that begin with a length: what their size is more than that."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Top-level fields: those with the ``names``, or all but those."""

    names: frozenset[bytes]
    named: bool


def needed_by(projection: Any, fields: Iterable[str] | None, order: Iterable[str]) -> Needed | None:
    """The fields that a query needs of its documents. ``fields``: those that its filter reads;
    ``order``: the paths of its sort. ``None``: everything, or unknown."""
    if fields is None or projection is None:
        return None
    given = projection if isinstance(projection, Mapping) else dict.fromkeys(projection, 1)
    flags = {path: flag for path, flag in given.items() if path != "_id"}
    if not all(type(flag) in (int, bool) for flag in given.values()):
        return None
    looked_at = {*fields, *(split(path)[0] for path in order), "_id"}
    if not flags and not given.get("_id"):
        return None
    if all(flags.values()):
        names = looked_at | {split(path)[0] for path in flags}
        return Needed(frozenset(name.encode() for name in names), True)
    if any(flags.values()):
        return None  # is refused
    names = {path for path in flags if "." not in path} - looked_at
    return Needed(frozenset(name.encode() for name in names), False) if names else None


def trimmed(raw: bytes, needed: Needed) -> bytes:
    """A document with the fields that are needed, at least; as it is, where it is damaged."""
    kept = []
    at, begin, end = 4, 4, len(raw) - 1
    try:
        while at < end:
            kind = raw[at]
            stop = raw.index(0, at + 1)
            size = _SIZES.get(kind)
            if size is None:
                more = _LENGTHS.get(kind)
                if more is None:  # a regular expression, or a kind that nobody writes any more
                    return raw
                size = int.from_bytes(raw[stop + 1 : stop + 5], "little") + more
                if size < more:
                    return raw
            following = stop + 1 + size
            if (raw[at + 1 : stop] in needed.names) is not needed.named:
                if begin < at:
                    kept.append(raw[begin:at])
                begin = following
            at = following
    except (IndexError, ValueError):
        return raw
    if at != end or begin == 4:
        return raw
    kept.append(raw[begin:end])
    body = b"".join(kept)
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"
