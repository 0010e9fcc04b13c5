"""Settings from the environment, ``.env`` and ``librechat.yaml``; problems all at once."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from locutory import StartupError, env, option
from locutory.config.configuration import Sources, validate
from locutory_configfile import arithmetic, flag, from_text


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


def problems(make_plugin: Any, environment: dict[str, str], yaml: dict[Any, Any]) -> list[str]:
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


def warnings(
    make_plugin: Any, environment: dict[str, str], yaml: dict[str, Any] | None = None
) -> list[str]:
    found: list[str] = check(make_plugin, environment, yaml or {}).warnings
    return found


@pytest.mark.parametrize("text", ["flase", "1", "yes", "on", "0", "no", "TRUE!", "'true'"])
def test_a_switch_that_is_neither_on_nor_off_is_told(make_plugin: Any, text: str) -> None:
    checked = check(make_plugin, {"GARDEN": text}, {})
    assert checked.plugins["house"].garden is False
    assert checked.warnings == [f"GARDEN={text} is neither true nor false: it counts as false"]
    (said,) = warnings(make_plugin, {"USE_REDIS": text})
    assert said.startswith(f"USE_REDIS={text} is neither")


@pytest.mark.parametrize("text", ["true", "false", " TRUE ", "False", "", "  "])
def test_a_switch_that_is_on_or_off_is_not(make_plugin: Any, text: str) -> None:
    assert warnings(make_plugin, {"GARDEN": text}) == []


@pytest.mark.parametrize("text", ["TRUE", "1", "yes"])
def test_words_that_must_be_exact(make_plugin: Any, text: str) -> None:
    assert warnings(make_plugin, {"CONFIG_BYPASS_VALIDATION": text}) == [
        f"CONFIG_BYPASS_VALIDATION={text} has no effect: it must be true or false"
    ]
    assert warnings(make_plugin, {"NO_INDEX": "false"}) == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FRONT_COLOR": "x"}, "nobody reads FRONT_COLOR, did you mean 'FRONT_COLOUR'?"),
        ({"LOCUTORY_DATA_DRI": "x"}, "nobody reads LOCUTORY_DATA_DRI, did you mean 'LOCUTORY_DATA_DIR'?"),
        ({"LOCUTORY_XYZ": "x"}, "nobody reads LOCUTORY_XYZ"),
        ({"MONGO_URL": "x"}, "nobody reads MONGO_URL, did you mean 'MONGO_URI'?"),
        ({"DOMAIN_CLEINT": "x"}, "nobody reads DOMAIN_CLEINT, did you mean 'DOMAIN_CLIENT'?"),
        ({"OPENID_REQUIRED_ROL": "x"}, "nobody reads OPENID_REQUIRED_ROL, did you mean 'OPENID_REQUIRED_ROLE'?"),
        ({"ALLOW_REGISTRATON": "x"}, "nobody reads ALLOW_REGISTRATON, did you mean 'ALLOW_REGISTRATION'?"),
    ],
)  # fmt: skip
def test_misspelt_variables_are_told(
    make_plugin: Any, environment: dict[str, str], expected: str
) -> None:
    assert [line[: len(expected)] for line in warnings(make_plugin, environment)] == [expected]


@pytest.mark.parametrize(
    "name",
    [
        *("HOME", "HOSTNAME", "PATH", "LANG", "XDG_SESSION_ID", "PYTHONPATH", "MAIL", "USER"),
        *("OPENAI_API_KEY_2", "FRONT_COLOUR_OLD", "STT_IP_MAX", "GOOGLE_KEY", "HTTP_PROXY"),
        *("LOCUTORY_SAFE", "LOCUTORY_DATABASE_URI", "JWT_SECRET"),
    ],
)
def test_other_variables_are_not(make_plugin: Any, name: str) -> None:
    assert warnings(make_plugin, {name: "x" * 40}) == []


def test_variables_that_the_file_uses_are_not_misspelt(make_plugin: Any) -> None:
    yaml = {"house": {"paint": {"walls": "${FRONT_COLOR}"}}}
    assert warnings(make_plugin, {"FRONT_COLOR": "x"}, yaml) == []


@pytest.mark.parametrize("text", ["foo", "chat.example.com", "ftp://x", "https://", "http://a:b"])
def test_a_domain_is_an_address(make_plugin: Any, text: str) -> None:
    (said,) = warnings(make_plugin, {"DOMAIN_CLIENT": text})
    assert said.startswith(f"DOMAIN_CLIENT={text} is no address (https://host)")
    assert warnings(make_plugin, {"DOMAIN_SERVER": "https://chat.example.com/x"}) == []


@pytest.mark.parametrize(
    "uri",
    [
        *("127.0.0.1:6379", "localhost", "http://localhost", "redis://127.0.0.1:notaport"),
        *("redis://[::1", "redis://x:hunter2@host:70000000"),
    ],
)
def test_an_address_of_redis_is_checked(make_plugin: Any, uri: str) -> None:
    (found,) = problems(make_plugin, {"USE_REDIS": "true", "REDIS_URI": uri}, {})
    assert found.startswith("REDIS_URI [kernel]: is no address of a Redis server")
    assert "hunter2" not in found
    assert check(make_plugin, {"REDIS_URI": uri}, {}).warnings == []


@pytest.mark.parametrize(
    "environment",
    [
        {"REDIS_URI": "redis://a:6379,redis://b:6379"},
        {"REDIS_URI": "redis://u:p@a:6379,redis://u:p@b:6379"},
        {"REDIS_URI": "redis://a:6379", "USE_REDIS_CLUSTER": "true"},
    ],
)
def test_a_cluster_of_redis_is_refused(make_plugin: Any, environment: dict[str, str]) -> None:
    (found,) = problems(make_plugin, {"USE_REDIS": "true", **environment}, {})
    assert "a cluster of Redis servers is not supported" in found


@pytest.mark.parametrize(
    "uri", ["redis://h", "rediss://:a,b@h:1/2", "unix:///tmp/x", "redis://h/0?protocol=3"]
)
def test_good_addresses_of_redis(make_plugin: Any, uri: str) -> None:
    assert check(make_plugin, {"USE_REDIS": "true", "REDIS_URI": uri}, {}).warnings == []


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("nonsense", False),
        ("localhost:27017/x", False),
        ("mongodb://", False),
        ("mongodb://a b c:x", False),
        ("mongodb://u:p@ss@h/x", False),
        ("mongodb+srv://h:1/x", True),
        ("mongodb+srv://h/x?retryWrites=true", True),
        ("mongodb://u:p%40ss@h:27017,i/x?replicaSet=r", True),
        ("mysql://h/x", False),
        ("sqlite:", True),
    ],
)
def test_the_address_of_the_database_is_checked(make_plugin: Any, uri: str, right: bool) -> None:
    sources = Sources({"MONGO_URI": uri}, {})
    if right:
        assert validate(sources, []).warnings == []
    else:
        with pytest.raises(StartupError, match="MONGO_URI"):
            validate(sources, [])


def test_unknown_keys_of_a_section_are_tolerated_and_told(make_plugin: Any) -> None:
    yaml = {"house": {"paint": {"doors": {"any": 1}}, "siez": 2, "size": 3}}
    assert warnings(make_plugin, {}, yaml) == ["nobody reads house.siez, did you mean 'size'?"]


def test_places_of_the_file_are_named(make_plugin: Any) -> None:
    places: dict[tuple[str | int, ...], tuple[int, int]] = {
        ("house",): (2, 1),
        ("house", "siez"): (3, 3),
        ("plugins", "house"): (5, 3),
    }
    yaml = {"house": {"siez": 1}, "plugins": {"house": {"roof": 5}}, "other": 1}
    plugin = make_plugin("house", config=Colours, sections={"house": House})
    sources = Sources({}, yaml, (), "x.yaml", places)
    with pytest.raises(StartupError) as raised:
        validate(sources, [plugin], ["house"])
    assert {problem.where for problem in raised.value.problems} == {
        "plugins.house.roof (x.yaml:5:3)",
        "other",
    }
    sources = Sources({}, {"house": {"siez": 1}}, (), "x.yaml", places)
    (said,) = validate(sources, [plugin], ["house"]).warnings
    assert said == "nobody reads house.siez (x.yaml:3:3), did you mean 'size'?"


def test_keys_without_effect_are_notes(make_plugin: Any) -> None:
    checked = check(make_plugin, {}, {"speech": {"stt": {}}, "version": "1"})
    assert checked.warnings == []
    assert checked.notes == ["'speech' has no effect: plugin 'speech' is off or not installed"]
    plugin = make_plugin("auth", sections={"registration": House})
    yaml: dict[str, Any] = {"registration": {"socialLogins": [], "allowedDomain": []}}
    checked = validate(Sources({}, yaml), [plugin], ["auth"])
    assert checked.notes == ["registration.socialLogins: LibreChat's keys without effect here"]
    assert checked.warnings == [
        "nobody reads registration.allowedDomain, did you mean 'allowedDomains'?"
    ]


def test_lost_lines_are_problems_when_somebody_waits_for_them(make_plugin: Any) -> None:
    plugin = make_plugin("house", config=Colours)
    with pytest.raises(StartupError, match=r"\.env:3 \[kernel\]: this line about ROOMS cannot"):
        validate(Sources({}, {}, lost=((".env:3", "ROOMS"),)), [plugin])
    found = validate(Sources({}, {}, lost=((".env:4", "blah"), (".env:5", ""))), [plugin])
    assert found.warnings == [
        ".env:4: this line says nothing, and is ignored",
        ".env:5: this line says nothing, and is ignored",
    ]


@pytest.mark.parametrize("chosen", [{"enabled": []}, {"disabled": ["house"]}])
def test_no_plugin_at_all_is_told(chosen: dict[str, list[str]]) -> None:
    (said,) = validate(Sources({}, {"plugins": chosen}), []).warnings
    assert said == "no plugin is on: this server can do nothing"
    assert validate(Sources({}, {}), []).warnings == []


def test_addresses_that_nobody_gave_name_the_port() -> None:
    def found(**environment: str) -> tuple[str, str]:
        kernel = validate(Sources(environment, {}), []).kernel
        return kernel.domain_client, kernel.domain_server

    assert found() == ("http://localhost:3080", "http://localhost:3080")
    assert found(PORT="3240") == ("http://localhost:3240", "http://localhost:3240")
    assert found(PORT="0") == ("http://localhost:3080", "http://localhost:3080")
    given = found(PORT="3240", DOMAIN_CLIENT="https://chat.example")
    assert given == ("https://chat.example", "http://localhost:3240")


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
