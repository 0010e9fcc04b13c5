"""Files to import as they are read, without a server: formats, damage, bounds."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from locutory_conversations.importing.errors import BrokenFile
from locutory_conversations.importing.reading import format_of, items
from locutory_conversations.importing.size_limited_file import SizeLimitedFile
from locutory_conversations.importing.surrogate_repair import RepairingReader

MEGABYTE = 1024 * 1024


def limited_file(content: Any, largest: int = MEGABYTE) -> SizeLimitedFile:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return SizeLimitedFile(io.BytesIO(data), len(data), largest)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"mapping": {}}], "chatgpt"),
        ([{"chat_messages": [], "mapping": {}}], "claude"),
        ({"history": [], "folders": [], "version": 4}, "chatbot-ui"),
        ({"title": "x", "conversationId": "c", "messages": []}, "librechat"),
        ({"conversationId": "c", "options": {"messages": [1]}, "messagesTree": []}, "librechat"),
        (b'\xef\xbb\xbf  [{"mapping": {}}]', "chatgpt"),
        (b'{"kind":"export","version":1}\n{"kind":"end"}\n', "export"),
    ],
)
def test_formats_are_found(content: Any, expected: str) -> None:
    assert format_of(limited_file(content)) == expected


@pytest.mark.parametrize(
    "content",
    [
        {"a": 1},
        {"version": 0, "history": []},
        {"version": 1, "history": {}},
        {"conversationId": "c", "messages": {"x": 1}},
        {"conversationId": "", "messages": []},
        [1],
        [{"x": 1}],
        [[]],
        {},
    ],
)
def test_unknown_formats(content: Any) -> None:
    with pytest.raises(BrokenFile, match="Unsupported import type"):
        format_of(limited_file(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"hello",
        b"7",
        b'"x"',
        b"[",
        b'[{"mapping"',
        b'{"a":',
        b"tru",
        b"[nope]",
        b"[\xff]",
    ],
)
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(BrokenFile):
        format_of(limited_file(content))


def everything(content: Any, format_: Any, largest: int = MEGABYTE) -> Iterator[Any]:
    return items(limited_file(content, largest), format_)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"a\ud83d b", "a\ufffd b"),
        (r"\ude00 b", "\ufffd b"),  # what is left of an emoji that was cut
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\uD83D\uDE00\uDE00", "\U0001f600\ufffd"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\\ud83d \\\ud83d \n\\", "\\ud83d \\\ufffd \n\\"),
        (r"\ud7ff\ue000", "\ud7ff\ue000"),
        ("\\" * 40, "\\" * 20),
    ],
)
def test_halves_of_characters(written: str, read: str) -> None:
    """Whatever the pieces are in which it is read."""
    data = f'[{{"mapping":{{"a":"{written}"}}}}]'.encode()
    assert [item["mapping"]["a"] for item in everything(data, "chatgpt")] == [read]
    for size in range(1, 40):
        file, pieces = RepairingReader(io.BytesIO(data)), []
        while piece := file.read(size):
            pieces.append(piece)
        assert json.loads(b"".join(pieces))[0]["mapping"]["a"] == read


def test_a_file_of_backslashes_takes_linear_time() -> None:
    file, count = RepairingReader(io.BytesIO(b"\\" * 10 * MEGABYTE)), 0
    while piece := file.read(65536):
        count += len(piece)
    assert count == 10 * MEGABYTE


def test_items_come_one_after_another() -> None:
    history = {"version": 1, "folders": [{"history": [1]}], "history": [{"a": [1, {"b": None}]}, 2]}
    assert list(everything(history, "chatbot-ui")) == [{"a": [1, {"b": None}]}, 2]
    assert list(everything([{"x": 1.5}, [], True], "chatgpt")) == [{"x": 1.5}, [], True]
    lines = b'{"kind":"export"}\n\n{"kind":"x"}\n{"kind":"end"}\n'
    kinds = [record["kind"] for record in everything(lines, "export")]
    assert kinds == ["export", "x", "end"]


@pytest.mark.parametrize(
    ("content", "format_", "good"),
    [
        (b'[{"a":1},{"a":2},{"a"', "chatgpt", 2),
        (b'[{"a":1}] trailing', "chatgpt", 1),
        (b'{"kind":"export"}\n{"kind":"x"}\n', "export", 2),
        (b'{"kind":"export"}\nnot json\n', "export", 1),
    ],
)
def test_a_file_that_ends_early_gives_what_it_has(content: bytes, format_: Any, good: int) -> None:
    source = everything(content, format_)
    found = [next(source) for _ in range(good)]
    with pytest.raises(BrokenFile):
        next(source)
    assert len(found) == good


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 300_000,
        b'[{"mapping":' + b'{"a":' * 30_000,
        b"[[" + b"{}," * 3_000_000 + b"{}]]",
        b'["' + b"x" * 40_000_000 + b'"]',
        b'{"' + b"k" * 40_000_000 + b'":1}',
    ],
)
def test_what_would_need_too_much_memory(content: bytes) -> None:
    with pytest.raises(BrokenFile):
        format_of(limited_file(content, 16 * MEGABYTE))


def test_long_keys_deep_inside_each_other_take_no_memory() -> None:
    depth = 5000
    content = (
        b'[{"x":' + b'{"' + b'":{"'.join([b"k" * 1000] * depth) + b'":1}' + b"}" * depth + b"]"
    )
    (item,) = everything(content, "chatgpt", 16 * MEGABYTE)
    assert set(item) == {"x"}


def test_a_line_may_not_be_too_long() -> None:
    for line in (b'{"x":"' + b"y" * (2 * MEGABYTE), b"[" + b"[]," * 3_000_000):
        with pytest.raises(BrokenFile):
            list(
                everything(
                    b'{"kind":"export"}\n' + line + b"\n",
                    "export",
                    8 * MEGABYTE if line[0] == 91 else MEGABYTE,
                )
            )


class Counted:
    """A file that counts how it is read."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.reads = 0

    def read(self, size: int) -> bytes:
        self.reads += 1
        return self._file.read(size)


@pytest.mark.parametrize(
    "text",
    [
        b"x" * 15_000_000,
        b'say \\"x\\", ' * 1_200_000,
        b"{[,:]} " * 2_000_000,
        b"\\\\" * 7_000_000,
        b"\\ud83d\\ude00" * 1_200_000,
    ],
    ids=["plain", "quotes", "brackets", "backslashes", "emoji"],
)
def test_a_long_text_is_read_in_growing_pieces(text: bytes) -> None:
    """The parser begins a text anew with every piece of it, so the number of pieces counts."""
    file = Counted(b'[{"a": "' + text + b'"}, 1, "' + b'short", "' * 300_000 + b'"]')
    repaired = RepairingReader(file)
    reads, read = [], 0
    while piece := repaired.read(65536):
        read += len(piece)
        reads.append(len(piece))
    assert read > len(text)
    assert len(reads) < 25 + 2_700_000 // 65536 + 1
    assert max(reads) <= 2 * MEGABYTE + 64
    # Behind it pieces are small again.
    assert max(reads[-5:]) <= 65536 + 24


@pytest.mark.parametrize(
    "begin", [b'{"conversationId": "', b'["a", "\\\\", "', b'{"a": 1', b'[{"b": "\\"']
)
def test_a_text_that_no_document_can_hold_is_refused_while_it_is_read(begin: bytes) -> None:
    data = begin + b"7" * 70_000_000
    file = limited_file(data, largest=64 * MEGABYTE)
    with pytest.raises(BrokenFile, match="A text is longer than 16 MiB"):
        list(items(file, "librechat"))
    assert file.read_bytes < 20 * MEGABYTE


def test_many_numbers_are_no_long_text() -> None:
    data = b'{"conversationId": "x", "n": [' + b"12345, " * 3_000_000 + b'1], "messages": []}'
    file = limited_file(data, largest=64 * MEGABYTE)
    assert format_of(file) == "librechat"
