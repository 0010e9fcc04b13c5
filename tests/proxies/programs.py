"""Real reverse proxies, started for a test with the blocks of docs/proxies.md."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "proxies.md"
PROGRAMS = ("nginx", "caddy", "haproxy", "apache", "lighttpd")
_COMMANDS = {
    "nginx": ("nginx", "-e", "stderr", "-c"),
    "caddy": ("caddy", "run", "--adapter", "caddyfile", "--config"),
    "haproxy": ("haproxy", "-db", "-f"),
    "apache": ("apache2", "-D", "FOREGROUND", "-f"),
    "lighttpd": ("lighttpd", "-D", "-f"),
}
# What a documented block stands in. ``@`` is the folder, ``#`` the port.
_AROUND = {
    "nginx": (
        # Else it gives up the rights to its own folder.
        ("user root; " if os.geteuid() == 0 else "")
        + "daemon off; worker_processes 1; pid @/pid; events {} http { access_log off;"
        " client_body_temp_path @/a; proxy_temp_path @/b; fastcgi_temp_path @/c;"
        " uwsgi_temp_path @/d; scgi_temp_path @/e;\n",
        "}\n",
    ),
    "caddy": ("{\n\tadmin off\n\tauto_https disable_redirects\n}\n", ""),
    "haproxy": ("", ""),
    "apache": (
        "ServerRoot @\nDefaultRuntimeDir @\nPidFile @/pid\nErrorLog /dev/stderr\n"
        "ServerName localhost\nListen 127.0.0.1:#\nUser www-data\nGroup www-data\n"
        + "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "headers", "proxy", "proxy_http", "reqtimeout")
        ),
        "",
    ),
    "lighttpd": (
        'server.document-root = "@"\nserver.port = #\nserver.bind = "127.0.0.1"\n'
        'server.upload-dirs = ( "@" )\n',
        "",
    ),
}
# The places of a block that a test has to change: certificates go, the address is its own.
_CHANGES = (
    (r"listen 443 ssl;", "listen 127.0.0.1:#;"),
    (r"(?m)^chat\.example\.org \{", "http://127.0.0.1:# {"),
    (r"bind :443 .*", "bind 127.0.0.1:#"),
    (r"<VirtualHost \*:443>", "<VirtualHost 127.0.0.1:#>"),
    (r"(?m)^ *(ssl_certificate|SSL).*\n", ""),
    (r'"mod_openssl", ', ""),
    (r'(?s)\$SERVER\["socket"\].*?\n\}\n', ""),
)
_START_SECONDS = 30.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def documented(name: str) -> str:
    """The block of a proxy in the documentation."""
    found = re.search(rf"```{name}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert found is not None, name
    return found[1]


@contextmanager
def proxy(name: str, folder: Path, port: int, upstream: int) -> Iterator[None]:
    """A proxy on a port of 127.0.0.1, as documented, before a server on the port ``upstream``.
    Skips the test where it is not installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    program, *options = _COMMANDS[name]
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"{program} is not installed: tests/install.sh")
    folder.mkdir()
    text = documented(name).replace("3080", str(upstream))
    for old, new in _CHANGES:
        text = re.sub(old, new, text)
    before, after = (
        part.replace("@", str(folder)).replace("#", str(port)) for part in _AROUND[name]
    )
    settings = folder / "settings"
    settings.write_text(before + text.replace("127.0.0.1:#", f"127.0.0.1:{port}") + after, "utf-8")
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with _running([found, *options, str(settings)], folder, port, home):
        yield


@contextmanager
def _running(
    command: list[str], folder: Path, port: int, environment: dict[str, str]
) -> Iterator[None]:
    """A program that listens on ``port`` until the end of the block."""
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                text = output.read_text("utf-8", "replace")
                assert process.poll() is None, text
                assert time.monotonic() < deadline, text
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(20)
