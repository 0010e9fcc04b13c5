"""Text as words."""

import pytest

from locutory_search.words import LONGEST_WORD, runs, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, WORLD", ["hello", "world"]),
        ("naïve Ärger ﬁne Straße", ["naive", "arger", "fine", "strasse"]),
        ("Ёлка Ωμέγα", ["елка", "ωμεγα"]),
        ("foo_bar node.js C++ v1.2", ["foo", "bar", "node", "js", "c", "v1", "2"]),
        ("ｆｕｌｌ １２", ["full", "12"]),
        ("東京タワー2020年", ["東", "京", "タ", "ワ", "ー", "2020", "年"]),
        ("ข้าว", ["ข้", "า", "ว"]),
        ("हिन्दी में।", ["हिन्दी", "में"]),
        ("مُحَمَّد", ["محمد"]),
        ("שָׁלוֹם", ["שלום"]),
        ("한국어 학교", ["한국어", "학교"]),
        ("so\u00adft zero\u200bwidth", ["soft", "zerowidth"]),
        ('"a" OR b* NEAR(c) -d \x00 \ud800', ["a", "or", "b", "near", "c", "d"]),
        ("", []),
        ("!?… 🎉", []),
        ("x" * 100, ["x" * LONGEST_WORD]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_runs_keep_together_what_nothing_separates() -> None:
    assert runs("東京 tower, 夜") == [("東", "京"), ("tower",), ("夜",)]
