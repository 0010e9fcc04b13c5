"""Files of variables, and files as text."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locutory_configfile import Unreadable, decoded, file_text, read_env


def test_values() -> None:
    text = (
        "A=1\nB='quoted # value'\nC=p${A}$w  # a comment\nD=\nexport E=5\n# F=6\n\n"
        "G=\"two\nlines\\nthree\"\nH=a#b\nI: colon\r\nJ=`it's`\n  K = spaced  \nL='a\\nb'\n"
    )
    assert read_env(text).values == {
        "A": "1",
        "B": "quoted # value",
        "C": "p${A}$w",
        "D": "",
        "E": "5",
        "G": "two\nlines\nthree",
        "H": "a",
        "I": "colon",
        "J": "it's",
        "K": "spaced",
        "L": "a\\nb",
    }


def test_doubled_names_count_when_they_differ() -> None:
    found = read_env("A=1\nB=2\nA=3\nB=2\nA=3\n")
    assert found.values == {"A": "3", "B": "2"}
    assert found.doubled == {"A": [1, 3, 5]} or found.doubled == {"A": [1, 3]}


def test_lines_that_say_nothing() -> None:
    found = read_env("ALLOW false\nA=1\n=x\nFOO\n'B'=2\n\nexport\n")
    assert found.values == {"A": "1"}
    assert found.lost == [(1, "ALLOW"), (3, ""), (4, "FOO"), (5, ""), (7, "export")]


@given(st.text(st.sampled_from("AB=:'\"`#\\n \n\r\t"), max_size=40))
def test_any_text_is_read(text: str) -> None:
    read_env(text)


def test_many_blank_lines_take_no_time() -> None:
    assert read_env("\n" * 200_000 + "A=1").values == {"A": "1"}


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"a: \xe9\n", ":1:4"), (b"a\nb\n\nc: d\xff", ":4:5"), (b"\xff\xfea\0", ":1:1")],
)
def test_other_encodings_are_placed(data: bytes, place: str) -> None:
    with pytest.raises(Unreadable, match="is no UTF-8") as raised:
        decoded(data)
    assert raised.value.faults[0].mark == place


def test_a_byte_order_mark_is_no_text() -> None:
    assert decoded("\ufeffa: ä".encode()) == "a: ä"


def test_what_is_there_and_cannot_be_read(tmp_path: Path) -> None:
    assert file_text(tmp_path / "none") is None
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "large").write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    for name, said in (
        ("folder", "cannot be read: Is a directory"),
        ("link", "cannot be read: No such file"),
        ("large", "is larger than"),
        ("large/x", "cannot be read: Not a directory"),
        ("nul\0", "cannot be read"),
    ):
        with pytest.raises(Unreadable, match=said):
            file_text(tmp_path / name)
    if os.geteuid():  # root may read everything
        (tmp_path / "closed").write_text("a")
        (tmp_path / "closed").chmod(0)
        with pytest.raises(Unreadable, match="Permission denied"):
            file_text(tmp_path / "closed")
