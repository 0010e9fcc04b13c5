"""Token counts against the reference encoder's numbers."""

import pytest

from locutory_endpoints.tokens import O200kCounter
from locutory_endpoints.tokens.counter import SAMPLE

GERMAN = (
    "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung "
    "aller staatlichen Gewalt."
)
CHINESE = "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。"
CODE = "def add(left: int, right: int) -> int:\n    return left + right  # sums\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("Hello **golden** world", 6),
        (GERMAN, 25),
        (CHINESE, 25),
        (CODE, 22),
        (GERMAN * 10, 241),
        ("Привет, как дела? 123456 789", 11),
        ("Emoji 😀👍🏽 and ﬁgures ½²", 12),
        ("I'll go, they've gone, don'T SHOUT, camelCaseAndHTMLParser", 16),
        ("  \n\n\t tabs \r\n  and   blanks  ", 9),
        ("a" * 1000, 125),
        ("https://example.com/a/b?c=d&e=f#g", 12),
        ("สวัสดีชาวโลก नमस्ते שלום", 11),
    ],
)
def test_counts_are_those_of_o200k_base(text: str, expected: int) -> None:
    assert O200kCounter().count(text) == expected


def test_long_texts_are_measured_on_their_first_part() -> None:
    counter = O200kCounter()
    assert counter.count("word " * SAMPLE) == pytest.approx(SAMPLE, rel=0.01)


def test_broken_text_is_counted() -> None:
    assert O200kCounter().count("\ud83d alone") > 0


@pytest.mark.parametrize("letter", ["a", "𝒳", "\n", " ", "'", "ä"])
def test_hostile_texts_come_to_an_end(letter: str) -> None:
    """In linear time, as ``make bench`` shows; in quadratic time this would take for ever."""
    assert O200kCounter().count(letter * 200_000) > 0


def test_what_is_remembered_stays_small() -> None:
    counter = O200kCounter()
    counter.count(" ".join(f"q{number}x" for number in range(60_000)))
    assert len(counter._known) <= 20_000
