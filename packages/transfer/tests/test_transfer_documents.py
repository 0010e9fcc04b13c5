"""Documents as bytes: where their ``_id`` is, and what their fingerprint tells apart."""

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from locutory_transfer import TransferError
from locutory_transfer.documents import (
    RAW,
    Fingerprint,
    identity,
    is_well_formed,
    shown_identity,
    with_identities,
)


def test_the_id_is_found_behind_any_value(
    every_type: list[bytes], obsolete_types: list[bytes]
) -> None:
    for raw in [*every_type, *obsolete_types]:
        first = identity(raw)
        assert raw[4:5] + raw[9 : 8 + len(first)] == first  # it stands in front
        elements = raw[4:-1].replace(b"_id\0", b"id_\0", 1) + b"\x02_id\0\2\0\0\0x\0"
        behind = (len(elements) + 5).to_bytes(4, "little") + elements + b"\0"
        assert identity(behind) == b"\x02\2\0\0\0x\0"
        assert is_well_formed(behind)


def test_what_has_none() -> None:
    with pytest.raises(TransferError, match="has no _id"):
        identity(bson.encode({"a": {"_id": 1}}))
    with pytest.raises(TransferError, match="unknown type 153"):
        identity(b"\x09\0\0\0\x99a\0\1\0")


def test_a_filter_by_them(every_type: list[bytes]) -> None:
    query = with_identities(map(identity, every_type))
    assert bson.encode(query) == query.raw
    wanted = [RawBSONDocument(raw, RAW)["_id"] for raw in every_type]
    assert bson.decode(query.raw, RAW) == query
    assert bson.encode({"_id": {"$in": wanted}}) == query.raw
    assert with_identities([]).raw == bson.encode({"_id": {"$in": []}})


def test_a_fingerprint_is_of_any_order_and_of_each_byte(every_type: list[bytes]) -> None:
    def of(documents: list[bytes]) -> Fingerprint:
        found = Fingerprint()
        found.add(documents)
        return found

    whole = of(every_type)
    assert whole == of(every_type[::-1])
    assert whole != of(every_type[1:])
    assert of([every_type[0]] * 2).total not in (0, of(every_type[:1]).total)
    assert of([bson.encode({"_id": 1})]) != of([bson.encode({"_id": 1.0})])


def test_an_id_for_people() -> None:
    assert shown_identity(bson.encode({"_id": "x" * 1000, "v": 1})) == repr("x" * 1000)[:200]
