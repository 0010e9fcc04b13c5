"""Rules of the architecture that can be read off the source."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / "kernel" / "src" / "locutory"
PLUGINS = sorted(
    path for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").exists()
)
PACKAGES = sorted((ROOT / "packages").iterdir())

# Words that may not occur in the kernel at all, in code or text.
FEATURES = re.compile(
    r"(?i)\b\w*(conversation|convo|chatbot|bookmark|preset|prompt|memories|assistant|ollama|openai|anthropic)\w*\b"
)
# Feature nouns that are also plain technical words: not as a path, a collection or a class.
NOUNS = re.compile(r"(?i)^(conversations?|messages?|agents?|files?|memor(y|ies)|prompts?|models?)$")


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def code_lines(path: Path) -> int:
    """Lines that hold code: without blank lines, comments and docstrings."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    documented: set[int] = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            documented.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        1
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#") and number not in documented
    )


def test_the_kernel_knows_no_nouns() -> None:
    found = []
    for path in sources(KERNEL):
        if "testing" in path.parts:
            continue
        text = path.read_text("utf-8")
        found += [f"{path.name}: {hit.group()}" for hit in FEATURES.finditer(text)]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and NOUNS.match(node.name):
                found.append(f"{path.name}: class {node.name}")
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and node.value.startswith("/api/")
            ):
                found += [
                    f"{path.name}: {node.value}"
                    for part in node.value.split("/")
                    if NOUNS.match(part)
                ]
    assert not found


def test_the_kernel_stays_small() -> None:
    """What it can do without lies in packages below and above it. The list of what plugins may
    import is not counted."""
    sizes = {path.name: code_lines(path) for path in sources(KERNEL) if path.name != "__init__.py"}
    assert sum(sizes.values()) <= 3200, sum(sizes.values())
    assert not [path.name for path in sources(KERNEL) if len(path.read_text().splitlines()) > 300]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_files_and_folders_stay_small(plugin: Path) -> None:
    package = plugin / "src" / f"locutory_{plugin.name}"
    assert not [
        str(p.relative_to(ROOT)) for p in sources(package) if len(p.read_text().splitlines()) > 420
    ]
    per_folder: dict[Path, int] = defaultdict(int)
    for path in sources(package):
        per_folder[path.parent] += 1
    assert not [str(folder.relative_to(ROOT)) for folder, count in per_folder.items() if count > 16]
    names = {path.stem for path in sources(package)}
    assert not names & {"utils", "helpers", "common", "manager", "misc"}
    assert {"plugin", "__init__"} <= names


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def declared(folder: Path) -> set[str]:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = list(project.get("dependencies", ()))
    for extra in project.get("optional-dependencies", {}).values():
        wanted += extra
    return {canonicalize_name(Requirement(item).name) for item in wanted}


@pytest.mark.parametrize(
    "folder", [ROOT / "kernel", ROOT / "contracts", *PACKAGES, *PLUGINS], ids=lambda path: path.name
)
def test_a_distribution_declares_all_that_it_imports(folder: Path) -> None:
    distributions = {
        **packages_distributions(),
        "locutory": ["locutory-kernel"],
        "locutory_contracts": ["locutory-contracts"],
    }
    wanted = declared(folder)
    # What the kernel itself re-exports as part of its interface.
    through_kernel = {"pydantic", "pymongo", "bson", "typing-extensions"}
    missing = set()
    for path in sources(folder / "src"):
        own = {package.name for package in (folder / "src").iterdir()}
        for name in imported(path) - own - set(sys.stdlib_module_names):
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            if (
                not owners & wanted
                and not owners & {"pydantic", "pydantic-core", "pymongo"}
                and name not in through_kernel
            ):
                missing.add(f"{path.name} imports {name}")
    assert not missing


_INSIDE = re.compile(r"^\s*(?:from|import) (locutory\.(?!commands\b)[\w.]+)", re.MULTILINE)


@pytest.mark.parametrize(
    "folder",
    [ROOT / "contracts", ROOT / "packages" / "resources", *PLUGINS],
    ids=lambda path: path.name,
)
def test_plugins_import_the_public_surface_only(folder: Path) -> None:
    """`locutory` and `locutory.commands`: the rest of the kernel may change with any version."""
    inside = {
        f"{path.name}: {found}"
        for path in sources(folder / "src")
        for found in _INSIDE.findall(path.read_text("utf-8"))
    }
    assert not inside


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_plugins_never_import_each_other(plugin: Path) -> None:
    others = {f"locutory_{other.name}" for other in PLUGINS if other != plugin}
    for path in sources(plugin / "src"):
        assert not imported(path) & others, path


def test_a_collection_is_named_only_by_its_owner() -> None:
    owners: dict[str, str] = {}
    for plugin in PLUGINS:
        for path in sources(plugin / "src"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and node.name == "Settings":
                    for item in node.body:
                        if (
                            isinstance(item, ast.Assign)
                            and isinstance(item.targets[0], ast.Name)
                            and item.targets[0].id == "name"
                            and isinstance(item.value, ast.Constant)
                        ):
                            assert (
                                owners.setdefault(str(item.value.value), plugin.name) == plugin.name
                            )
    for plugin in PLUGINS:
        for path in sources(plugin / "src"):
            for hit in re.finditer(r"\.collection\(\s*\"(\w+)\"", path.read_text("utf-8")):
                assert owners.get(hit.group(1)) == plugin.name, f"{path}: {hit.group(1)}"


FLOORS = {
    "starlette": "1.3.1",
    "python-multipart": "0.0.30",
    "pyjwt": "2.13",
    "authlib": "1.7.1",
    "mcp": "1.28.1",
    "pydantic-ai-slim": "2.0",
    "pypdf": "6.16",
}


def pins() -> dict[str, Version]:
    found: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if "==" in line and not line.lstrip().startswith("#"):
            name, _, rest = line.partition("==")
            found[canonicalize_name(name.strip())] = Version(rest.split(";")[0].split()[0])
    return found


def test_dependencies_are_above_the_floors_of_known_advisories() -> None:
    pinned = pins()
    for name, floor in FLOORS.items():
        if name in pinned:
            assert pinned[name] >= Version(floor), name
    assert Version(version("starlette")) >= Version(FLOORS["starlette"])


def test_constraints_name_no_index() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert "://" not in text
    assert "--index" not in text
    for name in ("starlette", "beanie", "pymongo", "httpx2"):
        assert name in pins()


def test_outgoing_connections_are_made_in_one_place() -> None:
    """Proxies, authorities and time limits are settled in `locutory_http`: nobody else builds
    a client, a transport or a context of TLS, opens a connection by itself, or reads the
    environment for them."""
    built = re.compile(
        r"\b(?:httpx2?\.(?:Async)?Client\(|httpx2?\.(?:get|post|put|patch|delete|head|request|stream)\("
        r"|httpx2?\.(?:Async)?HTTPTransport\(|httpcore2?\.|create_default_context\(|create_ssl_context\("
        r"|ssl\.SSLContext\(|ssl\._create|trust_env=True|aiohttp|urllib\.request|http\.client|requests\.get\(|"
        r"(?:HTTPS?|NO)_PROXY|[\"']PROXY[\"']|NODE_EXTRA_CA_CERTS\")"
    )
    allowed = {ROOT / "packages" / "testing", ROOT / "packages" / "http"}
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for folder in (ROOT / "kernel", ROOT / "contracts", *PACKAGES, *PLUGINS)
        for path in sources(folder / "src")
        if not any(place in path.parents for place in allowed)
        and path.name != "librechat_variables.py"  # names of what LibreChat reads
        for hit in built.finditer(path.read_text("utf-8"))
    ]
    assert not found


def test_the_gpl_database_is_never_imported() -> None:
    for folder in (ROOT / "kernel", ROOT / "contracts", *PACKAGES, *PLUGINS):
        for path in sources(folder / "src"):
            assert not any(name.startswith("secantus") for name in imported(path)), path
