"""Whoever follows a citation of the contract finds the section (docs/style.md, "Citations")."""

import re
from pathlib import Path

import pytest
from tests.architecture.generator import ROOT, citations, generator

MARKDOWN_LINK = re.compile(r"\]\(([^)#\s]+\.md)(?:#([^)\s]+))?\)")
FOLDERS = ("config", "contracts", "docs", "kernel", "packages", "plugins", "tests")


def texts(ending: str) -> list[Path]:
    """Files of the repository; not those that say what a citation looks like."""
    own = {ROOT / "docs" / "citations.py", ROOT / "docs" / "style.md", Path(__file__).resolve()}
    found = [*ROOT.glob(f"*{ending}")]
    for folder in FOLDERS:
        found += (ROOT / folder).rglob(f"*{ending}")
    skipped = {"__pycache__", "node_modules"}
    return sorted(path for path in found if path not in own and not skipped & set(path.parts))


def shown(path: Path, problems: list[str]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: … {problem}" for problem in problems]


def test_citations_in_code_resolve() -> None:
    cited = citations()
    found = []
    for path in texts(".py"):
        source = path.read_text("utf-8")
        if "§" in source or "rap" in source:
            every = cited.citations(source, cited.own_document(source))
            found += shown(path, cited.unresolved(every))
    assert not found


def test_citations_in_documents_resolve() -> None:
    cited = citations()
    found = []
    for path in texts(".md"):
        is_contract = cited.documents().get(path.stem, None)
        own = path.stem if is_contract is not None and is_contract.path == path else None
        found += shown(path, cited.unresolved(cited.citations(path.read_text("utf-8"), own)))
    assert not found


def test_every_route_cites_what_exists() -> None:
    """A contract names a file and a section of it."""
    cited = citations()
    found = []
    for owner, route in generator().build_kernel().routes._all:
        if route.contract:
            every = list(cited.citations(route.contract))
            if not every or cited.unresolved(every):
                found.append(f"{owner} {route.path}: {route.contract}")
    assert not found


def test_links_between_documents_resolve() -> None:
    """Files, and numbered headings of the contract."""
    cited = citations()
    anchors = {
        document.path: set(document.anchors.values()) for document in cited.documents().values()
    }
    found = []
    for path in texts(".md"):
        for target, anchor in MARKDOWN_LINK.findall(path.read_text("utf-8")):
            if "://" in target:
                continue
            file = (path.parent / target).resolve()
            if not file.exists() or (anchor and anchor not in anchors.get(file, {anchor})):
                found.append(f"{path.relative_to(ROOT)}: {target}#{anchor}")
    assert not found


def test_headings_of_the_contract_are_numbered_once() -> None:
    """A number names one place, and sections come in order."""
    for name, document in citations().documents().items():
        headings = re.findall(
            r"^#{2,6} (\d+(?:\.\d+)*)\.? ", document.path.read_text("utf-8"), re.M
        )
        assert headings, name
        numbers = [tuple(map(int, heading.split("."))) for heading in headings]
        assert numbers == sorted(set(numbers)), name


@pytest.mark.parametrize(
    ("text", "own", "expected"),
    [
        ("as convos §2.1 says", None, [("convos", "2.1")]),
        ("(convos\n    # §2.1, §2.3)", None, [("convos", "2.1"), ("convos", "2.3")]),
        ("convos §2.4-2.6", None, [("convos", f"2.{n}") for n in (4, 5, 6)]),
        ("user §3–§5 and §9", None, [("user", n) for n in ("3", "4", "5", "9")]),
        ("(§4)", "convos", [("convos", "4")]),
        ("convos §2; later §3", None, [("convos", "2"), (None, "3")]),
        ("convos.md §2.1", None, [(None, "2.1")]),
        ("`convos` §2.1", None, [(None, "2.1")]),
        ("oauth §3, trap 4", None, [("oauth", "3"), ("oauth", 4)]),
        ("oauth trap 5", None, [("oauth", 5)]),
        ("Traps 5 and 6", "roles", [("roles", 5), ("roles", 6)]),
        ("RFC 6749 §2.3.1", None, []),
    ],
)
def test_what_a_citation_is(
    text: str, own: str | None, expected: list[tuple[str | None, str | int]]
) -> None:
    found = citations().citations(text, own)
    assert [(each.document, each.section or each.trap) for each in found] == expected


@pytest.mark.parametrize(
    "text", ["convos §99", "convos trap 99", "nothing §1", "convos.md §2", "§2"]
)
def test_what_does_not_resolve(text: str) -> None:
    cited = citations()
    assert cited.unresolved(cited.citations(text))
