"""Many conversations of one user: pages, and what others wait while he does something large.

Run by ``python -m tests.bench.bench_database --large``. The database file is filled while the server
is stopped (`tests.bench.filling`); every round works on a copy of it.
"""

import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import histories
from tests.bench.builds import ROOT, Build, serving
from tests.bench.family import family_memory, family_seconds, rest
from tests.bench.measure import Running, cost, table
from tests.bench.visitor import Visitor
from tests.bench.waiting import KINDS, waiting

LONG = 5_000
PAGE_MS, WAIT_MS, EACH_MS, EXPORT_SECONDS = 10, 100, 0.1, 10
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


Act = Callable[[Visitor, Filled], str]


def _all_lists(user: Visitor, _: Filled) -> str:
    for path in _lists().values():
        for _ in range(5):
            user.json("GET", path)
    return f"{len(_lists()) * 5} pages"


def _export(user: Visitor, _: Filled) -> str:
    return f"{user.size('/api/convos/export') / 2**20:.0f} MB"


def _duplicate(user: Visitor, data: Filled) -> str:
    answer = user.json("POST", "/api/convos/duplicate", {"conversationId": data.long})
    return f"{len(answer['messages'])} messages"


def _archive(user: Visitor, _: Filled) -> str:
    return f"{user.json('POST', '/api/convos/archive/all', {})['archivedCount']} archived"


def _delete(user: Visitor, _: Filled) -> str:
    return f"{user.json('DELETE', '/api/convos/all')['deletedCount']} deleted"


def _close(user: Visitor, data: Filled) -> str:
    user.json("DELETE", "/api/user/delete")
    return f"{data.conversations} conversations"


# In this order on one copy of the data; the account on one of its own.
ACTS: dict[str, Act] = {
    "nothing": lambda _user, _data: "",
    "lists": _all_lists,
    "exports": _export,
    "duplicates a conversation": _duplicate,
    "archives all": _archive,
    "lists again": _all_lists,
    "deletes all": _delete,
}
LAST: dict[str, Act] = {"deletes the account": _close}


@dataclass(slots=True)
class Seen:
    """The least of several rounds."""

    result: str = ""
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
    before = family_seconds(running.pid)
    taken = user_seconds(lambda: setattr(seen, "result", act(user, data)))
    seen.seconds = min(seen.seconds, taken)
    seen.cpu = min(seen.cpu, family_seconds(running.pid) - before)
    rest(running.pid, 900)
    seen.after = min(seen.after, family_seconds(running.pid) - before)
    seen.megabytes = max(seen.megabytes, family_memory(running.pid).resident)


def user_seconds(work: Callable[[], object]) -> float:
    """Time on the clock of a piece of work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


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
            shutil.rmtree(copy)
    rows = []
    for name, each in seen.items():
        waits = [f"{each.waits[kind]:.0f}" for kind in KINDS]
        verdict = "" if max(each.waits.values()) <= WAIT_MS else "missed"
        numbers = [f"{each.seconds:.2f}", f"{each.cpu:.2f}", f"{each.after:.2f}"]
        rows.append([name, each.result, *numbers, f"{each.megabytes:.0f}", *waits, verdict])
    head = ("user", "", "s", "CPU s", "until at rest", "MB")
    return table((*head, *(f"{kind}, ms" for kind in KINDS), f"≤ {WAIT_MS} ms"), rows)


def run(build: Build, folder: Path, count: int, rounds: int) -> str:
    """Both tables."""
    data = filled(build, folder / "filled", count)
    size = sum(each.stat().st_size for each in (data.folder / "data").rglob("*") if each.is_file())
    return (
        f"{size / 2**20:.0f} MB of data\n\n{pages(build, data, rounds)}\n\n"
        f"{acts(build, data, rounds)}"
    )
