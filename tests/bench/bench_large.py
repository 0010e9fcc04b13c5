"""Many conversations of one user: pages, and what others wait while he does something large.

Run by ``python -m tests.bench.bench_database --large``. The database file is filled while the server
is stopped (`tests.bench.filling`); every round works on a copy of it.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import histories
from tests.bench.builds import ROOT, Build, serving
from tests.bench.family import family_memory, family_seconds, rest
from tests.bench.measure import Running, cost, table
from tests.bench.visitor import Visitor
from tests.bench.waiting import KINDS, waiting

LONG = 5_000
PAGE_MS, WAIT_MS = 10, 100
# CPU seconds at most: of 100 MB of an export, of a conversation that is archived or deleted.
EXPORT_SECONDS, EACH_SECONDS = 10, 0.0001
_PAGES = 20


def _lists() -> dict[str, str]:
    """Every first page: a name and its path."""
    found = {}
    for archived in (False, True):
        fields = ("updatedAt", "createdAt", "archivedAt" if archived else "title")
        for name in fields:
            for way in ("desc", "asc"):
                path = f"/api/convos?sortBy={name}&sortDirection={way}"
                shown = "archived, " if archived else ""
                found[f"{shown}{name} {way}"] = path + ("&isArchived=true" if archived else "")
    return found


@dataclass(frozen=True, slots=True)
class Filled:
    """A folder with data, and who is in it: the user with many conversations and another one."""

    folder: Path
    conversations: int
    user: str
    other: str
    long: str
    others: str


def filled(build: Build, folder: Path, count: int) -> Filled:
    """Make the data: the server's own import of one conversation, copied ``count`` times. Returns
    when everything can be searched for, so that no round does that work."""
    folder.mkdir(parents=True)
    file = folder / "one.json"
    histories.export(file, "large", 1)
    with serving(build, folder) as running:
        user, other = Visitor(running), Visitor(running)
        user.bring(file)
    given = {
        "file": str(folder / "data" / "database.sqlite"),
        "user": user.id,
        "other": other.id,
        "conversations": count,
        "long": LONG,
    }
    command = [build.command("python"), "-m", "tests.bench.filling"]
    made = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, cwd=ROOT, check=False
    )
    if made.returncode:
        raise RuntimeError(made.stderr)
    with serving(build, folder) as running:
        rest(running.pid, 900)
    return Filled(folder, count, user.email, other.email, **json.loads(made.stdout))


def pages(build: Build, data: Filled, rounds: int) -> str:
    """The first page of every list: the first request after a start, and later ones."""
    rows = []
    for name, path in _lists().items():
        first, later, spent = [], [], []
        for _ in range(rounds):
            with serving(build, data.folder) as running:
                visitor = Visitor(running, data.user)
                visitor.json("GET", "/api/user")
                first.append(visitor.seconds("GET", path) * 1000)
                later.append(
                    statistics.median(visitor.seconds("GET", path) * 1000 for _ in range(_PAGES))
                )
                spent.append(cost(running, path, _PAGES * 2, visitor.headers, family_seconds)[0])
        verdict = "" if max(min(first), min(later)) <= PAGE_MS else "missed"
        rows.append([name, *(f"{min(each):.1f}" for each in (first, later, spent)), verdict])
    head = ("first page", "after a start, ms", "later, ms", "CPU ms", f"≤ {PAGE_MS} ms")
    return table(head, rows)


Act = Callable[[Visitor, Filled], tuple[float, str]]
"""Does something; how much of what."""


def _nothing(_user: Visitor, _data: Filled) -> tuple[float, str]:
    time.sleep(2)
    return 0, ""


def _all_lists(user: Visitor, _data: Filled) -> tuple[float, str]:
    for path in _lists().values():
        for _ in range(5):
            user.json("GET", path)
    return len(_lists()) * 5, "pages"


def _export(user: Visitor, _data: Filled) -> tuple[float, str]:
    return user.size("/api/convos/export") / 1e6, "MB"


def _duplicate(user: Visitor, data: Filled) -> tuple[float, str]:
    answer = user.json("POST", "/api/convos/duplicate", {"conversationId": data.long})
    return len(answer["messages"]), "messages"


def _archive(user: Visitor, _data: Filled) -> tuple[float, str]:
    return user.json("POST", "/api/convos/archive/all", {})["archivedCount"], "conversations"


def _delete(user: Visitor, _data: Filled) -> tuple[float, str]:
    return user.json("DELETE", "/api/convos/all")["deletedCount"], "conversations"


def _close(user: Visitor, data: Filled) -> tuple[float, str]:
    user.json("DELETE", "/api/user/delete")
    return data.conversations, "conversations"


# In this order on one copy of the data; the account on one of its own.
ACTS: dict[str, Act] = {
    "nothing": _nothing,
    "lists": _all_lists,
    "exports": _export,
    "duplicates a conversation": _duplicate,
    "archives all": _archive,
    "lists again": _all_lists,
    "deletes all": _delete,
}
LAST: dict[str, Act] = {"deletes the account": _close}
_MOST = {
    "exports": EXPORT_SECONDS / 100,
    "archives all": EACH_SECONDS,
    "deletes all": EACH_SECONDS,
    "deletes the account": EACH_SECONDS,
}


@dataclass(slots=True)
class Seen:
    """The least of several rounds."""

    result: str = ""
    amount: float = 0.0
    seconds: float = float("inf")
    cpu: float = float("inf")
    after: float = float("inf")
    megabytes: float = 0.0
    waits: dict[str, float] = field(default_factory=dict)


def _play(running: Running, act: Act, seen: Seen, data: Filled, *, watched: bool) -> None:
    """One act. CPU is taken without anybody else, waits with somebody else."""
    user = Visitor(running, data.user)
    rest(running.pid)
    if watched:
        with waiting(running, data.other, data.others) as waits:
            act(user, data)
        for kind, spent in waits.items():
            seen.waits[kind] = min(spent, seen.waits.get(kind, float("inf")))
        return
    before, began = family_seconds(running.pid), time.perf_counter()
    seen.amount, seen.result = act(user, data)
    seen.seconds = min(seen.seconds, time.perf_counter() - began)
    seen.cpu = min(seen.cpu, family_seconds(running.pid) - before)
    rest(running.pid, 900)
    seen.after = min(seen.after, family_seconds(running.pid) - before)
    seen.megabytes = max(seen.megabytes, family_memory(running.pid).resident)


def acts(build: Build, data: Filled, rounds: int) -> str:
    """What each act costs, and how long another user waits meanwhile."""
    seen = {name: Seen() for name in (*ACTS, *LAST)}
    for number in range(rounds + 1):
        for some in (ACTS, LAST):
            copy = data.folder.with_name("copy")
            shutil.copytree(data.folder, copy)
            with serving(build, copy) as running:
                for name, act in some.items():
                    _play(running, act, seen[name], data, watched=number > 0)
                    sys.stderr.write(f"{name}: {seen[name]}\n")
            shutil.rmtree(copy)
    rows = []
    for name, each in seen.items():
        waits = [f"{each.waits[kind]:.0f}" for kind in KINDS]
        one = each.cpu / each.amount if each.amount else 0.0
        most = _MOST.get(name)
        missed = ["CPU"] if most is not None and one > most else []
        missed += ["waits"] if max(each.waits.values()) > WAIT_MS else []
        numbers = [f"{each.seconds:.2f}", f"{each.cpu:.2f}", f"{each.after:.2f}"]
        rows.append(
            [
                *(name, f"{each.amount:.0f} {each.result}", *numbers, f"{one * 1000:.3f}"),
                *("" if most is None else f"≤ {most * 1000:g}", f"{each.megabytes:.0f}"),
                *(*waits, ", ".join(missed)),
            ]
        )
    head = ("a user", "", "s", "CPU s", "until at rest", "CPU ms each", "target", "MB")
    return table((*head, *(f"{kind}, ms" for kind in KINDS), "missed"), rows)


def run(build: Build, folder: Path, count: int, rounds: int) -> Iterator[str]:
    """Both tables, each as soon as it is there."""
    data = filled(build, folder / "filled", count)
    size = sum(each.stat().st_size for each in (data.folder / "data").rglob("*") if each.is_file())
    yield f"{count:,} conversations of one user, {size / 2**20:.0f} MB of data"
    yield pages(build, data, rounds)
    yield acts(build, data, rounds)
