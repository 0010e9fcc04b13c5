"""Archives that are damaged, cut off, foreign, newer or made to do harm: nothing is written."""

import hashlib
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bson
import pytest

from locutory_transfer import TransferError, backup, restore
from locutory_transfer.archive import KIND

Change = Callable[[dict[str, bytes]], object]


@pytest.fixture
async def archive(opened: Any, tmp_path: Path) -> Path:
    """A small one."""
    database = await opened("sqlite", "source")
    await database["notes"].insert_many([{"_id": n, "text": f"note {n}"} for n in range(20)])
    await database["notes"].create_index("text", unique=True)
    await database["users"].insert_one({"_id": 1})
    path = tmp_path / "backup.zip"
    await backup(database, path)
    return path


@pytest.fixture
async def target(opened: Any) -> Any:
    """An empty database."""
    return await opened("sqlite", "target")


def read(path: Path) -> bytes:
    """The bytes of a file."""
    return path.read_bytes()


def write(path: Path, content: bytes | bytearray) -> None:
    """Put other bytes into a file."""
    path.write_bytes(content)


async def refused(target: Any, path: Path, **options: Any) -> str:
    """Why an archive is refused; the database is as it was."""
    with pytest.raises(TransferError) as caught:
        await restore(target, path, **options)
    assert await target.list_collection_names() == []
    return str(caught.value)


def changed(archive: Path, change: Change) -> Path:
    """The archive packed again with other members."""
    with zipfile.ZipFile(archive) as given:
        members = {name: given.read(name) for name in given.namelist()}
    change(members)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return archive


def with_manifest(change: Callable[[dict[str, Any]], None]) -> Change:
    """Changes the manifest."""

    def apply(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"])
        change(manifest)
        members["manifest.json"] = json.dumps(manifest).encode()

    return apply


def member(members: dict[str, bytes], ending: str) -> str:
    """The name of a member."""
    return next(name for name in members if name.endswith(ending))


def with_documents(content: bytes, **counted: int) -> Change:
    """Puts other documents into ``notes``, for which the manifest vouches."""

    def apply(members: dict[str, bytes]) -> None:
        members[member(members, "/notes.bson")] = content
        manifest = json.loads(members["manifest.json"])
        (entry,) = [each for each in manifest["collections"] if each["name"] == "notes"]
        entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), **counted)
        members["manifest.json"] = json.dumps(manifest).encode()

    return apply


async def test_packed_again_it_is_accepted(target: Any, archive: Path) -> None:
    report = await restore(target, changed(archive, lambda members: None))
    assert report.collections["notes"].documents == 20


async def test_cut_off(target: Any, archive: Path) -> None:
    content = read(archive)
    for length in [0, 1, 3, 4, 30, *range(100, len(content), 97), len(content) - 1]:
        write(archive, content[:length])
        assert await refused(target, archive)


async def test_any_byte_may_be_wrong(opened: Any, target: Any, archive: Path) -> None:
    """It is noticed, or changes nothing that is restored."""
    content = read(archive)
    generator = random.Random(7)
    noticed = 0
    for number in range(120):
        wrong = bytearray(content)
        wrong[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        write(archive, wrong)
        other = await opened("sqlite", f"other{number}")
        try:
            report = await restore(other, archive)
        except TransferError:
            noticed += 1
            assert await other.list_collection_names() == []
        else:
            assert report.collections["notes"].documents == 20
            assert await other["notes"].count_documents({"text": {"$regex": "^note "}}) == 20
            assert "text_1" in await other["notes"].index_information()
    assert noticed > 40


FOREIGN = {
    "empty": (b"", "is no backup"),
    "text": (b"hello", "is no backup"),
    "start": (b"PK\3\4 and so on", "list of members cannot be read"),
}


@pytest.mark.parametrize(("content", "text"), FOREIGN.values(), ids=FOREIGN)
async def test_something_else(target: Any, tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "x.zip"
    write(path, content)
    assert text in await refused(target, path)


async def test_what_is_no_file(target: Any, tmp_path: Path) -> None:
    assert "cannot be read" in await refused(target, tmp_path)
    assert "cannot be read" in await refused(target, tmp_path / "missing")


def _replaced(key: str, value: Any) -> Change:
    return with_manifest(lambda manifest: manifest.update({key: value}))


def _entry(**values: Any) -> Change:
    return with_manifest(lambda manifest: manifest["collections"][0].update(values))


DOCUMENT = bson.encode({"_id": 1})
CHANGES: dict[str, tuple[Change, str]] = {
    "no manifest": (lambda m: m.pop("manifest.json") and None, "has no manifest.json"),
    "no JSON": (lambda m: m.update({"manifest.json": b"{"}), "manifest cannot be read"),
    "deep JSON": (lambda m: m.update({"manifest.json": b"[" * 100_000}), "manifest cannot be read"),
    "another manifest": (lambda m: m.update({"manifest.json": b"[1]"}), "is no backup"),
    "newer": (_replaced("format", 2), "newer version (format 2"),
    "odd format": (_replaced("format", "1"), "no proper 'format'"),
    "no collections": (_replaced("collections", None), "no proper 'collections'"),
    "odd collection": (_replaced("collections", [1]), "no proper 'collections'"),
    "negative": (_entry(documents=-1), "no proper 'documents'"),
    "not a number": (_entry(bytes=True), "no proper 'bytes'"),
    "upwards": (_entry(file="../x"), "names a file '../x'"),
    "absolute": (_entry(file="/x"), "names a file '/x'"),
    "twice": (
        with_manifest(lambda m: m["collections"].append(m["collections"][0])),
        "names a collection twice",
    ),
    "other count": (_entry(documents=19), "are not those that were backed up"),
    "other size": (_entry(bytes=10), "has not the size it had"),
    "other hash": (_entry(sha256="0" * 64), "are not those that were backed up"),
    "a member more": (lambda m: m.update({"../../x": b""}), "'../../x' that its manifest"),
    "a member less": (lambda m: m.pop(member(m, "/users.bson")) and None, "is missing"),
    "other indexes": (
        lambda m: m.update({member(m, "/notes.metadata.json"): b"{}"}),
        "the indexes of notes",
    ),
    "huge document": (with_documents(struct.pack("<i", 2**31 - 1) + b"x" * 100), "bytes"),
    "tiny document": (with_documents(struct.pack("<i", 4)), "has 4 bytes"),
    "cut document": (with_documents(DOCUMENT[:-1]), "is cut off"),
    "no BSON": (with_documents(struct.pack("<i", 9) + b"\x99a\0\1\0", documents=1), "is no BSON"),
    "no _id": (with_documents(bson.encode({"a": 1}), documents=1), "has no _id"),
}


@pytest.mark.parametrize(("change", "text"), CHANGES.values(), ids=CHANGES)
async def test_changed(target: Any, archive: Path, change: Change, text: str) -> None:
    assert text in await refused(target, changed(archive, change))
    assert text in await refused(target, archive, replace=True)


async def test_nested_too_deeply(target: Any, archive: Path) -> None:
    raw = b"\x05\0\0\0\0"
    for _ in range(20_000):
        inner = b"\x03a\0" + raw
        raw = struct.pack("<i", len(inner) + 5) + inner + b"\0"
    inner = b"\x10_id\0\1\0\0\0\x03a\0" + raw
    raw = struct.pack("<i", len(inner) + 5) + inner + b"\0"
    changed(archive, with_documents(raw, documents=1))
    assert "is no BSON" in await refused(target, archive)


async def test_the_same_id_twice(target: Any, archive: Path) -> None:
    """Not to be seen before it is written; the database says that it is unfinished."""
    changed(archive, with_documents(DOCUMENT * 2, documents=2))
    with pytest.raises(TransferError, match="with the same _id"):
        await restore(target, archive)
    with pytest.raises(TransferError, match="is an unfinished restore of backup"):
        await backup(target, archive.with_name("y.zip"))


def _directory(content: bytes | bytearray, ending: bytes) -> int:
    """Where the list of members has the one with this ending."""
    at = content.index(b"PK\1\2")
    while at >= 0:
        length = struct.unpack_from("<H", content, at + 28)[0]
        if content[at + 46 : at + 46 + length].endswith(ending):
            return at
        at = content.index(b"PK\1\2", at + 4)
    raise AssertionError(ending)


@pytest.mark.parametrize("size", [0, 1, 10**6, 2**32 - 2])
@pytest.mark.parametrize("ending", [b"/notes.bson", b"/notes.metadata.json", b"manifest.json"])
async def test_sizes_that_lie(target: Any, archive: Path, ending: bytes, size: int) -> None:
    changed(archive, lambda members: None)
    content = bytearray(read(archive))
    struct.pack_into("<L", content, _directory(content, ending) + 24, size)
    write(archive, content)
    assert "damaged" in await refused(target, archive)


async def test_a_member_inside_another(target: Any, archive: Path) -> None:
    changed(archive, lambda members: None)
    content = bytearray(read(archive))
    first = struct.unpack_from("<L", content, _directory(content, b"/notes.bson") + 42)[0]
    struct.pack_into("<L", content, _directory(content, b"/users.bson") + 42, first)
    write(archive, content)
    assert "lies inside another" in await refused(target, archive)


async def test_a_member_that_is_encrypted(target: Any, archive: Path) -> None:
    changed(archive, lambda members: None)
    content = bytearray(read(archive))
    content[_directory(content, b"/notes.bson") + 8] |= 1
    write(archive, content)
    assert "is encrypted" in await refused(target, archive)


async def test_a_list_of_members_that_is_too_long(target: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(1000):
            made.writestr(f"{number:010000}", b"")
    assert "a part of it is too large" in await refused(target, path)


async def test_a_folder_of_mongodump_is_told_from_a_backup(target: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("LibreChat/notes.bson", DOCUMENT)
    assert "can be restored by mongorestore" in await refused(target, path)
    assert KIND == "locutory-database-backup"
