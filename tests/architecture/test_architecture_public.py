"""What plugins may import from the kernel, and under which version it is released."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

import locutory

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = sorted(
    [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
)

# Internal names that bundled plugins and contracts still import. None may be added: what plugins
# need is exported by `locutory`.
INTERNAL = {
    ("locutory.http.failures", "UNKNOWN"),
    ("locutory.http.fallback", "NEXT_STEPS"),
    ("locutory.http.fallback", "PAGES"),
    ("locutory.http.limiting", "RateLimits"),
    ("locutory.http.request", "check_caller_waits"),
    ("locutory.http.validation", "read_query"),
    ("locutory.settings", "KernelConfig"),
}


def internal_imports(path: Path) -> set[tuple[str, str]]:
    """(module, name) of what a file imports from the kernel and the kernel does not export. A name
    that `locutory` exports as well may come from its module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {(name, "") for name in names if name.startswith("locutory.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("locutory."):
            found |= {(str(node.module), alias.name) for alias in node.names}
    return {
        (module, name)
        for module, name in found
        if module != "locutory.commands" and name not in locutory.__all__
    }


def test_plugins_import_what_is_public() -> None:
    found = {
        imported
        for folder in ("contracts/src", "plugins/*/src")
        for source in ROOT.glob(folder)
        for path in source.rglob("*.py")
        for imported in internal_imports(path)
    }
    assert found <= INTERNAL


def test_what_is_exported_is_there() -> None:
    for module in ("locutory", "locutory.commands", "locutory_testing"):
        exporting = importlib.import_module(module)
        assert len(exporting.__all__) == len(set(exporting.__all__)), module
        assert not [name for name in exporting.__all__ if not hasattr(exporting, name)], module


@pytest.mark.parametrize("file", DISTRIBUTIONS, ids=lambda file: file.parent.name)
def test_all_distributions_have_one_version(file: Path) -> None:
    project = tomllib.loads(file.read_text("utf-8"))["project"]
    assert project["version"] == locutory.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
