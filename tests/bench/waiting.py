"""How long somebody else waits meanwhile: a process of its own, so that nothing else delays it.

``python -m tests.bench.waiting`` reads one line ``{url, token, conversation}`` and sends requests
one after another until its input ends; then prints the longest time of each kind in ms.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.bench.builds import ROOT
from tests.bench.measure import Running
from tests.bench.visitor import Visitor

_PAUSE = 0.005
KINDS = ("GET /api/user", "GET /api/convos", "POST /api/convos/update")


def _watch(given: dict[str, Any]) -> dict[str, float]:
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    visitor = Visitor(Running(0, given["url"], 0.0), given["email"])
    longest = dict.fromkeys(KINDS, 0.0)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    number = 0
    while not ended.is_set():
        number += 1
        change = {"arg": {"conversationId": given["conversation"], "title": f"Title {number}"}}
        for kind in KINDS:
            method, path = kind.split()
            spent = visitor.seconds(method, path, change if method == "POST" else None)
            longest[kind] = max(longest[kind], spent * 1000)
            time.sleep(_PAUSE)
    return longest


@contextlib.contextmanager
def waiting(server: Running, email: str, conversation: str) -> Iterator[dict[str, float]]:
    """Somebody with an account uses the server while the block runs. Yields a mapping that holds,
    once the block has ended, the longest wait in ms of each of `KINDS`."""
    found: dict[str, float] = {}
    command = [sys.executable, "-m", "tests.bench.waiting"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as watcher:
        assert watcher.stdin is not None
        assert watcher.stdout is not None
        given = {"url": server.url, "email": email, "conversation": conversation}
        watcher.stdin.write(json.dumps(given) + "\n")
        watcher.stdin.flush()
        watcher.stdout.readline()
        time.sleep(0.3)
        try:
            yield found
            time.sleep(0.7)  # what comes after an answer
        finally:
            watcher.stdin.close()
            found |= json.loads(watcher.stdout.readline() or "{}")


if __name__ == "__main__":
    json.dump(_watch(json.loads(sys.stdin.readline())), sys.stdout)
