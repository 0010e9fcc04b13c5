"""The modules of docs/, for more than one file of tests."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def citations() -> ModuleType:
    """Which section of which document a text cites."""
    return sys.modules.get("citations") or _load("citations")


def generator() -> ModuleType:
    """The generator of docs/reference, which also builds a kernel with every bundled plugin."""
    citations()
    return _load("generate")
