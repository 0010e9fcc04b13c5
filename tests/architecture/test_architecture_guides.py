"""The code of the guides runs."""

import re
import sys
import types
from pathlib import Path

import pytest

from locutory_testing import Serve

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"


async def test_the_example_of_events_works(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (GUIDES / "events.md").read_text("utf-8")
    module = types.ModuleType("guide_of_events")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "events.md", "exec"), module.__dict__)  # noqa: S102
    await module.test_guest_book(serve)
