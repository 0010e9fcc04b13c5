"""Finding and replacing artifacts (contract messages §3.5)."""

import pytest

from locutory_conversations.editing.artifacts import artifacts_of, without_display_escapes

PLAIN = ":::artifact{id=a}\nline one\nline two\n:::\nafter"
FENCED = ":::artifact{id=a}\n```html\n<p>old</p>\n```\n:::\nafter"


def replaced(text: str, original: str, updated: str, index: int = 0) -> str | None:
    return artifacts_of({"text": text})[index].replace(original, updated)


def editable(text: str, index: int = 0) -> str | None:
    artifact = artifacts_of({"text": text})[index]
    span = artifact.editable()
    return None if span is None else artifact.text[span[0] : span[1]]


def test_where_artifacts_are_looked_for() -> None:
    parts = [
        None,
        {"type": "text", "text": "none here"},
        {"type": "text", "text": f"{PLAIN}\n{FENCED}"},
        {"type": "think", "think": PLAIN},
        {"type": "text", "text": {"value": PLAIN}},
        {"type": "text", "text": FENCED},
    ]
    found = artifacts_of({"content": parts, "text": PLAIN})
    assert [artifact.part for artifact in found] == [2, 2, 5]
    assert [a.part for a in artifacts_of({"content": parts[:2], "text": PLAIN})] == [None]
    assert artifacts_of({}) == []
    assert artifacts_of({"content": "x", "text": 5}) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN, "line one\nline two\n"),
        (FENCED, "<p>old</p>"),
        # the marker may be indented, and stand before other text
        (":::artifact\na\n   ::: more\nb", "a\n   "),
        # no marker: the artifact ends with the text
        (":::artifact\na\nb", "a\nb"),
        (":::artifact\n", ""),
        (":::artifact", None),
        # a marker inside a closed fence does not count
        (":::artifact\n```\na\n:::\nb\n```\n:::\nc", "a\n:::\nb"),
        (":::artifact\n~~~\na\n:::\nb\n~~~\n:::\nc", "a\n:::\nb"),
        # a fence is closed by the same characters, at least as many, and nothing else
        (":::artifact\n````\na\n```\n:::\n````\n:::\nc", "a\n```\n:::"),
        (":::artifact\n```\na\n~~~\n:::\n``` x\n:::\n````\n:::\nc", "a\n~~~\n:::\n``` x\n:::"),
        # a fence that never closes: the first marker inside counts
        (":::artifact\n```html\na\n:::\nb\n:::", "a\n"),
        # text after the fence: the range is the whole body
        (":::artifact\n```\na\n```\ntext\n:::", "```\na\n```\ntext\n"),
        (":::artifact\ntext\n```\na\n```\n:::", "text\n```\na\n```\n"),
        (":::artifact\n\n  ```js\na\n  ```  \n\n:::", "a"),
        (":::artifact\n```\n```\n:::", ""),
        # the opening of another artifact is no marker
        (":::artifact\na\n:::artifact\nb\n:::", "a\n:::artifact\nb\n"),
    ],
)
def test_the_editable_range(text: str, expected: str | None) -> None:
    assert editable(text) == expected


def test_several_artifacts_in_one_text() -> None:
    text = f"intro\n{PLAIN}\n{FENCED} ::: :::artifact\nlast"
    assert [editable(text, index) for index in range(3)] == [
        "line one\nline two\n",
        "<p>old</p>",
        "last",
    ]
    assert len(artifacts_of({"text": text})) == 3
    assert replaced(text, "<p>old</p>", "<b>", 1) == text.replace("<p>old</p>", "<b>")


@pytest.mark.parametrize(
    ("text", "original", "updated", "expected"),
    [
        (FENCED, "<p>old</p>", "<p>new</p>", FENCED.replace("old", "new")),
        (FENCED, "<p>old</p>\n", "<p>new</p>\n", FENCED.replace("old", "new")),
        (FENCED, "old", "new", ":::artifact{id=a}\n```html\n<p>new\n</p>\n```\n:::\nafter"),
        (FENCED, "after", "x", None),
        (FENCED, "", "x", None),
        (FENCED, "\n", "x", None),
        (PLAIN, "line two", "2", PLAIN.replace("line two", "2")),
        (PLAIN, "line", "L", ":::artifact{id=a}\nL\n one\nline two\n:::\nafter"),
        (":::artifact\n```\n```\n:::", "", "new", ":::artifact\n```\nnew\n```\n:::"),
        (":::artifact\n```\n\n\n```\n:::", "", "n", ":::artifact\n```\nn\n```\n:::"),
        # newlines before the closing fence collapse, and only there
        (
            ":::artifact\n```\na\n\n\nb\n\n\n```\n\n:::",
            "b",
            "c",
            ":::artifact\n```\na\n\n\nc\n```\n\n:::",
        ),
        (":::artifact\n```\na\n\n\n```\nx", "a", "c", ":::artifact\n```\nc\n\n\n```\nx"),
        (":::artifact", "a", "b", None),
    ],
)
def test_replacing(text: str, original: str, updated: str, expected: str | None) -> None:
    assert replaced(text, original, updated) == expected


@pytest.mark.parametrize(
    ("shown", "stored"),
    [
        (r"costs \$14 and \\$15", "costs $14 and $15"),
        (r"$$\\ce{H2O}$$", r"$\ce{H2O}$"),
        (r"a $$\\pu{1 m}$$ b $$\\ce{X}$$", r"a $\pu{1 m}$ b $\ce{X}$"),
        (r"$$\\ce{H2O} $$", r"$$\\ce{H2O} $$"),
        (r"$$\\ce{a $$\\ce{b}$$", r"$\ce{a $$\\ce{b}$"),
        (r"$$\\ce{a}$$$\\ce{b}$$", r"$\ce{a}$$\\ce{b}$$"),
        ("}}{}$$", "}}{}$$"),
        (r"\ce{x} $5", r"\ce{x} $5"),
        ("", ""),
    ],
)
def test_display_escapes(shown: str, stored: str) -> None:
    assert without_display_escapes(shown) == stored


@pytest.mark.parametrize(
    "text",
    [
        ":::artifact\n```x\n:::\n" * 40_000,
        ":::artifact\n" * 60_000,
        ":::artifact\n" + "\n" * 800_000 + "```\n:::",
        ":::artifact\n```" + "\n" * 800_000,
        ":::artifact\n" + "\n```\n" * 150_000,
        ":::artifact\n" + " " * 800_000 + ":::",
        ":::artifact\n" + "`" * 800_000,
        ":::artifact\n```\n" + "\n``` \n \n" * 90_000,
    ],
    ids=range(8),
)
def test_hostile_texts_come_to_an_end(text: str) -> None:
    """In linear time, as ``make bench`` shows; in quadratic time this would take for ever."""
    found = artifacts_of({"text": text})
    for artifact in found[:3]:
        artifact.replace("zz", "y")
        artifact.replace("", "y")
        artifact.replace("`", "y")


@pytest.mark.parametrize("text", [r"$$\\ce{" * 100_000, "}$$" * 200_000, "\\" * 800_000])
def test_hostile_escapes_come_to_an_end(text: str) -> None:
    without_display_escapes(text)
