"""Who may import whom, checked by import-linter: ``python tests/architecture/imports.py``.

The contracts name no part: whatever lies in ``packages/`` and ``plugins/`` is held to them. Prints the
report; exits with 1 where one is broken.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


# The modules and folders of a part, top to bottom: each knows only what lies below its line.
_LAYERS = {
    "locutory": (
        "commands",
        "run",
        "config",
        "plugins",
        "http",
        "data",
        "policy",
        "services | responses",
        "access | events | settings",
        "errors | keys | installed",
    ),
    "locutory_auth": (
        "plugin",
        "cli",
        "container",
        "routes",
        "password_reset | second_factor | sign_in | startup | deployment",
        "registration | account_data",
        "accounts",
        "bans",
        "sessions",
        "mail | captcha | throttle | timing | hashing",
        "documents | config | address",
    ),
    "locutory_agents": (
        "plugin",
        "routes",
        "checks",
        "turns | headless | builtin",
        "loop | stores",
        "stream",
        "job | ids | tasks | config",
    ),
}


def import_names(folder: str) -> list[str]:
    """The import names of the bundled distributions in a folder, sorted."""
    found = []
    for file in sorted(ROOT.glob(f"{folder}/*/pyproject.toml")):
        tool = tomllib.loads(file.read_text("utf-8")).get("tool", {})
        if tool.get("locutory", {}).get("bundled", True):
            found.append(f"locutory_{file.parent.name}")
    return found


def _wants(folder: Path) -> set[str]:
    """The import names of our distributions that one names in its pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    words = {re.split(r"[\[>=<;]", line, maxsplit=1)[0] for line in project.get("dependencies", [])}
    return {word.replace("-", "_").replace("locutory_kernel", "locutory") for word in words}


def dependencies() -> dict[str, set[str]]:
    """Of each bundled distribution, by import name: those of ours that its pyproject.toml names."""
    folders = {"locutory": ROOT / "kernel", "locutory_contracts": ROOT / "contracts"}
    for group in ("packages", "plugins"):
        names = import_names(group)
        folders |= {name: ROOT / group / name.removeprefix("locutory_") for name in names}
    return {name: _wants(folder) & folders.keys() for name, folder in folders.items()}


def inner_layers(name: str) -> list[list[str]]:
    """The modules and folders of a part in layers, top to bottom."""
    return [layer.split(" | ") for layer in _LAYERS[name]]


def package_layers() -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """The packages in layers, each knowing only such as its pyproject.toml names: those above
    plugins, those between plugins and contracts, those below the kernel. The packages of one layer
    do not know each other. `graphlib.CycleError` for a circle."""
    names = import_names("packages")
    wanted = {name: _wants(ROOT / "packages" / name.removeprefix("locutory_")) for name in names}
    of_plugins = set().union(
        *(_wants(file.parent) for file in ROOT.glob("plugins/*/pyproject.toml"))
    )
    upper = {name for name in names if "locutory" in wanted[name]}
    parts = (upper - of_plugins, upper & of_plugins, set(names) - upper)
    above, between, below = (
        _sorted_layers({name: wanted[name] & part for name in sorted(part)}) for part in parts
    )
    return above, between, below


def _sorted_layers(wanted: dict[str, set[str]]) -> list[list[str]]:
    layers, sorter = [], TopologicalSorter(wanted)
    sorter.prepare()
    while sorter.is_active():
        layers.append(sorted(sorter.get_ready()))
        sorter.done(*layers[-1])
    return layers[::-1]


def contracts() -> str:
    """The configuration of import-linter."""
    plugins, packages = import_names("plugins"), import_names("packages")
    above, between, below = package_layers()
    layers = [*above, plugins, *between, ["locutory_contracts"], ["locutory"], *below]
    everything = ["locutory", "locutory_contracts", *packages, *plugins]
    return f"""[importlinter]
include_external_packages = True
exclude_type_checking_imports = True
root_packages =
    {_lines(everything)}

[importlinter:contract:plugins]
name = Plugins know contracts and the kernel, never each other
type = independence
modules =
    {_lines(plugins)}

[importlinter:contract:layers]
name = The kernel knows neither contracts nor plugins, plugins not what stands above them
type = layers
layers =
    {_lines([" | ".join(layer) for layer in layers])}

[importlinter:contract:contracts]
name = Contracts do no input or output
type = forbidden
source_modules =
    locutory_contracts
forbidden_modules =
    starlette
    uvicorn
    beanie
    pymongo
    httpx2
    redis
allow_indirect_imports = True

[importlinter:contract:circles]
name = No circles among the modules and the folders of a part
type = acyclic_siblings
ancestors =
    {_lines(everything)}
{"".join(_layers(name, layers) for name, layers in _LAYERS.items())}"""


def _layers(name: str, layers: tuple[str, ...]) -> str:
    return f"""
[importlinter:contract:{name}]
name = Layers of {name}
type = layers
containers =
    {name}
layers =
    {_lines(list(layers))}
exhaustive = True
"""


def _lines(names: list[str]) -> str:
    return "\n    ".join(names)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        config = Path(name) / "importlinter.ini"
        config.write_text(contracts(), "utf-8")
        command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(config)]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
