"""The code of the tutorial runs."""

import re
import sys
import types
from pathlib import Path

from locutory_testing import Serve

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


async def test_the_tutorial_works(serve: Serve) -> None:
    blocks = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text("utf-8"), re.DOTALL)
    package = types.ModuleType("locutory_greeting")
    module = types.ModuleType("locutory_greeting.plugin")
    sys.modules["locutory_greeting"], sys.modules["locutory_greeting.plugin"] = package, module
    for block in blocks:
        exec(compile(block, "tutorial.md", "exec"), module.__dict__)  # noqa: S102
    tests = [test for name, test in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        await test(serve)
