"""Databases of both kinds, and documents that are hard to keep."""

import math
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import bson
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp
from pymongo import AsyncMongoClient

from locutory_sqlite import Client
from locutory_transfer.documents import RAW

Open = Callable[[str, str], Awaitable[Any]]

KINDS = ["sqlite", pytest.param("mongodb", marks=pytest.mark.slow)]
PAIRS = [
    ("sqlite", "sqlite"),
    pytest.param(("sqlite", "mongodb"), marks=pytest.mark.slow),
    pytest.param(("mongodb", "sqlite"), marks=pytest.mark.slow),
    pytest.param(("mongodb", "mongodb"), marks=pytest.mark.slow),
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database."""
    return str(request.param)


@pytest.fixture(params=PAIRS, ids="-".join)
def kinds(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kinds of a source and of a target."""
    first, second = request.param
    return first, second


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks MongoDB's protocol: the one that ``LOCUTORY_TEST_MONGO_URI`` names, or
    SecantusDB."""
    from locutory_secantus.testing import server  # not installed for the fast tests

    with server(tmp_path_factory.mktemp("mongodb")) as uri:
        yield uri


@pytest.fixture
def address(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str, str], str]:
    """Where a database of a kind and a name is: a path, or a URI without the name."""

    def of(kind: str, name: str) -> str:
        if kind == "sqlite":
            return str(tmp_path / f"{name}.sqlite")
        return str(request.getfixturevalue("mongodb_uri"))

    return of


@pytest.fixture
async def opened(address: Callable[[str, str], str]) -> AsyncIterator[Open]:
    """Opens a database of a kind, the same one for the same name in one test."""
    test = uuid4().hex[:8]
    clients: dict[str, Any] = {}
    async with AsyncExitStack() as stack:

        async def open_(kind: str, name: str) -> Any:
            where = address(kind, name)
            if where not in clients:
                made: Any = Client(Path(where)) if kind == "sqlite" else AsyncMongoClient(where)
                clients[where] = await stack.enter_async_context(made)
            return clients[where][f"{name}{test}"]

        yield open_


def _raw(*elements: bytes) -> bytes:
    content = b"".join(elements)
    return struct.pack("<i", len(content) + 5) + content + b"\0"


def _id(number: int) -> bytes:
    return b"\x10_id\0" + struct.pack("<i", number)


@pytest.fixture
def every_type() -> list[bytes]:
    """Documents with each type of BSON, and values at its edges."""
    values: list[Any] = [
        0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 5e-324,
        "", "text", "ä\U0001f600", "with\0zero", "x" * 5000,
        {}, {"a": {"b": {}}}, {"a.b": 1, "$c": 2, "": 3}, [], [[], [1, [2]], {"a": []}],
        Binary(b""), Binary(b"\0\xff", 2), Binary(b"b" * 16, 3), Binary(b"c", 5), Binary(b"d", 128),
        Binary.from_uuid(UUID(int=7)), ObjectId(b"0123456789ab"), True, False, None,
        datetime(2026, 1, 2, 3, 4, 5, 678000, UTC), datetime(1, 1, 1, tzinfo=UTC),
        Regex("^a.b", "imsx"), Regex(""),
        Code("return 1"), Code("return x", {"x": 1, "y": {"z": [1]}}), 0, -(2**31), 2**31 - 1,
        Int64(0), Int64(1), 2**63 - 1, -(2**63), {"nested": Timestamp(0, 0)}, Timestamp(4294967295, 1),
        Decimal128("0"), Decimal128("-0"), Decimal128("1.10"), Decimal128("NaN"), Decimal128("-Inf"),
        MinKey(), MaxKey(),
    ]  # fmt: skip
    documents = [bson.encode({"_id": n, "v": value}) for n, value in enumerate(values)]
    nested: dict[str, Any] = {}
    for _ in range(90):
        nested = {"n": [nested]}
    identities: list[Any] = [
        "", "a", 0.5, Int64(2**40), Decimal128("5.5"), {"a": 1, "b": [2]}, Binary(b"i"),
        UUID(int=3).bytes, ObjectId(b"abcdefghijkl"), True, None,
        datetime(2020, 1, 1, tzinfo=UTC), Timestamp(5, 6), MinKey(),
    ]  # fmt: skip
    documents += [bson.encode({"_id": identity}) for identity in identities]
    documents += [
        bson.encode({"_id": 1000, "nested": nested}),
        bson.encode({"_id": 1001, **{f"f{n}": n for n in range(3000)}}),
    ]
    return documents


@pytest.fixture
def obsolete_types() -> list[bytes]:
    """Types that drivers no longer write, a field that is there twice, and dates of far years:
    MongoDB keeps them as they are, SecantusDB does not."""
    return [
        *(bson.encode({"_id": n, "v": DatetimeMS(n * 2**50)}) for n in (-2999, 2999)),
        _raw(_id(2000), b"\x06v\0"),
        _raw(_id(2001), b"\x0ev\0" + struct.pack("<i", 4) + b"sym\0"),
        _raw(_id(2002), b"\x0cv\0" + struct.pack("<i", 2) + b"c\0" + b"0123456789ab"),
        _raw(_id(2003), b"\x08v\0\0", b"\x08v\0\1"),
    ]


@pytest.fixture
def largest() -> bytes:
    """A document of the largest size: 16 MB."""
    empty = len(bson.encode({"_id": "largest", "v": b""}))
    return bson.encode({"_id": "largest", "v": b"\xa5" * (16 * 1024 * 1024 - empty)})


async def put_raw(collection: Any, documents: list[bytes]) -> None:
    """Store documents as they are."""
    raw = collection.with_options(codec_options=RAW)
    for at in range(0, len(documents), 5000):
        await raw.insert_many([RawBSONDocument(each, RAW) for each in documents[at : at + 5000]])


async def read_raw(collection: Any) -> list[bytes]:
    """All documents as bytes, in the order of their bytes."""
    raw = collection.with_options(codec_options=RAW)
    return sorted([bytes(document.raw) async for document in raw.find({}, batch_size=1000)])


async def contents(database: Any) -> dict[str, Any]:
    """Everything in a database: documents, and indexes without what a server adds, and without
    ``background``, which the built-in database does not keep."""
    found = {}
    for name in sorted(await database.list_collection_names()):
        indexes = {
            name: {
                key: value for key, value in index.items() if key not in ("v", "ns", "background")
            }
            for name, index in (await database[name].index_information()).items()
            if name != "_id_"
        }
        for index in indexes.values():
            index["key"] = [tuple(pair) for pair in index["key"]]
            if "partialFilterExpression" in index:
                index["partialFilterExpression"] = dict(index["partialFilterExpression"])
        found[name] = (await read_raw(database[name]), indexes)
    return found


@pytest.fixture
def raw_documents() -> Any:
    """`put_raw`, `read_raw` and `contents`, for the modules of tests."""

    class Functions:
        put = staticmethod(put_raw)
        read = staticmethod(read_raw)
        contents = staticmethod(contents)

    return Functions


ODD_NAMES = ["a/b", "a.b", "%41", "ü x", "a:b?c*", "a\\b", "a\"b'", "a\nb", "n" * 230, "ж" * 100]


@pytest.fixture
async def filled(
    kinds: tuple[str, str], opened: Open, every_type: list[bytes], largest: bytes
) -> Any:
    """A source with whatever a database may hold; ``raw_documents.contents`` shows it."""
    database = await opened(kinds[0], "source")
    await put_raw(database["types"], every_type)
    await put_raw(database["large"], [largest, *(bson.encode({"_id": n}) for n in range(3))])
    for number, name in enumerate(ODD_NAMES):
        await put_raw(database[name], [bson.encode({"_id": number})])
    await database.create_collection("empty")
    await database["empty"].create_index("a")
    numbers = [
        {"_id": n, "n": n, "s": str(n % 7), **({"u": n} if n % 3 else {})} for n in range(3000)
    ]
    await database["numbers"].insert_many(numbers)
    indexed = database["numbers"]
    await indexed.create_index([("n", 1), ("s", -1)], unique=True, name="unique")
    await indexed.create_index("u", sparse=True)
    await indexed.create_index("s", partialFilterExpression={"n": {"$gt": 100}}, name="partial")
    await indexed.create_index("expires", expireAfterSeconds=3600)
    return database
