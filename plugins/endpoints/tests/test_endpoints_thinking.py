"""Reasoning between tags in the text of an answer."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locutory_contracts.models import ReasoningDelta, ReasoningEnded, TextDelta
from locutory_endpoints.wire.thinking import ThinkTags

Parts = list[tuple[str, str]]


def parts_of(*pieces: str) -> Parts:
    """What is said, runs of one kind as one; ``("ended", "")`` for `ReasoningEnded`."""
    tags = ThinkTags()
    said = [event for piece in pieces for event in tags.feed(piece)] + tags.flush()
    found: Parts = []
    for event in said:
        if isinstance(event, ReasoningEnded):
            found.append(("ended", ""))
            continue
        kind = "text" if isinstance(event, TextDelta) else "think"
        if found and found[-1][0] == kind:
            found[-1] = (kind, found[-1][1] + event.text)
        else:
            found.append((kind, event.text))
    return found


CASES: list[tuple[str, Parts]] = [
    ("Answer", [("text", "Answer")]),
    ("<think>hmm</think>Answer", [("think", "hmm"), ("text", "Answer")]),
    ("<think> let me see </think> The answer", [("think", "let me see"), ("text", "The answer")]),
    ("\n\n<think>\nhmm\n\nyes\n</think>\n\nAnswer\n", [("think", "hmm\n\nyes"), ("text", "Answer\n")]),
    ("<THINK>hmm</Think>Answer", [("think", "hmm"), ("text", "Answer")]),
    ("<think >hmm</think\n>Answer", [("think", "hmm"), ("text", "Answer")]),
    ("<thinking>hmm</thinking>Answer", [("think", "hmm"), ("text", "Answer")]),
    ("<thought>hmm</thought>Answer", [("think", "hmm"), ("text", "Answer")]),
    ("<think></think>Answer", [("text", "Answer")]),
    ("<think>\n\n</think>\n\nAnswer", [("text", "Answer")]),
    ("</think>Answer", [("text", "Answer")]),
    ("<think>never closed", [("think", "never closed")]),
    ("<think>a</think>One <think>b</think>Two", [("think", "a"), ("text", "One "), ("think", "b"), ("text", "Two")]),
    ("<think>a</think><think>b</think>Two", [("think", "ab"), ("text", "Two")]),
    ("First. <think>b</think>Two", [("text", "First. "), ("think", "b"), ("text", "Two")]),
    ("<think>a <think> b</think>c", [("think", "a <think> b"), ("text", "c")]),
    ("<think>a </thinking> b</think>c", [("think", "a </thinking> b"), ("text", "c")]),
    ("hmm</think>Answer", [("text", "hmm"), ("ended", ""), ("text", "Answer")]),
    ("hmm\n</think>\n\nAnswer </think> x", [("text", "hmm\n"), ("ended", ""), ("text", "Answer </think> x")]),
    ("<think>a</think>b</think>c", [("think", "a"), ("text", "b</think>c")]),
    ("```xml\n<think>x</think>\n```\nso", [("text", "```xml\n<think>x</think>\n```\nso")]),
    ("Use:\n\n  ~~~~\n<think>\n~~~\n</think>\n~~~~\n", [("text", "Use:\n\n  ~~~~\n<think>\n~~~\n</think>\n~~~~\n")]),
    ("> ```\n> <think>\n> ```\n", [("text", "> ```\n> <think>\n> ```\n")]),
    ("1. ```\n   <think>x</think>\n   ```\n", [("text", "1. ```\n   <think>x</think>\n   ```\n")]),
    ("```a``` and <think>x</think>y", [("text", "```a``` and "), ("think", "x"), ("text", "y")]),
    ("```\ncode\n```\n<think>x</think>y", [("text", "```\ncode\n```\n"), ("think", "x"), ("text", "y")]),
    ("The tag `<think>` opens, ``</think>`` closes", [("text", "The tag `<think>` opens, ``</think>`` closes")]),
    ("a ` b\n<think>x</think>y", [("text", "a ` b\n"), ("think", "x"), ("text", "y")]),
    ("<think>`x` ```\nopen</think>Answer", [("think", "`x` ```\nopen"), ("text", "Answer")]),
    ("Write <thinking> to think", [("text", "Write <thinking> to think")]),
    ("a < b <t <th> <thinker> <b>x</b> <", [("text", "a < b <t <th> <thinker> <b>x</b> <")]),
    ("<think>a < b <c>d</c> </thin </think>e", [("think", "a < b <c>d</c> </thin"), ("text", "e")]),
    ("   ", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parts"), CASES)
def test_whole(text: str, parts: Parts) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize(("text", "parts"), CASES)
def test_character_by_character(text: str, parts: Parts) -> None:
    assert parts_of(*text) == parts


@given(st.sampled_from(CASES), st.lists(st.integers(0, 80), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_split_says_the_same(case: tuple[str, Parts], cuts: list[int]) -> None:
    text, parts = case
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    assert parts_of(*(text[a:b] for a, b in pairwise(places))) == parts


@given(st.lists(st.sampled_from(["<", "/", "think", ">", "`", "```", "~~~", "\n", " ", "x", "<think>", "</think>"]), max_size=30))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_noise_is_said_the_same_however_it_comes(words: list[str]) -> None:
    text = "".join(words)
    assert parts_of(*words) == parts_of(text) == parts_of(*text)


def test_nothing_grows_without_end() -> None:
    """Blanks that wait for what follows are let go, and so is what only begins like a tag."""
    for beginning in ("", "<think>"):
        tags = ThinkTags()
        tags.feed(beginning)
        said = [event for _ in range(3000) for event in tags.feed(" ")]
        assert sum(len(e.text) for e in said if not isinstance(e, ReasoningEnded)) <= 3000
        assert len(tags._blank) <= 1000
    tags = ThinkTags()
    for piece in ("<",) * 3000 + ("`",) * 3000 + ("\t",) * 3000:
        tags.feed(piece)
    assert len(tags._held) <= 30
    assert isinstance(tags.feed("x")[0], TextDelta | ReasoningDelta)


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        ("hello ", "          <thinking>"),
        ("hello ", "a</thinking>"),
        ("hello ", "a<thinking>"),
        ("<think>x</think>", "a</think>"),
        ("", " <think></think>"),
        ("", "`<think>` "),
    ],
)
def test_many_tags_in_one_piece_are_read_once(before: str, piece: str) -> None:
    """The text between them is looked at once, not once for each tag."""

    class Counted(str):
        """Counts the characters that are cut out of it."""

        cut = 0

        def __getitem__(self, place: object) -> str:
            found = str.__getitem__(self, place)  # type: ignore[index]
            Counted.cut += len(found)
            return found

    count = 2_000
    text = Counted(piece * count)
    tags = ThinkTags()
    tags.feed(before)
    tags._read(text)
    assert Counted.cut < 4 * len(text) + 1000
