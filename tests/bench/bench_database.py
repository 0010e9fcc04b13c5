"""Two builds side by side, each with its built-in database: CPU and memory of all their processes.

``python -m tests.bench.bench_database --against FOLDER``, where ``make install`` was run in FOLDER
(the other build) and here. Both get the same data through HTTP, by the same client, in turns; of
several measurements of one thing the least counts. CPU is user and system time of the server and
every process that it has started. ``--large`` measures this build alone with many conversations
(`tests.bench.bench_large`).
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench import bench_large, histories
from tests.bench.builds import ROOT, Build, model, serving
from tests.bench.family import Memory, family_memory, family_seconds, rest
from tests.bench.measure import Running, cost, table
from tests.bench.turns import TOKENS, crowd
from tests.bench.visitor import PASSWORD, Visitor

# What is measured → at most this much of the other build.
TARGETS = {
    "GET /api/convos, 25 of 500, CPU ms": 0.06,
    "GET /api/messages/:id, 50 messages, CPU ms": 0.3,
    "POST /api/auth/refresh, CPU ms": 0.3,
    "sign-in without the hash, CPU ms": 0.3,
    f"turn of {TOKENS} tokens at once, CPU ms": 0.5,
    "import of 10,000 conversations, CPU s": 0.3,
    "memory at rest, RSS MB": 0.65,
    "start to ready, s": 0.7,
}
IMPORTED, EACH = 10_000, 10
_REST_SECONDS = 10
_HASH = (
    "import time, bcrypt; stored = bcrypt.hashpw(b'password123', bcrypt.gensalt(10));"
    "begin = time.process_time(); [bcrypt.checkpw(b'password123', stored) for _ in range(20)];"
    "print((time.process_time() - begin) * 50)"
)


@dataclass(slots=True)
class Found:
    """The least of what was measured, by what it is and by build."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, what: str, build: Build, value: float) -> None:
        """One more measurement."""
        known = self.values.setdefault(what, {})
        known[build.name] = min(value, known.get(build.name, value))

    def text(self, builds: Sequence[Build]) -> str:
        """Rows: what, a column for each build, the ratio of the first to the second, target."""
        first, second = (build.name for build in builds)
        rows = []
        for what, found in self.values.items():
            target = TARGETS.get(what)
            ratio = found[first] / found[second] if found[second] else 0.0
            verdict = "" if target is None or ratio <= target else "missed"
            rows.append(
                [
                    *(what, f"{found[first]:.2f}", f"{found[second]:.2f}", f"{ratio:.3f}"),
                    *("" if target is None else f"≤ {target}", verdict),
                ]
            )
        return table(("what", first, second, "ratio", "target", ""), rows)


def starts(builds: Sequence[Build], folder: Path, found: Found, times: int) -> None:
    """Start and rest, the first start of each not counted."""
    for number in range(times + 1):
        for build in builds:
            with serving(build, folder / build.name) as running:
                if number == 0:
                    continue
                found.add("start to ready, s", build, running.seconds_to_ready)
                time.sleep(1)
                found.add("start, CPU s", build, family_seconds(running.pid))
                if number <= 2:
                    time.sleep(_REST_SECONDS)
                    at_rest: Memory = family_memory(running.pid)
                    found.add("memory at rest, RSS MB", build, at_rest.resident)
                    found.add("memory at rest, PSS MB", build, at_rest.proportional)
                    found.add("processes", build, at_rest.processes)


def reads(servers: Mapping[Build, Running], folder: Path, found: Found, rounds: int) -> None:
    """The list and one conversation of somebody with 500 imported conversations."""
    file = folder / "export.json"
    chosen = histories.export(file, "history", 500, last=50)
    who = {build: Visitor(server) for build, server in servers.items()}
    paths = {
        "GET /api/user, CPU ms": "/api/user",
        "GET /api/convos, 25 of 500, CPU ms": "/api/convos",
        "GET /api/messages/:id, 50 messages, CPU ms": f"/api/messages/{chosen}",
    }
    for build, server in servers.items():
        who[build].bring(file)
        rest(server.pid)
    for what, path in paths.items():
        for _ in range(rounds):
            sizes = set()
            for build, server in servers.items():
                spent, size = cost(server, path, 100, who[build].headers, family_seconds)
                found.add(what, build, spent)
                sizes.add(size // 200)  # ids differ, not their length
            if len(sizes) > 1:
                raise RuntimeError(f"{path}: the builds answer differently, {sizes}")


def _spent(server: Running, times: int, work: Callable[[], object]) -> float:
    """CPU milliseconds that a repeated piece of work costs a server."""
    before = family_seconds(server.pid)
    for _ in range(times):
        work()
    return (family_seconds(server.pid) - before) * 1000 / times


def sign_ins(servers: Mapping[Build, Running], found: Found, rounds: int) -> None:
    """Signing in: with a refresh token, and with a password less the CPU of its hash."""
    who = {build: Visitor(server) for build, server in servers.items()}
    cookies: dict[Build, str] = {}

    def login(build: Build) -> None:
        fields = {"email": who[build].email, "password": PASSWORD}
        answer = who[build].send("POST", "/api/auth/login", fields)
        cookies[build] = _cookies(answer.headers.get_all("set-cookie") or [])
        answer.read()

    def refresh(build: Build) -> None:
        headers = {"cookie": cookies[build]}
        answer = who[build].send("POST", "/api/auth/refresh", b"", headers)
        given = answer.headers.get_all("set-cookie") or []
        cookies[build] = _cookies(given) or cookies[build]
        answer.read()

    for _ in range(rounds):
        for build, server in servers.items():
            login(build)
            refreshed = _spent(server, 100, partial(refresh, build))
            found.add("POST /api/auth/refresh, CPU ms", build, refreshed)
            whole = _spent(server, 20, partial(login, build))
            found.add("sign-in with a password, CPU ms", build, whole)
            command = [build.command("python"), "-c", _HASH]
            found.add("one hash, CPU ms", build, float(subprocess.check_output(command)))
    known = found.values
    for build in servers:
        rest_of_it = (
            known["sign-in with a password, CPU ms"][build.name]
            - known["one hash, CPU ms"][build.name]
        )
        found.add("sign-in without the hash, CPU ms", build, rest_of_it)


def _cookies(given: Sequence[str]) -> str:
    return "; ".join(each.partition(";")[0] for each in given)


def chats(servers: Mapping[Build, Running], found: Found, rounds: int) -> None:
    """Turns one after another."""
    who = {build: Visitor(server) for build, server in servers.items()}

    def turns(build: Build, times: int) -> None:
        for _ in range(times):
            (seen,) = asyncio.run(crowd(servers[build].url, who[build].token, 1, "fast"))
            if seen.tokens != TOKENS:
                raise RuntimeError(f"{seen.tokens} of {TOKENS} tokens came")
        time.sleep(0.3)  # what is saved after the answer

    for build in servers:
        turns(build, 5)
    for _ in range(rounds):
        for build, server in servers.items():
            spent = _spent(server, 1, partial(turns, build, 20)) / 20
            found.add(f"turn of {TOKENS} tokens at once, CPU ms", build, spent)


def imports(builds: Sequence[Build], folder: Path, found: Found, times: int) -> None:
    """A large import into an empty server: until it is done, and until the server rests, when
    everything can be searched for."""
    file = folder / "chatgpt.json"
    histories.chatgpt(file, IMPORTED, EACH)
    what = f"import of {IMPORTED:,} conversations"
    for number in range(times):
        for build in builds:
            with serving(build, folder / f"{build.name}{number}") as running:
                visitor = Visitor(running)
                rest(running.pid)
                before, began = family_seconds(running.pid), time.monotonic()
                visitor.bring(file)
                found.add(f"{what}, s", build, time.monotonic() - began)
                found.add(f"{what}, CPU s", build, family_seconds(running.pid) - before)
                rest(running.pid)
                found.add(
                    f"{what}, until at rest, CPU s", build, family_seconds(running.pid) - before
                )
                found.add("memory after it, RSS MB", build, family_memory(running.pid).resident)


def compare(
    builds: Sequence[Build], folder: Path, parts: Sequence[str], rounds: int, large_imports: int
) -> str:
    """The whole comparison as text."""
    found = Found()
    for build in builds:
        whole, source = build.size()
        found.add(".venv, MB", build, whole)
        found.add(".venv without compiled Python, MB", build, source)
    if "starts" in parts:
        starts(builds, folder / "starts", found, rounds)
    if {"reads", "logins", "turns"} & set(parts):
        side = folder / "side"
        side.mkdir()
        with ExitStack() as stack:
            port = stack.enter_context(model(side))
            servers = {
                build: stack.enter_context(serving(build, side / build.name, port))
                for build in builds
            }
            if "reads" in parts:
                reads(servers, side, found, rounds)
            if "logins" in parts:
                sign_ins(servers, found, rounds)
            if "turns" in parts:
                chats(servers, found, rounds)
    if "import" in parts:
        (folder / "import").mkdir()
        imports(builds, folder / "import", found, large_imports)
    return found.text(builds)


def main() -> int:
    everything = ("starts", "reads", "logins", "turns", "import")
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_database")
    parser.add_argument("--against", type=Path, help="folder of the other build")
    parser.add_argument("--build", type=Path, default=ROOT, help="folder of the new build")
    parser.add_argument("--imports", type=int, default=1, help="large imports of each build")
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--rounds", type=int, default=5, help="measurements, of which the least")
    parser.add_argument("--large", type=int, nargs="*", help="conversations: 50000 100000")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end too
    if given.against is None and given.large is None:
        parser.error("--against or --large is needed")
    new = Build("new", given.build.resolve())
    with tempfile.TemporaryDirectory(prefix="locutory-bench-") as name:
        if given.against is not None:
            builds = (new, Build("old", given.against.resolve()))
            text = compare(builds, Path(name), given.only, given.rounds, given.imports)
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        for count in () if given.large is None else given.large or (50_000, 100_000):
            folder = Path(name) / f"large{count}"
            for text in bench_large.run(new, folder, count, min(3, given.rounds)):
                sys.stdout.write(f"\n{text}\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
