"""YAML: values as js-yaml gives them, and every fault with its place."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locutory_configfile import Unreadable, read_yaml


def value(text: str) -> Any:
    return read_yaml(text)[0]


def faults(text: str) -> list[str]:
    with pytest.raises(Unreadable) as raised:
        read_yaml(text)
    return [f"{fault.mark} {fault.text}" for fault in raised.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((word, word) for word in ("yes", "No", "on", "OFF", "y", "n", "12:30", "1_000", "=")),
        *((word, word) for word in ("+.5", "-.5", "0x", "0b2", "1e", "1.2.3", "tRue", "1e999")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("''", ""),
        ("'true'", "true"),
        ("010", 10),
        ("-0x1F", -31),
        ("0o17", 15),
        ("0b11", 3),
        ("+5", 5),
        ("1.0", 1),
        ("1e3", 1000),
        (".5", 0.5),
        ("5.", 5),
        ("1" * 400, "1" * 400),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("!!str 5", "5"),
        ("!!int '7'", 7),
        ("2024-10-21", datetime(2024, 10, 21, tzinfo=UTC)),
        ("2001-12-14t21:59:43-05:00", datetime(2001, 12, 15, 2, 59, 43, tzinfo=UTC)),
        ("2024-1-2", "2024-1-2"),
    ],
)
def test_scalars(text: str, expected: Any) -> None:
    found = value(f"a: {text}\n")["a"]
    assert (found, type(found)) == (expected, type(expected))


def test_keys_are_text_and_anchors_are_followed() -> None:
    text = (
        "1: a\n1.5: b\n0x10: c\ntrue: d\n~: e\nyes: f\n'1e3': g\n"
        "base: &b {x: 1, y: 2}\nmerged: {<<: *b, y: 3}\nlist: {<<: [*b, {z: 4}]}\nagain: *b\n"
    )
    assert value(text) == {
        "1": "a",
        "1.5": "b",
        "16": "c",
        "true": "d",
        "null": "e",
        "yes": "f",
        "1e3": "g",
        "base": {"x": 1, "y": 2},
        "merged": {"x": 1, "y": 3},
        "list": {"x": 1, "y": 2, "z": 4},
        "again": {"x": 1, "y": 2},
    }


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_nothing(text: str) -> None:
    assert value(text) is None


def test_places() -> None:
    _, places = read_yaml("a:\n  - b: 1\n    c: [x,\n      y]\n")
    assert places == {
        ("a",): (1, 1),
        ("a", 0): (2, 5),
        ("a", 0, "b"): (2, 5),
        ("a", 0, "c"): (3, 5),
        ("a", 0, "c", 0): (3, 9),
        ("a", 0, "c", 1): (4, 7),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3:1 a is there twice, first in line 1"),
        ("a:\n  - {b: 1, c: {d: 1, d: 2}}\n", ":2:22 a.0.c.d is there twice, first in line 2"),
        ("1: a\n'1': b\n", ":2:1 1 is there twice, first in line 1"),
        ("true: a\n'true': b\n", ":2:1 true is there twice, first in line 1"),
        ("a: &b {c: 1, c: 2}\n", ":1:14 a.c is there twice, first in line 1"),
        ("b: &b {x: 1}\nm: {<<: *b, x: 2, x: 3}\n", ":2:19 m.x is there twice, first in line 2"),
        ("a: [1\nb: 2\n", ":2:"),
        ("registration:\n  a: [x]\n   x: [\n", ":3:"),
        ("a:\n\tb: c\n", ":2:1 while scanning for the next token, found character"),
        ("a: @x\n", ":1:4 "),
        ("a: b: c\n", ":1:5 mapping values are not allowed in this context"),
        ("a: 1\n---\nb: 2\n", ":2:1 a second document begins here"),
        ("a: {{user}}\n", ":1:5 this key is no text"),
        ("? [a]\n: 1\n", ":1:3 this key is no text"),
        ("a: *x\n", ":1:4 '*x' refers to nothing"),
        ("a: &x [1, *x]\n", ":1:11 '*x' stands inside of what it refers to"),
        ("a: &x {<<: *x}\n", ":1:12 '*x' stands inside of what it refers to"),
        ("a: {<<: 5}\n", ":1:9 '<<' takes a mapping"),
        ("a: !foo x\n", ":1:4 the tag !foo is not known here"),
        ("a: !!python/object:os.system x\n", ":1:4 the tag !!python/object:os.system is not"),
        ("a: !!binary aGk=\n", ":1:4 the tag !!binary is not known here"),
        ("a: !!set {x}\n", ":1:4 the tag !!set is not known here"),
        ("a: 2024-13-45\n", ":1:4 '2024-13-45' is no date"),
        ("a: b\nc: \x07\n", ":2:4 the character U+0007 cannot stand here"),
        ("a: \0\n", ":1:4 the character U+0000 cannot stand here"),
        ("[" * 200, ":1:102 nested more than 100 levels deep"),
    ],
)
def test_faults_have_a_place(text: str, expected: str) -> None:
    (found,) = faults(text)
    assert found.startswith(expected)


@pytest.mark.parametrize("text", ["- " * 120, "[" * 120, "{a: " * 120, "? " * 120])
def test_deep_nesting_is_refused(text: str) -> None:
    (found,) = faults(text)
    assert re.search("nested more than 100 levels|did not find|exceed", found)


def test_aliases_cannot_grow_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (found,) = faults("\n".join(lines))
    assert "more than 100000 values, counting what aliases repeat" in found
    keys = ", ".join(f"k{i}: 1" for i in range(2000))
    merges = "\n".join(f"m{i}: {{<<: *b}}" for i in range(60))
    assert "more than 100000" in faults(f"b: &b {{{keys}}}\n{merges}\n")[0]


def test_all_doubled_keys_are_named_at_once() -> None:
    assert [text.split()[1] for text in faults("a: 1\na: 2\nb: {c: 1, c: 2}\nb: 3\n")] == [
        "a",
        "b.c",
        "b",
    ]


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@`#,? \n\t0<=~."), max_size=60) | st.text())
def test_any_text_is_a_value_or_unreadable(text: str) -> None:
    try:
        found, _ = read_yaml(text)
    except Unreadable:
        return
    assert found is None or isinstance(found, str | int | float | bool | list | dict | datetime)
