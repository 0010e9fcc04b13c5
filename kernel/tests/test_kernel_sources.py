"""Reading ``.env`` and ``librechat.yaml``: what is there and cannot be read stops the start."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from locutory import StartupError
from locutory.config.sources import read_sources
from locutory_testing.network import ForwardProxy


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(StartupError) as raised:
        read_sources(environ or {})
    return [f"{each.where}: {each.text}" for each in raised.value.problems]


def test_reading_the_files(folder: Path) -> None:
    (folder / ".env").write_text("A=1\nB='quoted value'\nC=p${A}$w\nD=\nexport E=5\n", "utf-8")
    (folder / "librechat.yaml").write_text("version: 1.3.4\nlist: [1]\n", "utf-8")
    sources = read_sources({"A": "2", "D": "set"})
    assert sources.environment == {
        "A": "2",
        "B": "quoted value",
        "C": "p${A}$w",
        "D": "set",
        "E": "5",
    }
    assert sources.yaml == {"version": "1.3.4", "list": [1]}
    assert sources.notes == ()
    assert sources.place(("list", 0)) == " (librechat.yaml:2:8)"
    assert sources.place(("list", "of", "what")) == " (librechat.yaml:2:1)"
    assert sources.place(("nothing",)) == ""


def test_nothing_there_is_an_empty_configuration() -> None:
    sources = read_sources({})
    assert (sources.yaml, sources.environment, sources.notes) == ({}, {}, ())


def test_config_path_wins_over_the_default(folder: Path) -> None:
    (folder / ".env").write_text("CONFIG_PATH=other.yaml\n", "utf-8")
    (folder / "other.yaml").write_text("a: 1\n", "utf-8")
    assert read_sources({}).yaml == {"a": 1}
    absolute = str(folder / "other.yaml")
    assert read_sources({"CONFIG_PATH": absolute}).path == absolute


UNREADABLE: list[tuple[bytes, str]] = [
    (b"", "librechat.yaml: the configuration file is empty"),
    (b"# only a comment\n", "librechat.yaml: the configuration file is empty"),
    (b"---\n", "librechat.yaml: the configuration file is empty"),
    (b"a: [\n", "librechat.yaml:2:1: "),
    (b"a: 1\nb: \xe9\n", "librechat.yaml:2:4: the byte 0xe9 here is no UTF-8"),
    (b"\xff\xfea\x00", "librechat.yaml:1:1: the byte 0xff here is no UTF-8"),
    (b"a: !!python/object:os.system x", "librechat.yaml:1:4: the tag !!python/object:os.system"),
    (b"- a\n", "librechat.yaml: must hold a mapping of keys"),
    (b"text", "librechat.yaml: must hold a mapping of keys"),
    (b"a: 1\n---\nb: 2\n", "librechat.yaml:2:1: a second document begins here"),
    (b"a:\n  b: 1\n  b: 2\n", "librechat.yaml:3:3: a.b is there twice, first in line 2"),
    (b"- " * 100_000, "librechat.yaml:1:203: nested more than 100 levels deep"),
]


@pytest.mark.parametrize(("data", "said"), UNREADABLE, ids=lambda value: str(value)[:40])
def test_a_file_that_cannot_be_read_stops_the_start(folder: Path, data: bytes, said: str) -> None:
    (folder / "librechat.yaml").write_bytes(data)
    (found,) = refused()
    assert found.startswith(said)
    assert refused({"CONFIG_BYPASS_VALIDATION": "TRUE"}) == [found]
    passed = read_sources({"CONFIG_BYPASS_VALIDATION": "true"})
    assert passed.yaml == {}
    assert passed.notes[0].startswith(f"ignored: {said.partition(': ')[0]} [kernel]")
    with pytest.raises(StartupError):  # at a reload nothing that works is thrown away
        read_sources({"CONFIG_BYPASS_VALIDATION": "true"}, may_bypass=False)


def test_the_item_whose_first_line_is_a_comment(folder: Path) -> None:
    """What was ``- name: B`` would give A the key and address of B."""
    (folder / "librechat.yaml").write_text(
        "endpoints:\n  custom:\n    - name: A\n      apiKey: key-a\n      baseURL: http://a\n"
        "    # - name: B\n      apiKey: key-b\n      baseURL: http://b\n",
        "utf-8",
    )
    assert refused() == [
        "librechat.yaml:7:7: endpoints.custom.0.apiKey is there twice, first in line 4",
        "librechat.yaml:8:7: endpoints.custom.0.baseURL is there twice, first in line 5",
    ]


def test_a_path_that_is_no_file(folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "dangling.yaml").symlink_to("gone")
    for path, said in (
        ("nowhere.yaml", "nowhere.yaml: the configuration file does not exist"),
        ("folder", "folder: cannot be read: Is a directory"),
        ("dangling.yaml", "dangling.yaml: cannot be read: No such file or directory"),
        ("/dev/null", "/dev/null: the configuration file is empty"),
        ("ftp://x/y", "ftp://x/y: cannot be read"),
    ):
        (found,) = refused({"CONFIG_PATH": path})
        assert found.startswith(said)
    (folder / "librechat.yaml").mkdir()
    assert refused() == ["librechat.yaml: cannot be read: Is a directory"]


@pytest.mark.skipif(not os.geteuid(), reason="root may read everything")
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    for name in ("librechat.yaml", ".env"):
        (folder / name).write_text("a=1")
        (folder / name).chmod(0)
        assert refused() == [f"{name}: cannot be read: Permission denied"]
        (folder / name).unlink()


@pytest.mark.parametrize("name", ["librechat.yml", "LibreChat.yaml"])
def test_a_file_with_nearly_the_right_name_is_told(folder: Path, name: str) -> None:
    (folder / name).write_text("a: 1\n")
    if not (folder / "librechat.yaml").exists():  # on a disk that tells upper case from lower
        assert read_sources({}).notes == (
            f"the file {name} is not read: it must be called librechat.yaml",
        )


def test_an_env_file_that_cannot_be_read_stops_the_start(folder: Path) -> None:
    (folder / ".env").write_bytes(b"A=1\nB=\xff\xfe")
    assert refused() == [".env:2:3: the byte 0xff here is no UTF-8"]
    assert refused({"CONFIG_BYPASS_VALIDATION": "true"})
    (folder / ".env").unlink()
    (folder / ".env").mkdir()
    assert refused() == [".env: cannot be read: Is a directory"]


def test_doubled_and_lost_lines_of_the_env_file(folder: Path) -> None:
    (folder / ".env").write_text("A=1\nB=2\nA=3\nB=2\nALLOW false\nC=1\nC=2\n")
    sources = read_sources({"C": "9"})
    assert sources.environment == {"A": "3", "B": "2", "C": "9"}
    assert sources.notes == (
        ".env: A is there more than once with different values (lines 1, 3); the last one counts",
    )
    assert sources.lost == ((".env:5", "ALLOW"),)


async def test_a_file_from_the_network() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        status = b"404" if b"missing" in line else b"200"
        body = b"a: \xe9\n" if b"latin" in line else b"a: 1\n"
        writer.write(b"HTTP/1.1 %s x\r\ncontent-length: %d\r\n" % (status, len(body)))
        writer.write(b"connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def found(url: str) -> Any:
        return await asyncio.to_thread(refused, {"CONFIG_PATH": url})

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        good = await asyncio.to_thread(read_sources, {"CONFIG_PATH": f"{address}/good"})
        assert good.yaml == {"a": 1}
        async with ForwardProxy().running() as proxy:
            place = {"CONFIG_PATH": f"{address}/good", "PROXY": proxy.place}
            assert (await asyncio.to_thread(read_sources, place)).yaml == {"a": 1}
            assert proxy.seen == [f"GET {address}/good"]
            near = {**place, "NO_PROXY": "127.0.0.1"}
            assert (await asyncio.to_thread(read_sources, near)).yaml == {"a": 1}
            assert len(proxy.seen) == 1
        assert await found(f"{address}/missing") == [
            f"{address}/missing: cannot be read: status 404"
        ]
        assert await found(f"{address}/latin") == [
            f"{address}/latin:1:4: the byte 0xe9 here is no UTF-8"
        ]
    ((down),) = await found(f"{address}/good")
    assert down.startswith(f"{address}/good: cannot be read: ")
