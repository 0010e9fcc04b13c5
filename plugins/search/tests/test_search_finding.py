"""What is found in the built-in index, and in which order."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from locutory_search.backend import now_ms
from locutory_search.embedded import reading, writing
from locutory_search.embedded.file import Connection, IndexFile
from locutory_search.embedded.queries import parse
from locutory_search.entries import Entry

Find = Callable[..., list[str]]


class Shelf:
    """An index to fill and to search."""

    def __init__(self, folder: Path) -> None:
        self.file = IndexFile(folder)
        self.writer: Connection = self.file.open(make=True).connection
        self.reader: Connection = self.file.open(make=False).connection

    def put(
        self, own: str, text: str, user: str = "ann", sender: str = "User", **more: int
    ) -> None:
        stamp, expires = more.get("stamp", 1), more.get("expires")
        entry = Entry("messages", user, own, "c-" + own, stamp, expires, True, sender, text)
        writing.apply(self.writer, [entry])

    def name(self, own: str, title: str, tags: str = "", user: str = "ann") -> None:
        entry = Entry("conversations", user, own, own, 1, None, True, title, tags)
        writing.apply(self.writer, [entry])

    def find(self, text: str, user: str = "ann", limit: int = 20) -> list[str]:
        return [own for own, _ in reading.search(self.reader, "messages", user, text, limit)]

    def chats(self, text: str, user: str = "ann") -> list[str]:
        return [own for own, _ in reading.search(self.reader, "conversations", user, text, 20)]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "search")
    yield shelf
    shelf.reader.close()
    shelf.writer.close()


def test_a_word_and_the_beginning_of_one(shelf: Shelf) -> None:
    shelf.put("1", "How do I deploy a Docker container?")
    shelf.put("2", "Pasta with tomatoes")
    assert shelf.find("docker") == ["1"]
    assert shelf.find("DOCK") == ["1"]
    assert shelf.find("deploy cont") == ["1"]
    assert shelf.find("dep cont") == ["1"]
    assert shelf.find("d") == ["1"]
    assert shelf.find("docker tomatoes pasta")  # no message has all: those with some
    assert shelf.find("quantum") == []
    assert shelf.find("") == shelf.find(" ?! ") == []


def test_whole_words_come_before_beginnings(shelf: Shelf) -> None:
    shelf.put("1", "testament tower")
    shelf.put("2", "test tower")
    assert shelf.find("test tower") == ["2", "1"]
    assert shelf.find("tower test") == ["2", "1"]
    assert shelf.find("test") == ["2", "1"]


def test_better_hits_come_first(shelf: Shelf) -> None:
    shelf.put("long", "docker " + "and then something else entirely " * 30)
    shelf.put("short", "docker compose docker")
    assert shelf.find("docker") == ["short", "long"]
    assert shelf.find("docker", limit=1) == ["short"]


def test_case_and_accents_do_not_matter(shelf: Shelf) -> None:
    shelf.put("1", "Crème brûlée à la façon d'Émile; Straße")
    for text in ("creme brulee", "CRÈME", "emile", "facon", "strasse", "STRAẞE"):
        assert shelf.find(text) == ["1"], text


def test_scripts_without_spaces(shelf: Shelf) -> None:
    shelf.put("ja", "昨日は東京タワーに行きました。とても高かったです。")
    shelf.put("zh", "我想学习人工智能和机器学习")
    shelf.put("th", "สวัสดีครับ ผมอยากเรียนภาษาไทย")
    assert shelf.find("東京") == shelf.find("タワー") == shelf.find("東京タワー") == ["ja"]
    assert shelf.find("京東") == []
    assert shelf.find("人工智能") == shelf.find("机器") == shelf.find("习") == ["zh"]
    assert shelf.find("ภาษา") == shelf.find("เรียนภาษาไทย") == ["th"]
    # No one wrote this, but all of it stands in one message, and some of it together.
    assert shelf.find("東京タワー高かった") == ["ja"]
    assert shelf.find("東阪夕") == []


@pytest.mark.parametrize(
    "text",
    ["resturant", "restarant", "restaurnat", "restaurantt", "resaurat", "estaurant", "erstaurant",
     "rwstaurant", "xestaurant", "resturan"],
)  # fmt: skip
def test_slips_of_the_pen(shelf: Shelf, text: str) -> None:
    shelf.put("1", "A restaurant near the station")
    shelf.put("2", "Nothing of that kind")
    assert shelf.find(text) == ["1"]


def test_slips_in_one_of_several_words(shelf: Shelf) -> None:
    shelf.put("1", "kubernetes cluster upgrade")
    assert shelf.find("kubernets clustre") == ["1"]
    assert shelf.find("cat") == []  # too short for a slip


def test_slips_are_looked_for_in_what_the_user_wrote(shelf: Shelf) -> None:
    shelf.put("1", "secretproject", user="bob")
    assert shelf.find("secretprojekt", user="ann") == []
    assert shelf.find("secretprojekt", user="bob") == ["1"]


def test_looking_for_slips_comes_to_an_end(shelf: Shelf) -> None:
    chance = random.Random(1)
    for number in range(300):
        words = ("a" + "".join(chance.choices("bcdefghij", k=8)) for _ in range(100))
        shelf.put(str(number), " ".join(words))
    assert shelf.find("azzzzzzzz bzzzzzzz czzzzzzzz dzzzzzzzz") == []


def test_a_user_finds_his_own(shelf: Shelf) -> None:
    shelf.put("1", "our shared secret", user="ann")
    shelf.put("1", "our shared secret", user="bob")
    shelf.put("2", "our secret", user='x" OR "')
    assert shelf.find("secret", user="ann") == ["1"]
    assert shelf.find("secret", user='x" OR "') == ["2"]
    assert shelf.find("secret", user="eve") == []
    # What tells the owners apart cannot be typed.
    assert shelf.find("0002", user="ann") == shelf.find("0002:", user="ann") == []


def test_conversations_are_found_by_title_and_tag(shelf: Shelf) -> None:
    shelf.name("1", "Trip to Norway", "travel 2026")
    shelf.name("2", "Travel insurance")
    assert shelf.chats("norw") == ["1"]
    assert sorted(shelf.chats("travel")) == ["1", "2"]


def test_messages_are_found_by_sender(shelf: Shelf) -> None:
    shelf.put("1", "hello", sender="GPT-4o")
    assert shelf.find("gpt") == ["1"]


def test_what_has_ended_is_not_found(shelf: Shelf) -> None:
    shelf.put("1", "vanishing", expires=now_ms() - 1)
    shelf.put("2", "vanishing", expires=now_ms() + 60_000)
    assert shelf.find("vanishing") == ["2"]
    while writing.expire(shelf.writer):
        pass
    assert shelf.writer.execute("SELECT id FROM messages").fetchall() == [("2",)]


def test_an_older_state_does_not_replace_a_newer_one(shelf: Shelf) -> None:
    shelf.put("1", "first version", stamp=1)
    shelf.put("1", "third version", stamp=3)
    shelf.put("1", "second version", stamp=2)
    assert shelf.find("third") == ["1"]
    assert [t for t in ("first", "second") if shelf.find(t + " version") != ["1"]] == []
    rows = shelf.writer.execute("SELECT second FROM messages").fetchall()
    assert rows == [("third version",)]
    terms = {term for (term,) in shelf.writer.execute("SELECT term FROM messages_terms")}
    assert not {term for term in terms if "first" in term or "second" in term}


ODD = [
    '"', '""', '"a', "a*", "*", "(", ")", "a AND", "OR", "NOT a", "NEAR(a b, 3)", "a NEAR/2 b",
    "text:a", "{first second}:a", "-a", "^a", "+a", "a + b", "a:b", ":", "a;DROP TABLE messages",
    "'", "--", "/*", "\\", "\x00", "a\x00b", "\ud800", "\U0010ffff", "%", "_", "?", "$where",
    "a" * 5000, "a " * 5000, "あ" * 3000, "\u0300", "AND OR NOT", "\"a\" OR \"b\"", "𝕬",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_operators_are_only_text(shelf: Shelf, text: str) -> None:
    shelf.put("1", "alpha beta")
    shelf.put("2", "alpha", user="bob")
    assert set(shelf.find(text)) <= {"1"}


def test_any_text_can_be_searched(shelf: Shelf) -> None:
    chance = random.Random(7)
    shelf.put("1", "alpha beta gamma near not or and")
    shelf.put("2", "alpha beta gamma near not or and", user="bob")
    pieces = [*ODD[:36], "alpha", "beta", " ", "AND", "OR", "NOT", "NEAR", "0001:", "é", "京", "ก็"]
    for _ in range(1500):
        text = "".join(chance.choices(pieces, k=chance.randint(1, 9)))
        assert set(shelf.find(text)) <= {"1"}, text
    for _ in range(1500):
        text = "".join(chr(chance.choice((chance.randrange(128), chance.randrange(0x110000))))
                       for _ in range(chance.randint(1, 40)))  # fmt: skip
        assert set(shelf.find(text)) <= {"1"}, text


def test_a_long_search_is_cut() -> None:
    assert len(parse("word%d " * 300).runs) <= 16
    assert len(parse(" ".join(f"w{n}" for n in range(300))).runs) == 16
