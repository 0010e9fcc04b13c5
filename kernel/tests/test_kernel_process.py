"""``locutory serve`` as users run it: one process, from its start to its end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locutory_testing.database import Databases
from locutory_testing.waiting import PATIENCE, wait_until

LOCUTORY = str(Path(sys.executable).with_name("locutory"))


class Process:
    """A running ``locutory``; its folder holds the configuration."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LOCUTORY_", "CONFIG_", "MONGO_"))
        }
        clean |= {"LOCUTORY_DATA_DIR": str(folder / "data"), **environment}
        self._output = folder / f"output{time.time_ns()}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [LOCUTORY, *words], cwd=folder, env=clean, stdout=output, stderr=output
            )

    @property
    def text(self) -> str:
        return self._output.read_text("utf-8")

    def wait_for(self, text: str) -> str:
        def said() -> bool:
            return text in self.text or self.process.poll() is not None

        wait_until(said, f"it does not say {text!r}")
        assert text in self.text, self.text
        return self.text

    def address(self) -> str:
        text = self.wait_for("Stop with Ctrl-C")
        return text.partition("    open       ")[2].split()[0]

    def end(self, seconds: float = PATIENCE) -> int:
        return self.process.wait(seconds)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "librechat.yaml").write_text("plugins: {enabled: []}\n", "utf-8")
    return tmp_path


@pytest.fixture
def run(folder: Path, databases: Databases) -> Iterator[Any]:
    """``run("serve", "--port", "0")``: started on the database of the session."""
    started: list[Process] = []
    uri = databases.address("test_kernel_process")

    def start(*words: str, **environment: str) -> Process:
        started.append(Process(folder, *words, **{"MONGO_URI": uri, **environment}))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
            process.end()


def begin(connection: socket.socket) -> None:
    """Send a request whose body never ends; returns when the server waits for it."""
    head = b"GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    connection.sendall(head + b"expect: 100-continue\r\ncontent-length: 10\r\n\r\n{")
    connection.settimeout(PATIENCE)
    assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")


def runs(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310
        text: str = answer.read().decode()
    return text


def test_a_server_from_start_to_end(run: Any, folder: Path) -> None:
    server = run("serve", "--port", "0", "--host", "127.0.0.1")
    address = server.address()
    assert "is ready" in server.text
    assert "plugins    none" in server.text
    assert "database   built in" in server.text
    for number, phase in ((1, "database connection"), (11, "post-startup tasks")):
        assert f"phase='{phase}' number={number} ms=" in server.text
    assert get(f"{address}/readyz") == "OK"

    server.process.send_signal(signal.SIGHUP)
    server.wait_for("config.reloaded")
    (folder / "librechat.yaml").write_text("plugins: {enabled: [], nosuch: {}}\n", "utf-8")
    server.process.send_signal(signal.SIGHUP)
    assert "nosuch" in server.wait_for("config.reload_refused")
    (folder / "librechat.yaml").write_text("plugins: {enabled: []\n  x: [\n", "utf-8")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("librechat.yaml:2:3 [kernel]")
    assert get(f"{address}/livez") == "OK"

    taken = run("serve", "--port", address.rpartition(":")[2], "--host", "127.0.0.1")
    (folder / "librechat.yaml").write_text("plugins: {enabled: []}\n", "utf-8")
    assert taken.end() == 1
    assert "cannot listen here: Address already in use" in taken.text
    assert "PORT=3081" in taken.text

    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert "Traceback" not in server.text
    assert "Traceback" not in taken.text


def test_ctrl_c_waits_and_a_second_one_does_not(folder: Path) -> None:
    """On the built-in database."""
    server = Process(folder, "serve", "--port", "0", "--host", "127.0.0.1")
    try:
        address = server.address()
        assert f"database   built in, {folder / 'data'}" in server.text
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as unfinished:
            begin(unfinished)
            server.process.send_signal(signal.SIGINT)
            server.wait_for("Ctrl-C again stops at once")
            with pytest.raises(subprocess.TimeoutExpired):
                server.end(0.5)
            server.process.send_signal(signal.SIGINT)
            assert server.end() == 1
        assert "Traceback" not in server.text
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.end()


def test_a_shutdown_that_hangs_ends_hard(run: Any) -> None:
    server = run("serve", "--port", "0", LOCUTORY_SHUTDOWN_SECONDS="1")
    address = server.address()
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as unfinished:
        begin(unfinished)
        server.process.send_signal(signal.SIGTERM)
        assert server.end() in (0, 1)


def test_wrong_deployments_do_not_start_and_say_why(run: Any) -> None:
    down = "mongodb://u:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=50"
    redis = {"USE_REDIS": "true", "REDIS_URI": "redis://:hunter2@127.0.0.1:1"}
    cases: list[tuple[dict[str, str], str]] = [
        ({"MONGO_URI": down}, "no database answers: 127.0.0.1:1"),
        ({"MONGO_URI": "nonsense"}, "it is not a database address"),
        ({"HOST": "203.0.113.1"}, "set HOST to an address of this machine"),
        ({"CREDS_KEY": "hunter2"}, "must be exactly 64 hexadecimal digits"),
        (redis, "Redis does not answer"),
    ]
    for environment, expected, server in [
        (environment, expected, run("serve", "--port", "0", **environment))
        for environment, expected in cases
    ]:
        assert server.end() == 1, environment
        assert server.text.count("Locutory cannot start: 1 problem.") == 1
        assert expected in server.text
        assert "Traceback" not in server.text
        assert "start.failed" not in server.text, "reported twice"
        assert "hunter2" not in server.text


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"plugins: {enabled: []}\nregistration:\n  allowedDomains: [x]\n   y: [\n", ":4:"),
        (b"plugins: {enabled: []}\n# caf\xe9\n", ":2:6"),
        (b"plugins: {enabled: []}\nplugins: {}\n", ":2:1"),
        (b"", ""),
    ],
    ids=["syntax", "encoding", "twice", "empty"],
)
def test_an_unreadable_file_is_refused_by_check_and_by_serve(
    run: Any, folder: Path, data: bytes, place: str
) -> None:
    (folder / "librechat.yaml").write_bytes(data)
    both = run("config", "check"), run("serve", "--port", "0")
    assert [each.end() for each in both] == [1, 1]
    checked, served = (each.text for each in both)
    assert f"  librechat.yaml{place}" in checked
    assert checked == served
    assert not (folder / "data").exists()


def test_doctor_and_migrate(run: Any) -> None:
    down = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50"
    migrate, doctor, sick = run("migrate"), run("doctor"), run("doctor", MONGO_URI=down)
    assert migrate.end() == 0
    assert "The database is up to date." in migrate.text
    assert doctor.end() == 0
    assert "All is well." in doctor.text
    assert sick.end() == 1
    assert "no database answers" in sick.text
    assert "1 thing(s) to look at." in sick.text
    assert "Traceback" not in sick.text


def test_doctor_looks_while_a_server_runs(run: Any) -> None:
    """At the built-in database, which is the server's."""
    server = run("serve", "--port", "0", "--host", "127.0.0.1", MONGO_URI="")
    address = server.address()
    doctor = run("doctor", MONGO_URI="")
    assert doctor.end() == 0, doctor.text
    assert "database can be written" in doctor.text
    assert "All is well." in doctor.text
    assert get(f"{address}/readyz") == "OK"
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0


@pytest.mark.slow
def test_workers_keep_what_works_when_a_reload_is_wrong(
    run: Any, folder: Path, redis_url: str
) -> None:
    redis = {"USE_REDIS": "true", "REDIS_URI": redis_url}
    server = run("serve", "--port", "0", "--host", "127.0.0.1", "--workers", "2", **redis)
    address = server.address()
    server.wait_for("start.ready")
    (folder / "librechat.yaml").write_text("plugins: {enabled: []\n", "utf-8")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("config.reload_refused")
    assert "librechat.yaml:2:1 [kernel]" in server.text
    assert get(f"{address}/livez") == "OK"
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert "Traceback" not in server.text


def test_doctor_repeats_what_the_server_says_of_its_proxy(run: Any) -> None:
    """Here there is none, but an https address that nothing else could serve."""
    https = {"DOMAIN_SERVER": "https://chat.example"}
    server = run("serve", "--port", "0", "--host", "127.0.0.1", **https)
    address = server.address()
    for _ in range(25):
        with pytest.raises(urllib.error.HTTPError):
            get(f"{address}/api/none")
    server.wait_for("http.proxy")
    doctor = run("doctor", **https)
    assert doctor.end() == 1, doctor.text
    assert "sends no X-Forwarded-For" in doctor.text
    assert "1 thing(s) to look at." in doctor.text
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
