"""What is exported, and under which version it is released."""

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
