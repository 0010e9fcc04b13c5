"""Who may import whom, checked by import-linter: ``python tests/architecture/imports.py``.

The contracts name no part: whatever lies in ``packages/`` and ``plugins/`` is held to them. Prints the
report; exits with 1 where one is broken.
"""

import subprocess
import sys
import tempfile
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Whose folders import each other, though none of their modules do in a circle.
_CIRCLES_OF_FOLDERS = {"locutory_auth"}

# The modules and folders of a part, top to bottom: each knows only what lies below its line.
_LAYERS = {
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


def package_layers() -> tuple[list[list[str]], list[list[str]]]:
    """The packages in layers: each knows only such as its pyproject.toml names, which lie below
    it; those of one layer do not know each other. First those that name the kernel or the
    contracts, and lie above these; then the others. `graphlib.CycleError` for a circle."""
    names = import_names("packages")
    wanted: dict[str, set[str]] = {}
    for name in names:
        file = ROOT / "packages" / name.removeprefix("locutory_") / "pyproject.toml"
        listed = tomllib.loads(file.read_text("utf-8"))["project"].get("dependencies", [])
        wanted[name] = {
            line.split(">")[0].split("=")[0].split("[")[0].replace("-", "_") for line in listed
        }
    above = {name for name in names if wanted[name] & {"locutory_kernel", "locutory_contracts"}}
    return _sorted(wanted, above), _sorted(wanted, set(names) - above)


def _sorted(wanted: dict[str, set[str]], names: set[str]) -> list[list[str]]:
    layers: list[list[str]] = []
    sorter = TopologicalSorter({name: wanted[name] & names for name in names})
    sorter.prepare()
    while sorter.is_active():
        layers.append(sorted(sorter.get_ready()))
        sorter.done(*layers[-1])
    return layers[::-1]


def contracts() -> str:
    """The configuration of import-linter."""
    plugins, packages = import_names("plugins"), import_names("packages")
    above, below = package_layers()
    layers = [plugins, *above, ["locutory_contracts"], ["locutory"], *below]
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
name = The kernel knows neither contracts nor plugins; packages know only what they name
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
    {_lines([name for name in everything if name not in _CIRCLES_OF_FOLDERS])}
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
