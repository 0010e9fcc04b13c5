"""Citations of the contract: which document and which section of docs/ a text names.

``docs/style.md`` has the rule. `generate.py` links routes with this, a test resolves every citation.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIRE = ROOT / "docs" / "wire"

# Another specification: its sections are none of ours.
_FOREIGN = re.compile(r"(?:RFC \d+|Connect Core|ECMA-\d+) $")
_NUMBER = r"\d+(?:\.\d+)*"
# What may stand between two sections of one document.
_CHAIN = re.compile(r"(?: ?[,;]| and| or| to|, and| ?[-–])? ?$")
_SECTION = re.compile(rf"§({_NUMBER})(?:(?: to |[-–])§?({_NUMBER}))?")
_TRAP = re.compile(r"\b([Tt]raps?) (\d+)(?:(?: and | to |, |[-–])(\d+)(?!\.?\d))?")
_BEFORE = re.compile(r"([a-z][a-z-]*)(\.md)?(`*) $")
_BREAK = re.compile(r"\s*\n\s*(?:#+ ?)?")


@dataclass(frozen=True, slots=True)
class Citation:
    """A place that a text names. ``document`` is ``None`` where the text does not say which."""

    document: str | None
    section: str | None
    trap: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """Numbered headings of a document, with the anchors of their headings, and its traps."""

    path: Path
    anchors: Mapping[str, str]
    traps: int

    def resolves(self, citation: Citation) -> bool:
        """Does the document have what is cited?"""
        if citation.trap is not None and not 0 < citation.trap <= self.traps:
            return False
        return citation.section is None or citation.section in self.anchors


def _anchor(heading: str) -> str:
    """The fragment under which GitHub shows a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _document(path: Path) -> Document:
    anchors: dict[str, str] = {}
    used: dict[str, int] = {}
    traps = 0
    in_traps = False
    for line in path.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"#{1,6} (.+)", line):
            anchor = _anchor(heading[1])
            again = used.get(anchor, 0)
            used[anchor] = again + 1
            in_traps = heading[1].endswith("Traps")
            if numbered := re.match(rf"({_NUMBER})\.? ", heading[1]):
                anchors[numbered[1]] = f"{anchor}-{again}" if again else anchor
        elif in_traps and re.match(r"\d+\. ", line):
            traps += 1
    return Document(path, anchors, traps)


@cache
def documents() -> Mapping[str, Document]:
    """Name → document: the files of docs/wire, and the security rules."""
    paths = [path for path in sorted(WIRE.glob("*.md")) if path.stem != "README"]
    return {path.stem: _document(path) for path in [*paths, ROOT / "docs" / "security.md"]}


def _between(first: str, last: str) -> Iterator[str]:
    """The sections of a range: both ends, and what lies between two of one parent."""
    *parent, low = first.split(".")
    *other, high = last.split(".")
    if parent == other and int(low) <= int(high):
        for number in range(int(low), int(high) + 1):
            yield ".".join([*parent, str(number)])
    else:
        yield from (first, last)


def citations(text: str, own: str | None = None) -> Iterator[Citation]:
    """Every citation in a text. ``own``: the document that a section or trap without a name is
    of. Line breaks, also those within a comment, count as a space."""
    text = _BREAK.sub(" ", text)
    last, end = own, 0
    for hit in re.finditer(rf"{_SECTION.pattern}|{_TRAP.pattern}", text):
        before = text[: hit.start()]
        shown = text[max(0, hit.start() - 30) : hit.end()]
        named = _BEFORE.search(before)
        if _FOREIGN.search(before):
            continue
        is_chained = end and _CHAIN.fullmatch(text[end : hit.start()])
        if named is not None and (named[2] or named[3] or named[1] in documents()):
            # One spelling: `convos §2.1`, without quotes and without the name's ending.
            document = None if named[2] or named[3] else named[1]
        elif is_chained:
            document = last
        else:
            document = own
        last, end = document, hit.end()
        first, until, word, trap, other = hit.groups()
        if word is not None:
            is_range = re.search(r" to |[-–]", hit.group()) is not None
            numbers = range(int(trap), int(other) + 1) if other and is_range else (trap, other)
            for number in numbers:
                if number is not None:
                    yield Citation(document, None, int(number), shown)
        else:
            for section in _between(first, until) if until else (first,):
                yield Citation(document, section, None, shown)


def named_documents(text: str) -> set[str]:
    """The documents whose sections or traps a text names, and those after "contract"."""
    found = {each.document for each in citations(text) if each.document is not None}
    flat = _BREAK.sub(" ", text)
    for listed in re.finditer(r"\bcontracts? ([a-z-]+)((?:(?:, | and )[a-z-]+)*)", flat):
        found |= {word for word in re.findall(r"[a-z-]+", listed.group()) if word in documents()}
    return found


def own_document(source: str) -> str | None:
    """The document that the docstring of a module names, if it names exactly one."""
    names = named_documents(ast.get_docstring(ast.parse(source), clean=False) or "")
    return names.pop() if len(names) == 1 else None


def linked(contract: str, here: str) -> str:
    """The contract of a route as a link, seen from a folder ``here`` levels … of docs/."""
    first = next(iter(citations(contract)), None)
    name = contract.split(" ")[0] if first is None else first.document
    document = documents().get(name or "")
    if document is None:
        return contract
    anchor = "" if first is None or first.section is None else f"#{document.anchors[first.section]}"
    return f"[{contract}]({here}{document.path.relative_to(ROOT / 'docs').as_posix()}{anchor})"


def unresolved(cited: Iterable[Citation]) -> list[str]:
    """What a reader could not follow."""
    return [
        each.text
        for each in cited
        if each.document is None or not documents()[each.document].resolves(each)
    ]
