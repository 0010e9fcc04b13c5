"""What the later nine plugins cost: two servers, with ten and with all, beside the bare handlers.

``python -m tests.bench.bundle``. Everything is CPU time of the server process or its memory, so
that other work on the machine disturbs little; each figure of a route is the least of six. The
database works in the server: there is no other process.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from locutory_testing.database import Databases, session_databases
from locutory_testing.server import SECRETS
from tests.bench.measure import (
    Running,
    cost,
    cpu_seconds,
    free_port,
    locutory,
    process,
    resident_mb,
    table,
)
from tests.bench.routes import BROWSER, LIMITS, bare_handlers, seed, sign_in

LATER = [
    *("agentbuilder", "agentsapi", "memories", "presets", "projects", "prompts", "search"),
    *("share", "tags"),
]
SETS = {"ten": LATER, "all": []}
IDLE_SECONDS = 60
_YAML = """plugins: {{disabled: [{}]}}
endpoints:
  custom:
    - {{name: Fake, apiKey: k, baseURL: 'http://127.0.0.1:9/v1',
        models: {{default: [fake-20-0], fetch: false}}}}
"""


@contextmanager
def server(folder: Path, name: str, address: str = "") -> Iterator[Running]:
    """A server with a set of plugins, on the database of an ``address``: without one, that of its
    own data folder."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    (folder / "librechat.yaml").write_text(_YAML.format(", ".join(SETS[name])))
    environment = {
        **SECRETS,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MONGO_URI": address,
        "LOCUTORY_DATA_DIR": str(folder / "data"),
        "ALLOW_REGISTRATION": "true",
        "ALLOW_UNVERIFIED_EMAIL_LOGIN": "true",
        "CONFIG_PATH": str(folder / "librechat.yaml"),
    }
    with process([locutory(), "serve"], port, environment, folder / "ours.log") as running:
        yield running


def starts(folder: Path, times: int = 3) -> str:
    """Start and rest of both sets: each with a database of its own, the first start not counted."""
    rows = []
    for name in SETS:
        with server(folder / name, name):
            pass
        spent, ready = [], []
        for _ in range(times):
            with server(folder / name, name) as running:
                spent.append(cpu_seconds(running.pid))
                ready.append(running.seconds_to_ready)
        with server(folder / name, name) as running:
            time.sleep(5)
            before = cpu_seconds(running.pid)
            time.sleep(IDLE_SECONDS)
            idle = (cpu_seconds(running.pid) - before) / IDLE_SECONDS
            memory = resident_mb(running.pid)
        cells = [f"{min(spent):.2f}", f"{min(ready):.2f}", f"{memory:.0f}", f"{idle:.2%}"]
        rows.append([name, *cells])
    return table(("plugins", "start, CPU s", "ready, s", "idle MB", "idle CPU"), rows)


def reads(folder: Path, databases: Databases, count: int = 200) -> str:
    """The read routes of both sets and the bare handlers, on one database."""
    database = f"bench_{uuid4().hex[:8]}"
    address = databases.address(database)
    with ExitStack() as stack:
        ours = {name: stack.enter_context(server(folder / name, name, address)) for name in SETS}
        user, token = sign_in(ours["all"].url)
        chosen = seed(databases, database, user)
        bare = stack.enter_context(bare_handlers(address, user, folder / "bare.log"))
        headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER}
        rows = []
        for name in ("/api/user", "/api/config", "/api/endpoints", *list(LIMITS)[1:]):
            path = name.replace(":id", chosen)
            servers = {**ours, **({"bare": bare} if name in LIMITS else {})}
            spent = {each: [] for each in servers}  # type: dict[str, list[float]]
            for _ in range(6):
                for each, running in servers.items():
                    spent[each].append(cost(running, path, count, headers)[0])
            least = {each: min(found) for each, found in spent.items()}
            cells = [f"{least['ten']:.2f}", f"{least['all']:.2f}", "–", "–", "–"]
            if "bare" in least:
                ratio = f"{least['all'] / least['bare']:.2f}"
                cells[2:] = [f"{least['bare']:.2f}", ratio, f"≤ {LIMITS[name]}"]
            rows.append([name, *cells])
    return table(("route", "ten, CPU ms", "all", "bare", "all : bare", "limit"), rows)


def run(databases: Databases, folder: Path) -> str:
    """Both tables."""
    (folder / "starts").mkdir()
    return f"{reads(folder, databases)}\n\n{starts(folder / 'starts')}"


def main() -> int:
    with tempfile.TemporaryDirectory() as name, session_databases(durable=True) as databases:
        sys.stdout.write(f"{run(databases, Path(name))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
