"""The code of the guides runs, and what the documentation lists is all there is."""

import re
import sys
import types
from pathlib import Path

import pytest

from locutory_testing import Serve

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


async def test_the_example_of_events_works(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "guides" / "events.md").read_text("utf-8")
    module = types.ModuleType("guide_of_events")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "events.md", "exec"), module.__dict__)  # noqa: S102
    await module.test_guest_book(serve)


def test_every_package_stands_in_the_architecture() -> None:
    """Its picture and its map are generated; this is the table of folders."""
    text = (DOCS / "architecture.md").read_text("utf-8")
    folders = [file.parent for file in ROOT.glob("packages/*/pyproject.toml")]
    assert not [each.name for each in folders if f"`packages/{each.name}/`" not in text]


def test_every_decision_is_listed() -> None:
    """By number, title and date, as it stands in its record."""
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    expected = []
    for number, record in enumerate(records, 1):
        title, _, date, *_ = record.read_text("utf-8").splitlines()
        assert title.startswith(f"# {number}. "), record.name
        assert record.name.startswith(f"{number:04}-"), record.name
        name = title.partition(". ")[2]
        expected.append(f"| [{number:04}]({record.name}) | {name} | {date} |")
    text = (DOCS / "decisions" / "README.md").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("| [")] == expected
