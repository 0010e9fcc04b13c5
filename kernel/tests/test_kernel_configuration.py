"""Settings from the environment, ``.env`` and ``librechat.yaml``; problems all at once."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from locutory import StartupError, env, option
from locutory.configuration import Sources, read_sources, validate
from locutory.settings import arithmetic, flag, from_text
from locutory.testing.network import ForwardProxy


class Colours(BaseModel):
    model_config = ConfigDict(extra="forbid")

    front: str = env("FRONT_COLOUR", "red", "Colour of the front")
    rooms: int = env("ROOMS", 3, "How many rooms")
    window: float = env("WINDOW", 1.5, "Size of a window, m")
    garden: bool = env("GARDEN", False, "Is there a garden?")
    owners: list[str] = env("OWNERS", list, "Who owns it")
    age: int | None = env("AGE", None, "Years")
    roof: str = option("flat", "Form of the roof")


class Paint(BaseModel):
    model_config = ConfigDict(extra="forbid")

    walls: str = "white"
    doors: dict[str, int] = {}


class House(BaseModel):
    paint: Paint = Paint()
    size: int = 1


def check(make_plugin: Any, environment: dict[str, str], yaml: dict[str, Any], **extra: Any) -> Any:
    plugin = make_plugin("house", config=Colours, sections={"house": House}, **extra)
    return validate(Sources(environment, yaml), [plugin], ["house", "shed"])


def problems(make_plugin: Any, environment: dict[str, str], yaml: dict[str, Any]) -> list[str]:
    with pytest.raises(StartupError) as raised:
        check(make_plugin, environment, yaml)
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        (" 1000 * 60 * 15 ", 900_000),
        ("(1 + 2) * 3 - 4 / 2", 7),
        ("-3", -3),
        ("1e3", 1000),
        ("0x10", 16),
    ],
)
def test_arithmetic(text: str, value: float) -> None:
    assert arithmetic(text) == value
    assert from_text(int, text) == value


@pytest.mark.parametrize(
    "text", ["", "x", "2 ** 9", "1/0", "__import__('os')", "1;2", "(" * 500, "1e999", "'5'", "\0"]
)
def test_no_arithmetic(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        from_text(int, text)


@given(st.text(st.sampled_from("0123456789+-*/(). ex_'"), max_size=20))
def test_arithmetic_never_does_more_than_fail(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(from_text(int, text), int)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), (" TRUE ", True), ("1", False), ("yes", False), ("", False), (None, False)],
)
def test_flags(text: str | None, value: bool) -> None:
    assert flag(text) is value


def test_precedence_is_file_then_environment_then_default(make_plugin: Any) -> None:
    environment = {"FRONT_COLOUR": "blue", "ROOMS": "2*3", "GARDEN": "True", "OWNERS": "a, b,,c "}
    yaml = {"plugins": {"house": {"front": "green", "roof": "steep"}}}
    settings = check(make_plugin, environment, yaml).plugins["house"]
    assert settings == Colours(
        front="green", rooms=6, garden=True, owners=["a", "b", "c"], roof="steep"
    )


def test_blank_means_unset(make_plugin: Any) -> None:
    environment = {"FRONT_COLOUR": "", "ROOMS": "  ", "GARDEN": "", "OWNERS": "", "AGE": ""}
    assert check(make_plugin, environment, {}).plugins["house"] == Colours()


def test_everything_wrong_is_reported_at_once(make_plugin: Any) -> None:
    found = problems(
        make_plugin,
        {"ROOMS": "many", "WINDOW": "big", "PORT": "x", "LOCUTORY_TRUSTED_PROXIES": "10.0.0.0/99"},
        {
            "plugins": {"house": {"fornt": "red", "age": "old"}, "shade": {}},
            "huose": {},
            "house": {"paint": {"wals": 1, "doors": {"a": "x"}}, "size": "big"},
        },
    )
    text = "\n".join(found)
    assert len(found) == 11
    for line in (
        "ROOMS [house]: 'many' is not a number",
        "WINDOW [house]: 'big' is not a number",
        "PORT [kernel]: 'x' is not a number",
        "LOCUTORY_TRUSTED_PROXIES [kernel]: '10.0.0.0/99' does not appear to be",
        "plugins.house.fornt [house]: no such setting\n    → did you mean 'front'?",
        "plugins.house.age [house]: Input should be a valid integer",
        "plugins.shade [kernel]: no such plugin is installed\n    → did you mean 'shed'?",
        "huose [kernel]: nobody knows this key\n    → did you mean 'house'?",
        "house.paint.wals [house]: nobody knows this key\n    → did you mean 'walls'?",
        "house.paint.doors.a [house]: Input should be a valid integer",
        "house.size [house]: Input should be a valid integer",
    ):
        assert line in text, line


def test_values_of_settings_are_not_repeated(make_plugin: Any) -> None:
    text = "\n".join(problems(make_plugin, {}, {"plugins": {"house": {"age": "hunter2"}}}))
    assert "hunter2" not in text


def test_a_plugin_that_is_off_only_warns(make_plugin: Any) -> None:
    checked = check(make_plugin, {}, {"plugins": {"shed": {"any": 1}}})
    assert checked.warnings == ["plugins.shed has settings, but the plugin is switched off"]


@pytest.mark.parametrize("section", [{"house": 3}, {"house": ["x"]}])
def test_settings_are_a_mapping(make_plugin: Any, section: Any) -> None:
    (found,) = problems(make_plugin, {}, {"plugins": section})
    assert "must be a mapping of settings" in found


def test_odd_keys_do_no_harm(make_plugin: Any) -> None:
    found = problems(make_plugin, {}, {1: 2, None: 3, "plugins": {"house": {5: 6}}})
    assert len(found) == 3


def test_bypass_ignores_the_file_but_not_the_environment(make_plugin: Any) -> None:
    yaml = {"huose": {}, "house": {"size": 2}}
    checked = check(make_plugin, {"CONFIG_BYPASS_VALIDATION": "true"}, yaml)
    assert checked.yaml == {}
    assert any(warning.startswith("ignored: huose") for warning in checked.warnings)
    for text in ("TRUE", "1", " true "):
        assert problems(make_plugin, {"CONFIG_BYPASS_VALIDATION": text}, yaml)
    both = {"CONFIG_BYPASS_VALIDATION": "true", "ROOMS": "x"}
    assert problems(make_plugin, both, yaml)


def test_reading_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "A=1\nB='quoted value'\nC=p${A}$w  # no expansion\nD=\nexport E=5\n# F=6\nG\n", "utf-8"
    )
    (tmp_path / "librechat.yaml").write_text("version: 1.3.4\nlist: [1]\n", "utf-8")
    sources = read_sources({"A": "2", "D": "set"})
    assert {key: sources.environment.get(key) for key in "ABCDEFG"} == {
        "A": "2",
        "B": "quoted value",
        "C": "p${A}$w",
        "D": "set",
        "E": "5",
        "F": None,
        "G": "",
    }
    assert sources.yaml == {"version": "1.3.4", "list": [1]}
    assert sources.notes == ()


def test_config_path_wins_over_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CONFIG_PATH=other.yaml\n", "utf-8")
    (tmp_path / "other.yaml").write_text("a: 1\n", "utf-8")
    assert read_sources({}).yaml == {"a": 1}
    absolute = str(tmp_path / "other.yaml")
    assert read_sources({"CONFIG_PATH": absolute}).path == absolute


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (None, ""),
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("a: [", "cannot be read"),
        (b"a: \xff", "cannot be read"),
        ("a: !!python/object:os.system x", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_empty_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Any, note: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "librechat.yaml").write_bytes(data)
    sources = read_sources({})
    assert sources.yaml == {}
    assert [note in line for line in sources.notes] == ([True] if note else [])
    assert "does not exist" in read_sources({"CONFIG_PATH": "nowhere.yaml"}).notes[0]


def test_a_list_is_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "librechat.yaml").write_text("- a\n", "utf-8")
    with pytest.raises(StartupError, match="must hold a mapping"):
        read_sources({})


def test_an_unreadable_env_file_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(StartupError, match=r"\.env"):
        read_sources({})


def test_yaml_is_read_as_javascript_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scalars of YAML 1.2: what PyYAML takes for 1.1's booleans, octal and base-60 numbers
    is text, or decimal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "librechat.yaml").write_text(
        "a: yes\nb: No\nc: on\nd: true\ne: 12:30\nf: 010\ng: 0x1F\nh: 1_000\ni: 1e3\nj: .5\n"
        "k: 0o17\nl: -3\nm: 1.2.3\nn: ~\no: 'true'\np: off\nq: y\nno: x\nbase: &b {x: 1}\n"
        "merged: {<<: *b, y: 2}\n",
        "utf-8",
    )
    assert read_sources({}).yaml == {
        "a": "yes",
        "b": "No",
        "c": "on",
        "d": True,
        "e": "12:30",
        "f": 10,
        "g": 31,
        "h": 1000,
        "i": 1000.0,
        "j": 0.5,
        "k": 15,
        "l": -3,
        "m": "1.2.3",
        "n": None,
        "o": "true",
        "p": "off",
        "q": "y",
        "no": "x",
        "base": {"x": 1},
        "merged": {"x": 1, "y": 2},
    }


async def test_a_file_from_the_network() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        found = b"good" in line
        body = b"a: 1\n"
        writer.write(b"HTTP/1.1 %s x\r\ncontent-length: 5\r\n" % (b"200" if found else b"404"))
        writer.write(b"connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

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
        bad = await asyncio.to_thread(read_sources, {"CONFIG_PATH": f"{address}/bad"})
        assert (bad.yaml, "status 404" in bad.notes[0]) == ({}, True)
    down = await asyncio.to_thread(read_sources, {"CONFIG_PATH": f"{address}/good"})
    assert (down.yaml, "cannot be read" in down.notes[0]) == ({}, True)


def test_outgoing_connections(tmp_path: Path) -> None:
    """A proxy that is none is a problem, told without its password; an authority that cannot
    be read is a warning, as in Node."""
    for variable in ("PROXY", "http_proxy", "HTTPS_PROXY"):
        with pytest.raises(StartupError) as failure:
            validate(Sources({variable: "ftp://ann:geheim@proxy.example"}, {}), [])
        assert variable.upper() in str(failure.value)
        assert "geheim" not in str(failure.value)
    gone = str(tmp_path / "gone.pem")
    checked = validate(Sources({"NODE_EXTRA_CA_CERTS": gone, "PROXY": "ann:geheim@h:1"}, {}), [])
    [warning] = checked.warnings
    assert warning == f"NODE_EXTRA_CA_CERTS: {gone} cannot be read: No such file or directory"
    assert checked.kernel.outgoing.proxies.of("https", "models.example")
    assert "geheim" not in repr(checked.kernel)
