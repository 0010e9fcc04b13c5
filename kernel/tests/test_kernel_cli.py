"""The command ``locutory``: what it prints, and how it ends."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import structlog
from click.testing import CliRunner, Result

from locutory.plugins import discovery
from locutory_cli import main

ROSE = """
import click
from pydantic import BaseModel, ConfigDict
from locutory import JSON, Plugin, Provide, Public, Route, Service, env, hook

SCENT = Service("test.scent", "How it smells")

class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str = env("ROSE_COLOUR", "red", "Colour of the rose")
    api_key: str = env("ROSE_API_KEY", "", "Secret of the rose")
    uri: str = env("ROSE_URI", "", "Where it grows")
    thorns: list[str] = env("ROSE_THORNS", list, "Names of its thorns")

class Garden(BaseModel):
    size: int = 1

class Made(Plugin):
    name = "rose"
    summary = "Smells good"
    Config = Config
    sections = {"garden": Garden}
    provides = (SCENT,)

    @hook
    def services(self):
        return [Provide(SCENT, "sweet")]

    @hook
    def routes(self):
        async def smell(request):
            return JSON({})
        return [Route(path="/api/rose/{id}", endpoint=smell, methods=("GET", "PUT"),
                      access=Public("everybody may smell"), summary="Smell it")]

    @hook
    def commands(self, ctx):
        @click.command()
        @click.option("--times", default=1)
        def water(times):
            "Water the rose."
            click.echo(f"watered {ctx.config.colour} {times}")

        @click.command()
        def cut():
            click.echo("cut")
        return [water, click.Group("bed", {"cut": cut}, help="Look after the bed.")]
"""

OTHERS = [name for name in discovery.available() if name not in ("rose", "wasp")]

WASP = """
import click
from locutory import Plugin, hook
from installed_locutory_rose import SCENT

class Made(Plugin):
    name = "wasp"
    summary = "Follows the scent"
    wants = (SCENT,)

    @hook
    def commands(self):
        @click.command()
        def visit():
            click.echo("visited")
        return [click.Group("bed", {"visit": visit})]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Any) -> Iterator[Any]:
    """``run("plugins")`` in an empty folder where only the plugins of the test are on."""
    install("rose", ROSE)
    install("wasp", WASP)
    folder = tmp_path / "deployment"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith(("LOCUTORY_", "CONFIG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOCUTORY_DATA_DIR", str(tmp_path / "data"))
    others = [name for name in discovery.available() if name not in ("rose", "wasp")]
    state = {"plugins": {"disabled": others}}

    def invoke(*words: str, yaml: dict[str, Any] | None = None, **environment: str) -> Result:
        merged = {**state, **(yaml or {})}
        merged["plugins"] = {**state["plugins"], **(yaml or {}).get("plugins", {})}
        (folder / "librechat.yaml").write_text(json.dumps(merged), "utf-8")
        return CliRunner().invoke(main, words, env=environment, prog_name="locutory")

    logging = structlog.get_config()
    yield invoke
    structlog.configure(**logging)


def test_help_and_version(run: Any) -> None:
    text = run("--help").output
    for command in ("serve", "plugins", "routes", "config", "doctor", "migrate"):
        assert f"\n  {command} " in text
    assert run("-h").exit_code == 0
    assert run("--version").output.startswith("locutory, version ")
    assert "No such command 'sevre'" in run("sevre").output


def test_plugins(run: Any) -> None:
    result = run("plugins", yaml={"plugins": {"disabled": None, "enabled": ["rose"]}})
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["plugin", "state", "version", "what", "it", "does"]
    assert any(line.split() == ["rose", "on", "1.2.3", "Smells", "good"] for line in lines)
    # What a plugin that is off says of itself is not known: it is not imported.
    assert any(line.split() == ["wasp", "off", "1.2.3", "Grows", "a", "wasp"] for line in lines)


def test_plugins_why(run: Any) -> None:
    text = run("plugins", "why", "rose").output
    assert text.startswith("rose is on: it is installed and not disabled. It is number 1 of 2")
    assert "provides  test.scent  (used by wasp)" in text
    assert "wants     test.scent  (from rose)" in run("plugins", "why", "wasp").output
    off = run("plugins", "why", "wasp", yaml={"plugins": {"disabled": None, "enabled": ["rose"]}})
    assert off.output == ("wasp is off: plugins.enabled in librechat.yaml does not name it.\n")
    unknown = run("plugins", "why", "rosse")
    assert unknown.exit_code == 2
    assert "no plugin 'rosse' is installed. Did you mean 'rose'?" in unknown.output


def test_routes(run: Any) -> None:
    text = run("routes").output
    assert "GET,PUT  /api/rose/{id}" in text
    assert "Public(everybody may smell)" in text
    listed = json.loads(run("routes", "--json", "--plugin", "rose").output)
    assert listed == [
        {
            "methods": "GET,PUT",
            "path": "/api/rose/{id}",
            "access": "Public(everybody may smell)",
            "plugin": "rose",
            "summary": "Smell it",
        }
    ]


def test_commands_of_plugins(run: Any) -> None:
    assert run("rose", "water", "--times", "3", ROSE_COLOUR="pink").output == "watered pink 3\n"
    assert "Water the rose." in run("rose", "--help").output
    assert run("wasp").exit_code == 2
    # Two plugins add to one group.
    assert run("bed", "cut").output == "cut\n"
    assert run("bed", "visit").output == "visited\n"
    assert "Look after the bed." in run("--help").output


def test_config_check(run: Any) -> None:
    result = run("config", "check", yaml={"plugins": {"rose": {"colour": "pink"}}})
    assert (result.exit_code, result.output) == (0, "The configuration is right (2 plugins on).\n")
    warned = run("config", "check", yaml={"memory": {}, "garden": {"siez": 2}})
    assert warned.exit_code == 0
    assert "note: 'memory' has no effect: plugin" in warned.output
    assert "warning: nobody reads garden.siez (librechat.yaml:1:" in warned.output
    assert ", did you mean 'size'?" in warned.output
    wrong = run(
        "config",
        "check",
        yaml={"plugins": {"rose": {"color": "pink"}}, "gardn": {}, "garden": {"size": "big"}},
        PORT="abc",
    )
    assert wrong.exit_code == 1
    shown = re.sub(r"librechat\.yaml:1:\d+", "librechat.yaml", wrong.output)
    assert shown.splitlines()[0] == "Locutory cannot start: 4 problems."
    for lines in (
        "  PORT  (kernel)\n    'abc' is not a number\n",
        "  plugins.rose.color (librechat.yaml)  (rose)\n    no such setting\n"
        "    → did you mean 'colour'?\n",
        "  garden.size (librechat.yaml)  (rose)\n    Input should be a valid integer",
        "  gardn (librechat.yaml)  (kernel)\n    nobody knows this key\n"
        "    → did you mean 'garden'?\n",
    ):
        assert lines in shown


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"MONGO_URI": "nonsense"}, "it is not a database address"),
        ({"USE_REDIS": "true", "REDIS_URI": "localhost"}, "is no address of a Redis server"),
        ({"CONFIG_PATH": "nowhere.yaml"}, "the configuration file does not exist"),
        ({"CREDS_KEY": "hunter2"}, "must be exactly 64 hexadecimal digits"),
    ],
)
def test_config_check_says_what_a_start_says(
    run: Any, environment: dict[str, str], said: str
) -> None:
    result = run("config", "check", **environment)
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert said in result.output
    assert "hunter2" not in result.output


def test_config_check_shows_what_offline_checks_find(run: Any, install: Any) -> None:
    install(
        "weed",
        ROSE.replace('"rose"', '"weed"').replace('"garden"', '"meadow"').replace("test.", "t.")
        .replace("/api/rose", "/api/weed").replace("ROSE_", "WEED_")
        .replace("import JSON", "import Check, JSON")
        + """
    @hook
    def checks(self, ctx):
        async def look():
            return "grows everywhere"
        async def ask():
            raise RuntimeError("asked somebody")
        return [Check("weed", look, offline=True), Check("other", ask)]
""",
    )  # fmt: skip
    sys.modules.pop("installed_locutory_weed", None)
    result = run("config", "check", yaml={"plugins": {"disabled": ["wasp", *OTHERS]}})
    assert (result.exit_code, result.output) == (
        0,
        "warning: grows everywhere\n"
        "A server starts with this (2 plugins on); read the warnings above.\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("config", "check"),
        ("config", "schema"),
        ("config", "show"),
        ("plugins",),
        ("plugins", "why", "rose"),
        ("routes",),
    ],
)
def test_commands_that_look_write_nothing(run: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 0
    assert not (tmp_path / "data").exists()


def test_config_schema_checks_the_file(run: Any) -> None:
    schema = json.loads(run("config", "schema").output)
    jsonschema_rs.meta.validate(schema)
    check = jsonschema_rs.validator_for(schema)
    good = {"plugins": {"rose": {"colour": "pink"}, "disabled": ["x"]}, "garden": {"size": 2}}
    assert check.is_valid(good)
    # What the server only warns of is no error; names of plugins that are off may be there.
    assert check.is_valid({"garden": {"siez": 2}, "memory": {"any": 1}, "version": 1})
    wrong: list[Any] = [
        {"plugins": {"rose": {"color": "pink"}}},
        {"garden": {"size": "big"}},
        {"gardn": {}},
    ]
    for bad in wrong:
        assert not check.is_valid(bad), bad


def test_config_show(run: Any) -> None:
    result = run(
        "config",
        "show",
        yaml={"plugins": {"rose": {"colour": "pink", "thorns": ["a", "b"]}}},
        ROSE_API_KEY="hunter2",
        ROSE_URI="mongodb://user:hunter2@db/x",
        PORT="3 * 1000",
        REDIS_PASSWORD="hunter2",
        METRICS_SECRET="hunter2",
        MONGO_URI="mongodb://user:hunter2@db/x",
    )
    assert result.exit_code == 0
    assert "hunter2" not in result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.output.splitlines() if line}
    assert rows["ROSE_COLOUR"] == ["pink", "plugins.rose.colour"]
    assert rows["ROSE_THORNS"] == ["a,b", "plugins.rose.thorns"]
    assert rows["ROSE_API_KEY"] == ["***", "environment"]
    assert rows["ROSE_URI"] == ["mongodb://***@db/x", "environment"]
    assert rows["PORT"] == ["3000", "environment"]
    assert rows["HOST"] == ["localhost", "default"]
    assert rows["REDIS_URI"] == ["-", "default"]
    assert rows["USE_REDIS"] == ["false", "default"]


def test_a_wrong_deployment_is_explained(run: Any) -> None:
    result = run("plugins", yaml={"plugins": {"disabled": ["ros"]}})
    assert result.exit_code == 1
    assert result.output.startswith("Error: 1 problem.")
    assert "no plugin 'ros' is installed" in result.output
    assert "did you mean 'rose'?" in result.output
    assert "Traceback" not in result.output


def test_a_broken_plugin_is_explained(run: Any, install: Any) -> None:
    install("weed", "import nothing_like_this")
    sys.modules.pop("installed_locutory_weed", None)
    result = run("routes")
    assert result.exit_code == 1
    assert "cannot be imported: ModuleNotFoundError" in result.output
    assert "plugins.disabled: [weed]" in result.output


def test_a_broken_plugin_blinds_no_command(run: Any, install: Any) -> None:
    """Neither one that cannot be imported, nor one whose hook fails, nor who needs it."""
    install("weed", "import nothing_like_this")
    install("worm", ROSE.replace('name = "rose"', 'name = "worm"').replace(
        'return [Provide(SCENT, "sweet")]', 'raise RuntimeError("bitten")'
    ).replace("provides = (SCENT,)", "").replace("ROSE_", "WORM_"))  # fmt: skip
    for name in ("weed", "worm"):
        sys.modules.pop(f"installed_locutory_{name}", None)
    result = run("plugins")
    assert result.exit_code == 0
    states = {line.split()[0]: line.split()[1] for line in result.output.splitlines() if line}
    assert (states["rose"], states["weed"], states["worm"]) == ("on", "broken", "broken")
    assert "cannot be imported: ModuleNotFoundError" in result.output
    assert "its hook 'services' failed: RuntimeError: bitten" in result.output
    assert "rose is on" in run("plugins", "why", "rose").output
    why = run("plugins", "why", "worm")
    assert why.exit_code == 1
    assert "bitten" in why.output
    watered = run("rose", "water", "--times", "2")
    assert "watered red 2" in watered.output
    assert "without plugin weed" in watered.output
    # But the configuration is wrong, as a start would say.
    assert run("config", "check").exit_code == 1


def test_commands_say_what_is_missing(run: Any, tmp_path: Path) -> None:
    unknown = run("routes", "--plugin", "rosse")
    assert unknown.exit_code == 2
    assert "Did you mean 'rose'?" in unknown.output
    off = run("rose", "water", yaml={"plugins": {"disabled": None, "enabled": ["wasp"]}})
    assert "the plugin 'rose' is off, or has no commands" in off.output
    port = run("serve", "--port", "abc")
    assert "'abc' is not a valid whole number" in port.output


def test_a_data_folder_that_is_a_file(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for words in (("user", "list"), ("doctor",), ("serve", "--port", "0")):
        result = run("--data-dir", str(file), *words)
        assert result.exit_code == 1
        assert result.output.count("\n  ") == 1 + result.output.count("\n    ")
        assert f"{file} is no folder" in result.output


def test_looking_makes_no_database(run: Any, tmp_path: Path) -> None:
    """In a folder whose name is misspelt, say."""
    typo = tmp_path / "typo"
    result = run("--data-dir", str(typo), "doctor")
    assert result.exit_code == 1
    assert f"There is no database at {typo}" in result.output
    assert not typo.exists()


def test_doctor_tells_that_the_disk_is_full(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("migrate").exit_code == 0
    well = run("doctor")
    assert well.exit_code == 0, well.output
    assert "database can be written" in well.output
    monkeypatch.setattr("locutory_sqlite.database.LEAST_FREE_BYTES", 2**62)
    full = run("doctor")
    assert full.exit_code == 1
    assert "The disk of the database is nearly full: " in full.output
    assert "1 thing(s) to look at." in full.output


def test_everything_wrong_is_said_at_once(run: Any) -> None:
    yaml = {"plugins": {"disabled": ["nosuch"], "rose": {"colur": 1}}, "foo": 1}
    result = run("config", "check", yaml=yaml, PORT="99999")
    assert result.exit_code == 1
    for expected in ("no plugin 'nosuch' is installed", "colur", "foo", "PORT"):
        assert expected in result.output
